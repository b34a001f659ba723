"""What is looked at before the user hears of an INVITE (RFC 3261 §8.2, §22.2)."""

from __future__ import annotations

from dataclasses import dataclass, field

from tuner_sipbridge.call import replies
from tuner_sipbridge.call.challenge import Challenged, Challenger, Refused
from tuner_sipbridge.call.extensions import Extensions
from tuner_sipbridge.call.offer_answer import read_description
from tuner_sipbridge.call.session_timer import SessionTimer
from tuner_sipbridge.errors import NegotiationFailed, RemoteProtocolError
from tuner_sipbridge.sdp.session import SessionDescription
from tuner_sipbridge.sip.message import Request
from tuner_sipbridge.sip.replaces import Replaces


@dataclass(frozen=True, slots=True)
class Admitted:
    """An INVITE that the user may decide on; `offer` is None when it has none."""

    offer: SessionDescription | None = field(repr=False)
    replaces: Replaces | None = None


def admit(
    invite: Request, challenger: Challenger | None, *, nonce: str, terms: Extensions, timer: SessionTimer
) -> Admitted | replies.Reply:
    """Let an INVITE in, or say what it is answered with; `nonce` is fresh, for a challenge."""
    if objection := replies.objection_to(invite, terms.supported):
        return objection
    if invite.contact is None or not invite.contact.uri.is_sip:
        return replies.Reply(400, reason="Bad Request: no SIP URI in Contact")
    verdict = challenger.judge(invite, nonce=nonce) if challenger else None
    if isinstance(verdict, Challenged):
        return replies.Reply(verdict.status, (verdict.header,))
    if isinstance(verdict, Refused):
        return replies.Reply(verdict.status, reason=verdict.reason)
    if objection := timer.objection_to(invite) or _extension_missing(invite, terms):
        return objection
    try:
        return Admitted(read_description(invite.body), _replaces_of(invite))
    except (NegotiationFailed, RemoteProtocolError) as problem:
        return replies.Reply(400, reason=f"Bad Request: {problem}")


def _extension_missing(invite: Request, terms: Extensions) -> replies.Reply | None:
    """421 to a caller without 100rel when it is required (RFC 3261 §21.4.16)."""
    if terms.reliable != "required":
        return None
    try:
        tags = invite.headers.elements("Supported") + invite.headers.elements("Require")
    except RemoteProtocolError:
        return replies.MALFORMED
    known = any(tag.lower() == "100rel" for tag in tags)
    return None if known else replies.Reply(421, (("Require", "100rel"),))


def _replaces_of(invite: Request) -> Replaces | None:
    values = invite.headers.get_all("Replaces")
    if len(values) > 1:
        raise RemoteProtocolError("Replaces stands more than once")
    return Replaces.parse(values[0]) if values else None
