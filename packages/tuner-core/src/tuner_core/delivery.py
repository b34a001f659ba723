"""Delivery that loses nothing: a record is on disk before the first byte goes out.

This file holds what plugins and applications use; `tuner_core.courier` holds the thread that does the work.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, Protocol, TypeAlias

from tuner_core.config import TunerConfig
from tuner_core.records import CallRecord, Receipt

DeliveryState: TypeAlias = Literal["delivered", "pending", "refused"]


@dataclass(frozen=True, slots=True)
class DeliveryOutcome:
    """What had become of a record when the wait for it ended.

    Attributes:
        state: `delivered`: Tuner has it. `pending`: it is stored and will be sent by this process or the
            next one. `refused`: it will not be sent again by itself; `detail` says why.
        receipt: the API's answer, when delivered.
        detail: in words, without content.
    """

    state: DeliveryState
    receipt: Receipt | None = None
    detail: str = ""


class CallSink(Protocol):
    """Where a plugin hands over finished calls: a `Delivery`, or anything of your own with this method."""

    async def deliver(self, record: CallRecord, *, deadline_s: float = 8.0) -> DeliveryOutcome:
        """Take over one record; wait for its delivery at most `deadline_s` seconds; never raise."""
        ...


class Delivery:
    """Stores records in the outbox and sends them from a thread of its own.

    Args:
        config: where records go; from the environment when omitted.

    Raises:
        ConfigError: a setting is missing.
    """

    def __init__(self, config: TunerConfig | None = None) -> None:
        self._config = config or TunerConfig()

    async def deliver(
        self, record: CallRecord | Mapping[str, Any], *, deadline_s: float = 8.0
    ) -> DeliveryOutcome:
        """Store the record, send it, and wait for the answer at most `deadline_s` seconds. Never raises.

        The deadline bounds the wait, not the record: what is pending goes on being sent by this process and,
        after it, by the next. Cancelling the wait does not stop the delivery.
        """
        raise NotImplementedError

    def deliver_sync(
        self, record: CallRecord | Mapping[str, Any], *, deadline_s: float = 8.0
    ) -> DeliveryOutcome:
        """As `deliver`, for code without an event loop; blocks the calling thread."""
        raise NotImplementedError

    def start(self) -> None:
        """Begin to send, in the background, what earlier processes left. Returns at once."""
        raise NotImplementedError

    def close(self, *, deadline_s: float = 2.0) -> None:
        """Let what is being sent finish within `deadline_s` seconds, then stop; the rest stays on disk."""
        raise NotImplementedError


def default_sink(config: TunerConfig | None = None) -> CallSink:
    """The sink that this process shares for a configuration; never raises.

    When a setting is missing, the sink says so once in the log and answers each record with `refused`.
    """
    raise NotImplementedError
