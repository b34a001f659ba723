"""Where finished calls go, and what becomes of them: the two types that plugins know."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol, TypeAlias

from tuner_core.records import CallRecord, Receipt

DeliveryState: TypeAlias = Literal["delivered", "pending", "refused"]


@dataclass(frozen=True, slots=True)
class DeliveryOutcome:
    """What had become of a record when the wait for it ended.

    Attributes:
        state: `delivered`: Tuner has it. `pending`: it will be sent by this process or the next one. `refused`: it
            will not be sent again by itself, and `detail` says why.
        receipt: the API's answer, when delivered.
        detail: in words, without content.
    """

    state: DeliveryState
    receipt: Receipt | None = None
    detail: str = ""


class CallSink(Protocol):
    """Takes finished calls: a `Delivery`, or anything of your own with this method."""

    async def deliver(self, record: CallRecord, *, deadline_s: float = 8.0) -> DeliveryOutcome:
        """Take over one record; wait for its delivery at most `deadline_s` seconds; never raise."""
        ...
