"""Who calls: the participants of the room and their attributes, which arrive late and leave early. No I/O."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, cast

from livekit import rtc

from tuner_core.identity.livekit import from_participant_attributes
from tuner_core.identity.model import SipIdentity
from tuner_core.identity.phone import phone_number_of
from tuner_livekit._ending import Left

SIP = rtc.ParticipantKind.PARTICIPANT_KIND_SIP
_USER_KINDS = frozenset(
    {rtc.ParticipantKind.PARTICIPANT_KIND_STANDARD, rtc.ParticipantKind.PARTICIPANT_KIND_CONNECTOR}
)
_ON_BEHALF = "lk.publish_on_behalf"
"""Attribute of an avatar's participant, which speaks for the agent and is nobody's caller."""

_STATUS = "sip.callStatus"
_UNANSWERED = frozenset({"dialing", "ringing"})
_JOIN_GRACE_S = 60.0
"""A join longer ago than this says more about the server's clock than about the call."""


@dataclass(slots=True)
class Caller:
    """The participant whose call this is.

    Attributes:
        identity: the participant's identity in the room.
        is_sip: True for a SIP participant, which is never replaced by another one.
        answered_at: Unix seconds when the call was answered, None while it rings.
        attributes: every attribute that was ever shown, the first value that was not empty.
        left: set when the participant left.
    """

    identity: str
    is_sip: bool
    answered_at: float | None = None
    attributes: dict[str, str] = field(default_factory=dict[str, str], repr=False)
    left: Left | None = None


@dataclass(slots=True)
class CallerWatch:
    """Remembers the caller of one job.

    The first SIP participant is the caller, so that the leg of a transfer does not take the caller's place. A
    participant of another kind is the caller until a SIP one dials in.

    Args:
        participant_identity: take only the participant of this identity.
        call_id_attribute: attribute of one's own that holds the SIP Call-ID.
    """

    participant_identity: str | None = None
    call_id_attribute: str | None = None
    caller: Caller | None = None

    def scan(self, participants: Iterable[Any], *, now: float) -> None:
        """Look at everybody in the room: LiveKit tells of no participant who was there before the agent."""
        for participant in participants:
            self.saw(participant, now=now, joined_at=_joined_at(participant, now))

    def saw(self, participant: Any, *, now: float, joined_at: float | None = None) -> None:
        """A participant is in the room, or its attributes changed.

        Args:
            participant: a `RemoteParticipant`.
            now: Unix seconds.
            joined_at: when it joined, when that was before now.
        """
        caller = self._caller_for(participant)
        if caller is None:
            return
        current = _attributes(participant)
        for name, value in current.items():
            if value and not caller.attributes.get(name):
                caller.attributes[name] = value
        if caller.answered_at is None and current.get(_STATUS) not in _UNANSWERED:
            caller.answered_at = now if joined_at is None or _was_dialled(current) else joined_at

    def left(self, participant: Any, *, now: float) -> None:
        """A participant left the room; its attributes are still there to read."""
        self.saw(participant, now=now)
        if self.caller is not None and participant.identity == self.caller.identity:
            self.caller.left = Left.now(now, participant.disconnect_reason)

    @property
    def has_sip_caller(self) -> bool:
        """True when the caller is a SIP participant."""
        return self.caller is not None and self.caller.is_sip

    @property
    def identity(self) -> SipIdentity:
        """The SIP identity as far as the attributes have arrived."""
        if self.caller is None or not self.caller.is_sip:
            return SipIdentity(provider="livekit", warnings=("no SIP participant was seen in the room",))
        return from_participant_attributes(self.caller.attributes, call_id_attribute=self.call_id_attribute)

    @property
    def phone_number(self) -> str | None:
        """The caller's number, None when the trunk hides it."""
        return (
            phone_number_of(self.caller.attributes.get("sip.phoneNumber"))
            if self.caller is not None
            else None
        )

    def is_caller(self, participant: Any) -> bool:
        """True when `participant` is the caller, or cannot be told."""
        return participant is None or self.caller is None or participant.identity == self.caller.identity

    def _caller_for(self, participant: Any) -> Caller | None:
        """The caller when `participant` is the one, or becomes the one; None for everybody else."""
        identity: str = participant.identity
        caller = self.caller
        if caller is not None and caller.identity == identity:
            return caller
        is_sip = participant.kind == SIP
        if self.participant_identity is not None:
            wanted = identity == self.participant_identity
        elif is_sip:
            # A SIP leg that the agent dials into a web call is not that call's caller.
            wanted = caller is None or (not caller.is_sip and _is_inbound(_attributes(participant)))
        else:
            wanted = caller is None and participant.kind in _USER_KINDS
            wanted = wanted and not _attributes(participant).get(_ON_BEHALF)
        if not wanted:
            return None
        self.caller = Caller(identity, is_sip)
        return self.caller


def _was_dialled(attributes: Mapping[str, str]) -> bool:
    """True for a call that the agent's side made: such a caller joins the room before answering."""
    return _STATUS in attributes and not _is_inbound(attributes)


def _is_inbound(attributes: Mapping[str, str]) -> bool:
    """True for a caller who came in by a dispatch rule, which no dialled participant has."""
    return "sip.ruleID" in attributes


def _attributes(participant: Any) -> dict[str, str]:
    """A copy with strings only; a room stand-in may show anything."""
    shown = participant.attributes
    if not isinstance(shown, Mapping):
        return {}
    pairs = cast("Mapping[Any, Any]", shown).items()
    return {name: value for name, value in pairs if isinstance(name, str) and isinstance(value, str)}


def _joined_at(participant: Any, now: float) -> float:
    """When a participant who was here before us joined, as far as the server's clock can be believed."""
    try:
        joined_at = float(participant.joined_at.timestamp())
    except (AttributeError, TypeError, ValueError):
        return now
    return joined_at if 0.0 <= now - joined_at <= _JOIN_GRACE_S else now
