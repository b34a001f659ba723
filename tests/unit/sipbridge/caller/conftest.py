from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tuner_sipbridge.caller.events import Answered, CallerInput, Order
from tuner_sipbridge.caller.scenario import Scenario
from tuner_sipbridge.caller.turns import Caller


class Script:
    """A caller on a line that the test plays: tells it what happens, collects what it orders."""

    def __init__(self, *steps: Any, **fields: Any) -> None:
        scenario = Scenario.model_validate({"name": "test", "steps": list(steps), **fields})
        self.caller = Caller(scenario, {index: 1.0 for index in range(len(steps))})
        self.caller.receive(Answered(), now=0.0)

    def tell(self, event: CallerInput, now: float) -> None:
        self.caller.receive(event, now=now)

    def orders(self) -> list[Order]:
        return self.caller.outgoing()

    def at_deadline(self) -> float:
        """Let the next deadline come and give its time."""
        deadline = self.caller.next_deadline()
        assert deadline is not None
        self.caller.handle_timer(now=deadline)
        return deadline


@pytest.fixture
def script() -> Callable[..., Script]:
    return Script
