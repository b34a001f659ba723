"""Where calls go, and what becomes of them: the types that plugins know."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol, TypeAlias, TypedDict, Unpack, runtime_checkable

from tuner_core.events import CallEvent
from tuner_core.identity.model import SipIdentity
from tuner_core.records import CallRecord, Receipt

DeliveryState: TypeAlias = Literal["delivered", "pending", "refused"]
RecordingState: TypeAlias = Literal["uploaded", "waiting", "failed"]


@dataclass(frozen=True, slots=True)
class DeliveryOutcome:
    """What had become of a record when the wait for it ended.

    Attributes:
        state: `delivered`: Tuner has it. `pending`: it will be sent by this process or the next one. `refused`: it
            will not be sent again by itself, and `detail` says why.
        receipt: the API's answer, when delivered.
        detail: in words, without content.
        recording: of the file that was handed over with the record, None without one. `uploaded`: Tuner has it.
            `waiting`: it follows the call by itself. `failed`: it will not be uploaded, the call stays as it is.
        recording_detail: why it waits or failed.
    """

    state: DeliveryState
    receipt: Receipt | None = None
    detail: str = ""
    recording: RecordingState | None = None
    recording_detail: str = ""


class CallSink(Protocol):
    """Takes finished calls: a `Delivery`, or anything of your own with this method."""

    async def deliver(self, record: CallRecord, *, deadline_s: float = 8.0) -> DeliveryOutcome:
        """Take over one record; wait for its delivery at most `deadline_s` seconds; never raise."""
        ...


class CallFacts(TypedDict, total=False):
    """What is known of a call besides its events: its type, and the arguments of `CallTimeline.record`."""

    call_type: str
    identity: SipIdentity | None
    recording_url: str | None
    recipient: str | None
    caller_phone_number: str | None
    agent_version: int | str | None
    call_cost: float | None
    call_successful: bool | None
    user_sentiment: Literal["positive", "neutral", "negative", "unknown"] | None
    in_voicemail: bool | None
    call_analysis: Mapping[str, Any] | None
    collected_dynamic_variables: Mapping[str, Any] | None
    sip_headers: Mapping[str, str] | None
    metadata: Mapping[str, Any] | None
    general_meta_data_raw: Mapping[str, Any] | None


@runtime_checkable
class CheckpointSink(Protocol):
    """A sink that also keeps what is known of a call while it runs, such as a `Delivery`.

    When the process dies before it delivers the call, the next one makes the record out of the checkpoints, marked
    as cut short.
    """

    def checkpoint(self, call_id: str, events: Sequence[CallEvent] = (), **facts: Unpack[CallFacts]) -> None:
        """Keep what has happened since the last checkpoint of this call; returns at once and never raises.

        Args:
            call_id: of the running call; `deliver` of a record with this id ends its checkpoints.
            events: new ones, in the order in which the call's `CallTimeline` would take them.
            facts: each replaces what an earlier checkpoint said under its name.
        """
        ...
