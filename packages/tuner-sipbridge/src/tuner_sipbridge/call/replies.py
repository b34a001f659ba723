"""What a user agent answers to requests that do not change the call (RFC 3261 §8.2, §11, §12.2.2)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tuner_sipbridge.call.requests import ALLOW, PRODUCT, SDP
from tuner_sipbridge.errors import RemoteProtocolError
from tuner_sipbridge.sip.message import Request, Response, response_to

_KNOWN_ELSEWHERE = frozenset({"MESSAGE", "REFER", "SUBSCRIBE", "PUBLISH", "REGISTER", "PRACK"})
_CALL_BOUND = frozenset({"BYE", "CANCEL", "PRACK", "UPDATE"})
_RETRY_SHORTLY = ("Retry-After", "2")


@dataclass(frozen=True, slots=True)
class Reply:
    """A response still without its request."""

    status: int
    headers: Sequence[tuple[str, str]] = ()
    reason: str | None = None

    def to(self, request: Request, *, tag: str | None = None) -> Response:
        """The response to a request; `tag` goes on a To that has none."""
        return response_to(
            request, self.status, self.reason, to_tag=tag, headers=[*self.headers, ("Server", PRODUCT)]
        )


NO_SUCH_CALL = Reply(481)
MERGED = Reply(482)
OUT_OF_ORDER = Reply(500)
MALFORMED = Reply(400)
TERMINATED = Reply(487)
OK = Reply(200)
TRY_LATER = Reply(500, (_RETRY_SHORTLY,))


def plain_reply(method: str) -> Reply:
    """The answer within a dialog to a method that has no say in the session."""
    if method == "OPTIONS":
        return Reply(200, (ALLOW, ("Accept", SDP)))
    if method == "INFO":
        return OK
    if method == "NOTIFY":
        # Nothing was subscribed to, and no event package is known here (RFC 6665 §8.2.1).
        return Reply(489)
    return Reply(405 if method in _KNOWN_ELSEWHERE else 501, (ALLOW,))


def early_reply(method: str) -> Reply:
    """The answer within an early dialog; a new offer waits until the first is answered (RFC 3311 §5.2)."""
    if method in ("UPDATE", "INVITE"):
        return TRY_LATER
    return NO_SUCH_CALL if method == "BYE" else plain_reply(method)


def stray_reply(request: Request) -> Reply | None:
    """The answer to a request outside any call that is no new INVITE; None when it gets none, as ACK does."""
    if request.method == "ACK":
        return None
    if request.to.tag is not None or request.method in _CALL_BOUND:
        return NO_SUCH_CALL
    return objection_to(request) or plain_reply(request.method)


def objection_to(request: Request) -> Reply | None:
    """What stands against a request whatever its method (RFC 3261 §8.2.2, §8.2.3, §21.4.7), if anything."""
    if request.uri.scheme not in ("sip", "sips", "tel"):
        return Reply(416)
    try:
        required = request.headers.elements("Require")
        accepted = request.headers.elements("Accept")
    except RemoteProtocolError:
        return MALFORMED
    if required:
        return Reply(420, (("Unsupported", ", ".join(required)),))
    if request.method == "INVITE" and accepted and not any(map(_is_sdp, accepted)):
        return Reply(406, (("Accept", SDP),))
    encoding = (request.headers.get("Content-Encoding") or "identity").lower()
    if request.method in ("INVITE", "UPDATE") and request.body:
        if request.content_type != SDP or encoding != "identity":
            return Reply(415, (("Accept", SDP), ("Accept-Encoding", "identity")))
    return None


def _is_sdp(accepted: str) -> bool:
    media_range = accepted.partition(";")[0].strip(" \t").lower()
    return media_range in (SDP, "application/*", "*/*")
