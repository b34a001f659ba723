"""The grammar of faults on purpose, and their dice."""

import math
from collections import Counter

import pytest

from tuner_core.local.faults import Fault, FaultDice, FaultSpecError, parse_faults


def test_a_specification_is_read() -> None:
    assert parse_faults(" 429:0.2, 503=5:0.1 ,404:.05,HANG:0.05,") == (
        Fault("429", "status", 0.2, 429, 1.0),
        Fault("503", "status", 0.1, 503, 5.0),
        Fault("404", "status", 0.05, 404, 0.0),
        Fault("hang", "hang", 0.05, seconds=math.inf),
    )


def test_faults_that_take_the_call_are_told_from_those_that_do_not() -> None:
    faults = parse_faults("hang=30:0.1,slow:0.1,reset:0.1,half:0.1,take-and-reset:0.6")
    assert [(fault.kind, fault.seconds, fault.takes_the_call) for fault in faults] == [
        ("hang", 30.0, False),
        ("slow", 5.0, True),
        ("reset", 0.0, False),
        ("half", 0.0, True),
        ("take-and-reset", 0.0, True),
    ]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "no fault in it"),
        (" , ", "no fault in it"),
        ("429", "cannot read '429'"),
        ("429:x", "cannot read '429:x'"),
        ("429:1.2.3", "'1.2.3' is no number"),
        ("429:1.5", "from 0 to 1"),
        ("429:-0.5", "cannot read"),
        ("explode:0.1", "no such fault; there are an HTTP status from 400 to 599, hang, slow"),
        ("status:0.1", "no such fault"),
        ("200:0.1", "from 400 to 599"),
        ("600:0.1", "from 400 to 599"),
        ("409:0.1", "409 says that the call is stored"),
        ("reset=3:0.1", "only hang, slow, 429 and 503 take seconds"),
        ("500=3:0.1", "only hang, slow, 429 and 503 take seconds"),
        ("429:0.1,429=5:0.1", "429 is given twice"),
        ("429:0.6,hang:0.6", "add up to 1.2"),
    ],
)
def test_a_wrong_specification_is_said_in_a_sentence(text: str, words: str) -> None:
    with pytest.raises(FaultSpecError) as refused:
        parse_faults(text)
    assert words in str(refused.value)


def test_the_dice_follow_the_probabilities_and_the_seed() -> None:
    faults = parse_faults("429:0.2,hang:0.05,reset:0.1")
    dice, same, other = FaultDice(faults, 7), FaultDice(faults, 7), FaultDice(faults, 8)
    drawn = [dice.draw() for _ in range(4000)]
    assert drawn == [same.draw() for _ in range(4000)]
    assert drawn != [other.draw() for _ in range(4000)]
    counts = Counter(fault.name if fault else "" for fault in drawn)
    assert counts["429"] == pytest.approx(800, abs=100)
    assert counts["hang"] == pytest.approx(200, abs=60)
    assert counts["reset"] == pytest.approx(400, abs=80)


def test_probabilities_that_add_up_to_1_leave_no_honest_answer() -> None:
    dice = FaultDice(parse_faults("429:0.1,503:0.2,hang:0.3,reset:0.4"), 1)
    assert all(dice.draw() for _ in range(1000))
