"""What a user agent answers to requests that do not change the call (RFC 3261 §8.2, §11, §12.2.2)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tuner_sipbridge.call.requests import ALLOW, PRODUCT, SDP
from tuner_sipbridge.errors import RemoteProtocolError
from tuner_sipbridge.sip.message import Request, Response, response_to

_CALL_BOUND = frozenset({"BYE", "CANCEL", "PRACK", "UPDATE", "INFO", "REFER"})
_KNOWN_ELSEWHERE = frozenset({"MESSAGE", "SUBSCRIBE", "PUBLISH", "REGISTER"})
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
GLARE = Reply(491)
DECLINED = Reply(603)


def plain_reply(method: str, supported: Sequence[str] = ()) -> Reply:
    """The answer to a method that has no say in the session, within a dialog or outside."""
    if method == "OPTIONS":
        return Reply(200, capabilities(supported))
    if method == "NOTIFY":
        # Nothing was subscribed to, and no event package is known here (RFC 6665 §8.2.1).
        return Reply(489, (("Allow-Events", "refer"),))
    if method in ("PRACK", "BYE", "CANCEL"):
        return NO_SUCH_CALL
    return Reply(405 if method in _KNOWN_ELSEWHERE else 501, (ALLOW,))


def capabilities(supported: Sequence[str]) -> tuple[tuple[str, str], ...]:
    """What we can do, as an OPTIONS asks (RFC 3261 §11.2)."""
    return (
        ALLOW,
        ("Accept", SDP),
        ("Accept-Encoding", "identity"),
        ("Allow-Events", "refer"),
        ("Supported", ", ".join(supported)),
    )


def early_reply(method: str, supported: Sequence[str] = ()) -> Reply:
    """The answer within an early dialog without a session (RFC 3311 §5.2): an offer waits for the first answer."""
    if method in ("UPDATE", "INVITE"):
        return TRY_LATER
    return OK if method == "INFO" else plain_reply(method, supported)


def stray_reply(request: Request, supported: Sequence[str] = ()) -> Reply | None:
    """The answer to a request outside any call that is no new INVITE; None when it gets none, as ACK does.

    Args:
        request: as it came.
        supported: option tags that its Require may name.
    """
    if request.method == "ACK":
        return None
    if request.to.tag is not None or request.method in _CALL_BOUND:
        return NO_SUCH_CALL
    if request.method == "INVITE":
        # Nobody here takes calls.
        return Reply(405, (ALLOW,))
    return objection_to(request, supported) or plain_reply(request.method, supported)


def objection_to(request: Request, supported: Sequence[str] = ()) -> Reply | None:
    """What stands against a request whatever its method (RFC 3261 §8.2.2, §8.2.3, §21.4.7), if anything.

    Args:
        request: as it came.
        supported: option tags that its Require may name.
    """
    if request.uri.scheme not in ("sip", "sips", "tel"):
        return Reply(416)
    try:
        required = request.headers.elements("Require")
        accepted = request.headers.elements("Accept")
    except RemoteProtocolError:
        return MALFORMED
    if request.method == "INVITE" and accepted and not any(map(_is_sdp, accepted)):
        return Reply(406, (("Accept", SDP),))
    if unknown := [tag for tag in required if tag.lower() not in supported]:
        return Reply(420, (("Unsupported", ", ".join(unknown)),))
    encoding = (request.headers.get("Content-Encoding") or "identity").lower()
    if request.method in ("INVITE", "UPDATE", "PRACK") and request.body:
        if request.content_type != SDP or encoding != "identity":
            return Reply(415, (("Accept", SDP), ("Accept-Encoding", "identity")))
    return None


def _is_sdp(accepted: str) -> bool:
    media_range = accepted.partition(";")[0].strip(" \t").lower()
    return media_range in (SDP, "application/*", "*/*")
