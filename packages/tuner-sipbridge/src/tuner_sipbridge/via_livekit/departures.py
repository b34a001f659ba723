"""What it means that the callee, or we, are out of the room: LiveKit's disconnect reasons as ends of a call."""

from __future__ import annotations

from collections.abc import Mapping

from tuner_sipbridge.call import events as signalling
from tuner_sipbridge.dialer.outcome import Outcome, outcome_of
from tuner_sipbridge.dialer.outcome_class import OutcomeClass
from tuner_sipbridge.trace import Trace
from tuner_sipbridge.via_livekit.refusals import Refused

_UNANSWERED: Mapping[str, tuple[OutcomeClass, str]] = {
    "USER_UNAVAILABLE": ("agent_error", "the far end could not be reached or did not pick up"),
    "USER_REJECTED": ("agent_error", "the far end refused the call"),
    "SIP_TRUNK_FAILURE": ("upstream_error", "the trunk failed: the far end's SIP did not complete the call"),
    "MEDIA_FAILURE": ("upstream_error", "offer and answer of the SIP call gave no media"),
    "CONNECTION_TIMEOUT": ("upstream_error", "LiveKit's SIP service lost its room"),
}
"""Ends before the answer. LiveKit tells no SIP status with them."""


def unanswered_by(reason: str) -> Refused:
    """The callee's participant left before it was active, and no request said why."""
    kind, words = _UNANSWERED.get(
        reason, ("upstream_error", "LiveKit gave the call up before it was answered")
    )
    text = f"{words} (LiveKit: {reason}; it tells no SIP status here)"
    return Refused(signalling.Unreachable(text), Outcome(kind, text))


def ended_by(reason: str) -> signalling.Ended:
    """The callee's participant left a call that stood.

    LiveKit's SIP service leaves by itself (`CLIENT_INITIATED`) when the far end has sent BYE.
    """
    if reason in {"CLIENT_INITIATED", "UNKNOWN_REASON", "USER_REJECTED"}:
        return signalling.Ended("agent")
    if reason in {"PARTICIPANT_REMOVED", "ROOM_DELETED", "ROOM_CLOSED"}:
        return signalling.Ended("network", f"somebody else ended the call at LiveKit ({reason})")
    return signalling.Ended("network", f"LiveKit lost the call ({reason})")


def room_lost(reason: str, *, answered: bool) -> Refused:
    """We are out of the room though nobody of us left it."""
    text = f"LiveKit put the caller out of the room ({reason})"
    if not answered:
        return Refused(signalling.Unreachable(text), Outcome("upstream_error", text))
    event = signalling.Ended("network", text)
    return Refused(event, outcome_of(event, Trace(), completed=False))
