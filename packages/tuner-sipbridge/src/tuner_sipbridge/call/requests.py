"""Requests of ours: the first INVITE, and the same request again under a new branch and number."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tuner_sipbridge.errors import LocalProtocolError
from tuner_sipbridge.sip.headers import Headers, NameAddr, Via
from tuner_sipbridge.sip.message import Request
from tuner_sipbridge.sip.routing import Address
from tuner_sipbridge.sip.uri import Uri

PRODUCT = "tuner-sipbridge"
"""User-Agent and Server (RFC 3261 §20.41, §20.35)."""

SDP = "application/sdp"
ALLOWED_METHODS = ("INVITE", "ACK", "CANCEL", "BYE", "OPTIONS", "INFO", "UPDATE")
ALLOW = ("Allow", ", ".join(ALLOWED_METHODS))

_OURS = frozenset(
    {
        "via",
        "from",
        "to",
        "call-id",
        "cseq",
        "contact",
        "max-forwards",
        "route",
        "record-route",
        "content-length",
        "content-type",
        "authorization",
        "proxy-authorization",
        "allow",
    }
)


@dataclass(frozen=True, slots=True)
class Reach:
    """Where a user agent is reached: what it writes into Via and Contact.

    Attributes:
        address: host and port of its socket.
        user: user part of the Contact.
    """

    address: Address
    user: str | None

    def via(self, branch: str) -> Via:
        """A Via of ours; `rport` asks for responses to come back the way the request went (RFC 3581)."""
        host, port = self.address
        return Via("UDP", host, port, (("rport", None), ("branch", branch)))

    @property
    def contact(self) -> tuple[str, str]:
        """The Contact header."""
        host, port = self.address
        return "Contact", str(NameAddr(Uri(user=self.user, host=host, port=port)))


def check_headers(headers: Sequence[tuple[str, str]]) -> None:
    """Refuse headers that the user may not give.

    Raises:
        LocalProtocolError: the header is ours to write, its name is not a token, or it has a line break.
    """
    for name, _ in Headers(headers).items():
        if name.lower() in _OURS:
            raise LocalProtocolError(f"the header {name} is written by the call itself and cannot be given")


def check_identity(target: Uri, sip_call_id: str, *, routed: bool) -> None:
    """Refuse a call that cannot be told apart, or not be sent.

    Raises:
        LocalProtocolError: the Call-ID is empty or has a space, or the target is no SIP URI and there is no
            route to send it by.
    """
    if not sip_call_id.isascii() or not sip_call_id.isprintable() or not sip_call_id or " " in sip_call_id:
        raise LocalProtocolError("the Call-ID is empty, or has a space or a character that is not ASCII")
    if not target.is_sip and not routed:
        raise LocalProtocolError(f"a {target.scheme} URI can only be called through a route")


def first_invite(
    target: Uri,
    *,
    reach: Reach,
    from_: NameAddr,
    sip_call_id: str,
    branch: str,
    body: bytes,
    headers: Sequence[tuple[str, str]],
    route: Sequence[Uri],
) -> Request:
    """The INVITE that begins a call (RFC 3261 §8.1.1, §13.2.1)."""
    fields = Headers([("Via", str(reach.via(branch)))])
    for proxy in route:
        fields.add("Route", str(NameAddr(proxy)))
    fields.add("Max-Forwards", "70")
    fields.add("From", str(from_))
    fields.add("To", str(NameAddr(target.as_request_uri())))
    fields.add("Call-ID", sip_call_id)
    fields.add("CSeq", "1 INVITE")
    fields.add(*reach.contact)
    fields.add(*ALLOW)
    for name, value in headers:
        fields.add(name, value)
    if "User-Agent" not in fields:
        fields.add("User-Agent", PRODUCT)
    fields.add("Content-Type", SDP)
    return Request("INVITE", target.as_request_uri(), fields, body)


def again(
    request: Request,
    *,
    via: Via,
    cseq: int,
    uri: Uri | None = None,
    credentials: Sequence[tuple[str, str]] | None = None,
) -> Request:
    """The same request once more, in a new transaction (RFC 3261 §8.1.3.5): nothing else of it changes.

    Args:
        request: what was refused.
        via: our Via with a new branch.
        cseq: the next number.
        uri: another Request-URI, after a redirection.
        credentials: all Authorization and Proxy-Authorization headers; None keeps those it has.
    """
    headers = request.headers.copy()
    headers.set("Via", str(via))
    headers.set("CSeq", f"{cseq} {request.method}")
    if credentials is not None:
        headers.remove("Authorization")
        headers.remove("Proxy-Authorization")
        for name, value in credentials:
            headers.add(name, value)
    return Request(request.method, uri or request.uri, headers, request.body)


def credentials_in(request: Request) -> list[tuple[str, str]]:
    """The credentials a request carries, which the ACK to its 2xx repeats (RFC 3261 §22.1)."""
    names = ("Authorization", "Proxy-Authorization")
    return [(name, value) for name in names for value in request.headers.get_all(name)]
