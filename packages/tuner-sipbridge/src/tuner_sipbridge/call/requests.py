"""Requests of ours: the first INVITE, and the same request again under a new branch and number."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from tuner_sipbridge.errors import LocalProtocolError
from tuner_sipbridge.sip.grammar import Params
from tuner_sipbridge.sip.headers import Headers, NameAddr, Via
from tuner_sipbridge.sip.message import Request
from tuner_sipbridge.sip.routing import Address, Transport, hop_uri, transport_of
from tuner_sipbridge.sip.uri import Uri

PRODUCT = "tuner-sipbridge"
"""User-Agent and Server (RFC 3261 §20.41, §20.35)."""

SDP = "application/sdp"
ALLOWED_METHODS = (
    *("INVITE", "ACK", "CANCEL", "BYE", "OPTIONS", "INFO", "UPDATE", "PRACK", "REFER", "NOTIFY"),
)
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
        "rack",
        "rseq",
        "session-expires",
        "min-se",
    }
)


@dataclass(frozen=True, slots=True)
class Reach:
    """Where a user agent is reached: what it writes into Via and Contact.

    Attributes:
        address: host and port of its sockets, or those that a NAT shows for them.
        user: user part of the Contact.
        transport: what requests go by whose next hop names no transport, and how we want to be reached.
        secure: the dialog is one of sips URIs: everything of it goes over TLS, and the Contact is a sips URI
            (RFC 3261 §8.1.1.8, §26.2.2).
    """

    address: Address
    user: str | None
    transport: Transport = "udp"
    secure: bool = False
    contact: tuple[str, str] = field(init=False, repr=False, compare=False)
    """The Contact header."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "contact", ("Contact", str(NameAddr(self._contact_uri()))))

    def via(self, branch: str, *, towards: Uri) -> Via:
        """A Via of ours, with the transport that the request goes by.

        `rport` asks for responses to come back the way the request went (RFC 3581), and `alias` for requests to
        come on the same connection, which behind NAT or over TLS is the only way to us (RFC 5923 §4).

        Args:
            branch: identifies the transaction.
            towards: the URI of the next hop.
        """
        host, port = self.address
        transport = self._towards(towards)
        alias: Params = () if transport == "udp" else (("alias", None),)
        return Via(transport.upper(), host, port, (("rport", None), ("branch", branch), *alias))

    def _contact_uri(self) -> Uri:
        host, port = self.address
        if self.secure:
            return Uri("sips", user=self.user, host=host, port=port)
        params: Params = () if self.transport == "udp" else (("transport", self.transport),)
        return Uri(user=self.user, host=host, port=port, params=params)

    def _towards(self, uri: Uri) -> Transport:
        """The transport that a URI names, else that of the call.

        RFC 3263 §4.1 has UDP for a URI that names none. A peer that was reached over a stream and does not name
        it in its Contact is far more often reached over that stream again than over UDP.
        """
        if self.secure:
            return "tls"
        try:
            return (transport_of(uri) if uri.is_sip else None) or self.transport
        except LocalProtocolError:
            return self.transport


def check_headers(headers: Sequence[tuple[str, str]]) -> None:
    """Refuse headers that the user may not give.

    Raises:
        LocalProtocolError: the header is ours to write, its name is not a token, or it has a line break.
    """
    for name, _ in Headers(headers).items():
        if name.lower() in _OURS:
            raise LocalProtocolError(f"the header {name} is written by the call itself and cannot be given")


def all_headers(target: Uri, given: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    """The user's headers of an INVITE: those given, and those behind the `?` of the target (§19.1.5).

    Raises:
        LocalProtocolError: a header is not the user's to give (see `check_headers`), or stands in both places.
    """
    in_uri = target.request_headers()
    headers = [*given, *in_uri]
    check_headers(headers)
    names = {name.lower() for name, _ in given}
    for name, _ in in_uri:
        if name.lower() in names:
            raise LocalProtocolError(
                f'the header {name} is given twice: after the "?" of the URI, and beside it'
            )
    return headers


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
    extensions: Sequence[tuple[str, str]] = (),
) -> Request:
    """The INVITE that begins a call (RFC 3261 §8.1.1, §13.2.1); `body` is the offer, empty for a late one."""
    hop = hop_uri(target, [NameAddr(proxy) for proxy in route])
    fields = Headers()
    fields.set_via(reach.via(branch, towards=hop))
    for proxy in route:
        fields.add("Route", str(NameAddr(proxy)))
    fields.add("Max-Forwards", "70")
    fields.add("From", str(from_))
    fields.add("To", str(NameAddr(target.as_request_uri())))
    fields.add("Call-ID", sip_call_id)
    fields.add("CSeq", "1 INVITE")
    fields.add(*reach.contact)
    fields.add(*ALLOW)
    for name, value in [*extensions, *headers]:
        fields.add(name, value)
    if "User-Agent" not in fields:
        fields.add("User-Agent", PRODUCT)
    if body:
        fields.add("Content-Type", SDP)
    return Request("INVITE", target.as_request_uri(), fields, body)


def again(
    request: Request,
    *,
    via: Via,
    cseq: int,
    uri: Uri | None = None,
    credentials: Sequence[tuple[str, str]] | None = None,
    changes: Sequence[tuple[str, str]] = (),
) -> Request:
    """The same request once more, in a new transaction (RFC 3261 §8.1.3.5): nothing else of it changes.

    Args:
        request: what was refused.
        via: our Via with a new branch.
        cseq: the next number.
        uri: another Request-URI, after a redirection.
        credentials: all Authorization and Proxy-Authorization headers; None keeps those it has.
        changes: headers in place of those it has: Session-Expires and Min-SE after a 422.
    """
    headers = request.headers.copy()
    headers.set_via(via)
    headers.set("CSeq", f"{cseq} {request.method}")
    if credentials is not None:
        headers.remove("Authorization")
        headers.remove("Proxy-Authorization")
        for name, value in credentials:
            headers.add(name, value)
    for name, value in changes:
        headers.set(name, value)
    return Request(request.method, uri or request.uri, headers, request.body)


def credentials_in(request: Request) -> list[tuple[str, str]]:
    """The credentials a request carries, which the ACK to its 2xx repeats (RFC 3261 §22.1)."""
    names = ("Authorization", "Proxy-Authorization")
    return [(name, value) for name in names for value in request.headers.get_all(name)]
