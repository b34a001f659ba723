"""What is looked at before the user hears of an INVITE (RFC 3261 §8.2, §22.2)."""

from __future__ import annotations

from dataclasses import dataclass, field

from tuner_sipbridge.call import replies
from tuner_sipbridge.call.challenge import Challenged, Challenger, Refused
from tuner_sipbridge.call.offer_answer import read_description
from tuner_sipbridge.errors import NegotiationFailed
from tuner_sipbridge.sdp.session import SessionDescription
from tuner_sipbridge.sip.message import Request


@dataclass(frozen=True, slots=True)
class Admitted:
    """An INVITE that the user may decide on; `offer` is None when it has none."""

    offer: SessionDescription | None = field(repr=False)


def admit(invite: Request, challenger: Challenger | None, *, nonce: str) -> Admitted | replies.Reply:
    """Let an INVITE in, or say what it is answered with; `nonce` is fresh, for a challenge."""
    if objection := replies.objection_to(invite):
        return objection
    if invite.contact is None or not invite.contact.uri.is_sip:
        return replies.Reply(400, reason="Bad Request: no SIP URI in Contact")
    verdict = challenger.judge(invite, nonce=nonce) if challenger else None
    if isinstance(verdict, Challenged):
        return replies.Reply(verdict.status, (verdict.header,))
    if isinstance(verdict, Refused):
        return replies.Reply(verdict.status, reason=verdict.reason)
    try:
        return Admitted(read_description(invite.body))
    except NegotiationFailed as problem:
        return replies.Reply(400, reason=f"Bad Request: {problem}")
