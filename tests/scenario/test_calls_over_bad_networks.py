"""Whole calls over networks that lose, double, delay and reorder: each ends, once, with nothing left behind."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest

from tuner_sipbridge.call.events import Answered
from tuner_sipbridge.call.ids import Credentials
from tuner_sipbridge.sip.message import Response
from tuner_sipbridge.sip.routing import Transport
from tuner_sipbridge.testing.network import Conditions

Make = Callable[..., Any]
GOOD = Credentials("probe", "s3cret")


def any_script(chance: random.Random) -> dict[str, object]:
    """A course of events out of all that can happen in a call."""

    def maybe(low: float, high: float, share: float) -> float | None:
        return chance.uniform(low, high) if chance.random() < share else None

    asked = GOOD if chance.random() < 0.5 else None
    return {
        "ring_after_s": maybe(0.0, 2.0, 0.8),
        "answer_after_s": maybe(0.0, 12.0, 0.9),
        "reject_with": chance.choice([486, 603, 480]) if chance.random() < 0.1 else None,
        "agent_hangs_up_after_s": maybe(0.0, 10.0, 0.5),
        "caller_hangs_up_after_s": maybe(0.0, 10.0, 0.8),
        "caller_cancels_after_s": maybe(0.0, 15.0, 0.3),
        "ring_timeout_s": chance.choice([3.0, 10.0, 60.0]),
        "password_asked": asked,
        "credentials": chance.choice([GOOD, GOOD, GOOD, Credentials("probe", "wrong"), None]),
    }


@pytest.mark.parametrize(
    ("transport", "loss"), [("udp", 0.0), ("udp", 0.1), ("udp", 0.2), ("udp", 0.3), ("tcp", 0.3)]
)
def test_every_call_ends_once_and_leaves_nothing(world: Make, transport: Transport, loss: float):
    for seed in range(60):
        chance = random.Random(f"{loss} {seed}")
        script = any_script(chance)
        if script["agent_hangs_up_after_s"] is None and script["caller_hangs_up_after_s"] is None:
            script["caller_hangs_up_after_s"] = 1.0
        conditions = Conditions(
            loss=loss,
            duplication=chance.choice([0.0, 0.1, 0.3]),
            reordering=chance.choice([0.0, 0.1, 0.3]),
            delay_s=chance.uniform(0.001, 0.2),
        )
        call = world(conditions=conditions, seed=seed, transport=transport, **script).dial()
        call.assert_at_rest()


@pytest.mark.parametrize("seed", range(20))
def test_at_ten_percent_loss_authenticated_calls_are_answered(world: Make, seed: int):
    conditions = Conditions(loss=0.1, duplication=0.1, reordering=0.1)
    call = world(conditions=conditions, seed=seed, password_asked=GOOD, credentials=GOOD).dial()
    assert any(isinstance(event, Answered) for event in call.caller.happened)
    call.assert_at_rest()


def test_one_seed_is_one_course_of_events(world: Make):
    conditions = Conditions(loss=0.2, duplication=0.2, reordering=0.2)
    first = world(conditions=conditions, seed=5).dial()
    second = world(conditions=conditions, seed=5).dial()
    assert list(map(str, first.network.sent)) == list(map(str, second.network.sent))
    assert any(sent.lost for sent in first.network.sent)
    assert any(isinstance(sent.message, Response) for sent in first.network.sent)
