"""Why a call ended, out of what LiveKit shows: who left first, the close reason, how the job went. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from livekit import rtc

from tuner_core.events import CallEnded

Reason: TypeAlias = Literal["user_hangup", "agent_hangup", "error", "timeout", "unknown"]

_LEFT: dict[rtc.DisconnectReason.ValueType, Reason] = {
    rtc.DisconnectReason.UNKNOWN_REASON: "user_hangup",
    rtc.DisconnectReason.CLIENT_INITIATED: "user_hangup",
    rtc.DisconnectReason.USER_REJECTED: "user_hangup",
    rtc.DisconnectReason.ROOM_DELETED: "agent_hangup",
    rtc.DisconnectReason.PARTICIPANT_REMOVED: "agent_hangup",
    rtc.DisconnectReason.USER_UNAVAILABLE: "timeout",
    rtc.DisconnectReason.CONNECTION_TIMEOUT: "timeout",
}
"""What it means that the caller's participant left for a reason; reasons not listed are failures."""

_ROOM: dict[rtc.DisconnectReason.ValueType, Reason] = {
    rtc.DisconnectReason.UNKNOWN_REASON: "unknown",
    rtc.DisconnectReason.CLIENT_INITIATED: "agent_hangup",
    rtc.DisconnectReason.ROOM_DELETED: "agent_hangup",
    rtc.DisconnectReason.PARTICIPANT_REMOVED: "agent_hangup",
    rtc.DisconnectReason.ROOM_CLOSED: "user_hangup",
    rtc.DisconnectReason.CONNECTION_TIMEOUT: "timeout",
}
"""The same for the agent's own connection to the room, when the caller was not seen leaving."""

CRASHED = "job crashed"
"""The reason LiveKit gives to shutdown callbacks after the entrypoint raised."""


@dataclass(frozen=True, slots=True)
class Left:
    """A participant, or the agent's own connection, left the room.

    Attributes:
        at: Unix seconds.
        reason: value of LiveKit's `DisconnectReason`.
    """

    at: float
    reason: rtc.DisconnectReason.ValueType

    @property
    def name(self) -> str:
        """Name of the reason, for the raw metadata."""
        return _NAMES.get(self.reason, str(self.reason))

    @classmethod
    def now(cls, at: float, reason: object) -> Left:
        """What the room told at `at`; a reason that is no `DisconnectReason` counts as unknown."""
        known = next((value for value in _NAMES if value == reason), rtc.DisconnectReason.UNKNOWN_REASON)
        return cls(at, known)


_NAMES = {value: name for name, value in rtc.DisconnectReason.items()}


def ending_of(
    *,
    at: float,
    caller_left: Left | None,
    room_left: Left | None,
    close_reason: str | None,
    failed_at: float | None,
    job_reason: str | None,
) -> CallEnded:
    """The end of the call.

    The first sign decides: a failure of the session or the job, or the caller's leaving, whichever came
    before the other; then the room's end; then whatever closed the session, which can only have been the
    agent's side.

    Args:
        at: Unix seconds when the session closed.
        caller_left: set when the caller's participant was seen leaving before that.
        room_left: set when the agent's own connection ended before that.
        close_reason: value of `CloseEvent.reason`, None when there was no close event.
        failed_at: when the session gave up with an error, or the entrypoint raised.
        job_reason: what the shutdown callback was told, None before it was called.
    """
    detail = ", ".join(
        f"{name}: {value}"
        for name, value in (
            ("caller", caller_left.name if caller_left else None),
            ("room", room_left.name if room_left else None),
            ("session", close_reason),
            ("job", job_reason),
        )
        if value
    )
    ended_at = min([at, *(left.at for left in (caller_left, room_left) if left is not None)])
    if failed_at is None and (close_reason == "error" or job_reason == CRASHED):
        failed_at = at
    if failed_at is not None and (caller_left is None or failed_at <= caller_left.at):
        return CallEnded(ended_at, "error", "error", detail)
    reason: Reason
    if caller_left is not None:
        reason = _LEFT.get(caller_left.reason, "error")
    elif close_reason == "participant_disconnected":
        reason = "user_hangup"
    elif room_left is not None:
        reason = _ROOM.get(room_left.reason, "error")
    elif close_reason is not None or job_reason:
        reason = "agent_hangup"
    else:
        reason = "unknown"
    return CallEnded(ended_at, reason, "call_ended", detail)
