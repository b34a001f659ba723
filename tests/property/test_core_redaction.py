"""Whatever surrounds a secret, and wherever it stands: it is gone."""

import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from tuner_core.redaction import Redaction
from tuner_core.redaction.rules import luhn_holds
from tuner_core.repair import conform

START = 1_790_000_000
NAMES = "zero one two three four five six seven eight nine".split()


@st.composite
def card_numbers(draw: st.DrawFn) -> str:
    first = draw(st.sampled_from("234569"))
    body = first + draw(st.text("0123456789", min_size=10, max_size=16)) + draw(st.sampled_from("12345678"))
    return next(number for digit in "0123456789" if luhn_holds(number := body + digit))


@st.composite
def written(draw: st.DrawFn, number: str) -> str:
    """The number as somebody may have written or said it."""
    match draw(st.sampled_from(["plain", "groups", "digits", "spoken", "mixed"])):
        case "plain":
            return number
        case "groups":
            gap = draw(st.sampled_from([" ", "-", ".", " - ", ", "]))
            return gap.join(number[at : at + 4] for at in range(0, len(number), 4))
        case "digits":
            return " ".join(number)
        case "spoken":
            return draw(st.sampled_from([" ", "-", ", "])).join(NAMES[int(digit)] for digit in number)
        case _:
            return " ".join(NAMES[int(digit)] if draw(st.booleans()) else digit for digit in number)


surroundings = st.text(st.characters(categories=["L", "P", "Z"], codec="utf-8"), max_size=30).filter(
    lambda text: not any(name in text.lower() for name in [*NAMES, "oh", "double", "triple", "plus", "+"])
)


@settings(max_examples=300, deadline=None)
@given(st.data(), card_numbers(), surroundings, surroundings)
def test_a_card_number_is_gone_from_every_place(
    data: st.DataObject, number: str, before: str, behind: str
) -> None:
    shown = data.draw(written(number))
    text = f"{before} is {shown} so {behind}"
    words = [
        {"word": word, "start_ms": 100 * at, "end_ms": 100 * at + 90} for at, word in enumerate(text.split())
    ]
    spoken: dict[str, Any] = {"role": "user", "text": text, "start_ms": 0, "end_ms": 900, "words": words}
    values: Any = data.draw(
        st.recursive(
            st.sampled_from([int(number), shown, text, number]),
            lambda inner: st.one_of(
                st.lists(inner, min_size=1, max_size=3),
                st.dictionaries(st.sampled_from(["card", "a b", shown]), inner, min_size=1),
            ),
            max_leaves=4,
        )
    )
    record = {
        "call_id": "c",
        "start_timestamp": START,
        "end_timestamp": START + 9,
        "transcript": f"User: {text}",
        "transcript_with_tool_calls": [spoken, {"role": "agent_function", "tool": {"params": values}}],
        "call_analysis": {"values": values},
    }
    conformed = conform(record, redaction=Redaction())
    body = conformed.body().decode()
    assert number not in body
    assert shown not in body
    heard = [word["word"] for word in conformed.payload["transcript_with_tool_calls"][0].get("words", [])]
    assert sum(word in NAMES or word.isdigit() for word in heard) < 7
    assert number not in "".join(char for char in " ".join(heard) if char.isdigit())
    assert all(number not in repair and shown not in repair for repair in conformed.repairs)


plain_json = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(-(10**20), 10**20),
        st.floats(allow_nan=False),
        st.text(max_size=20),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=8,
)


@settings(max_examples=200, deadline=None)
@given(plain_json)
def test_redacting_twice_is_redacting_once_and_the_value_stays_json(value: Any) -> None:
    redaction = Redaction()
    once = redaction.redact_value(value)
    json.dumps(once, allow_nan=False)
    assert redaction.redact_value(once) == once


lines_said = st.lists(
    st.lists(
        st.sampled_from(
            [*NAMES, "oh", "double", "+", "415 555", "0123", "12.", "/", "at", "mail@x.example", "so"]
        ),
        max_size=9,
    ).map(" ".join),
    max_size=5,
)


@settings(max_examples=200, deadline=None)
@given(lines_said)
def test_a_text_of_lines_loses_what_its_lines_lose(lines: list[str]) -> None:
    redaction = Redaction()
    assert redaction.redact_text("\n".join(lines)) == "\n".join(map(redaction.redact_text, lines))
