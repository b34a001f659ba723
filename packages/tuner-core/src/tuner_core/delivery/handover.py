"""What the application's threads hand to the courier's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

from tuner_core.delivery.sink import DeliveryOutcome
from tuner_core.events import CallEvent
from tuner_core.records import CallRecord


@dataclass(eq=False, slots=True)
class Handover:
    """One record on its way into the outbox and out of it.

    Attributes:
        record: as handed over.
        stored: done when it is in the outbox; True when that is on disk.
        settled: done when it was delivered or refused, or when this process gave up on it.
        problem: why the last try failed.
    """

    record: CallRecord | Mapping[str, Any] = field(repr=False)
    stored: Future[bool] = field(default_factory=Future[bool])
    settled: Future[DeliveryOutcome] = field(default_factory=Future[DeliveryOutcome])
    problem: str = ""

    def settle(self, outcome: DeliveryOutcome) -> None:
        """Answer both waits, whichever is still open."""
        if not self.stored.done():
            self.stored.set_result(False)
        if not self.settled.done():
            self.settled.set_result(outcome)


@dataclass(eq=False, slots=True)
class News:
    """What became known of a running call, on its way into the call's journal."""

    call_id: str
    events: Sequence[CallEvent] = field(repr=False)
    facts: Mapping[str, Any] = field(repr=False)
