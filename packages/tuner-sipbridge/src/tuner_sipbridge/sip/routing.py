"""Where a message goes: next hop of a request, way back of a response. Names are not resolved here."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Literal, TypeAlias, cast

from tuner_sipbridge.errors import LocalProtocolError, RemoteProtocolError
from tuner_sipbridge.sip.grammar import bracketed
from tuner_sipbridge.sip.headers import NameAddr
from tuner_sipbridge.sip.message import Request
from tuner_sipbridge.sip.uri import Uri

Address: TypeAlias = tuple[str, int]
"""Host (name or address) and port."""
Transport: TypeAlias = Literal["udp", "tcp", "tls"]
"""The transports that are spoken, as a URI's `transport` parameter names them."""

_MOST_OCTETS_OVER_UDP = 1300
_PRIVATE = tuple(
    ipaddress.IPv4Network(block)
    for block in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10")
)
"""Networks that only their own hosts reach (RFC 1918 §3, RFC 6598 §7)."""
_HOSTS_KNOWN = 256


@dataclass(frozen=True, slots=True)
class Failed:
    """A target that a request was sent to in vain.

    Attributes:
        hop: the target.
        why: in plain words.
        for_s: seconds for which others are tried before it.
    """

    hop: Hop
    why: str
    for_s: float


@dataclass(frozen=True, slots=True)
class Sought:
    """A name that a request goes to, to be located before it can be sent (RFC 3263 §4).

    Attributes:
        uri: what of the URI says where it leads: scheme, host, port, `transport` and `maddr`.
        transport: preferred where neither the URI nor its domain says one.
        failed: where the request was sent before.
    """

    uri: Uri
    transport: Transport
    failed: tuple[Failed, ...] = ()


@dataclass(frozen=True, slots=True)
class Hop:
    """One end of a message's way: where it goes, or where it came from.

    Attributes:
        transport: what carries it.
        host: name or address, IPv6 without brackets.
        port: 1 to 65535.
        flow: over TCP and TLS, the far address of the connection to use as long as it stands; `host` and `port`
            are connected to when it is gone (RFC 3261 §18.2.2, RFC 5923). Over UDP only the address itself: it is
            the one that a NAT shows, and stands for every Contact behind it.
        name: whom the far end's certificate must name, `host` when None: an address that was looked up for a
            name must still prove that name (RFC 5922 §4).
        sought: what `host` is to be located by when it is a name; None when it is an address, or need not be.
        for_length: the message goes over TCP only because it is too long for UDP (RFC 3261 §18.1.1).
    """

    transport: Transport
    host: str
    port: int
    flow: Address | None = None
    name: str | None = None
    sought: Sought | None = field(default=None, compare=False, repr=False)
    for_length: bool = field(default=False, compare=False)

    def __str__(self) -> str:
        return f"{self.transport} {bracketed(self.host)}:{self.port}"

    @property
    def address(self) -> Address:
        """Host and port."""
        return self.host, self.port

    @property
    def is_stream(self) -> bool:
        """Whether a connection carries it: TCP and TLS."""
        return self.transport != "udp"


def is_loose(route: NameAddr) -> bool:
    """True when the URI of a route has `lr`: a router that follows RFC 3261 §16.12."""
    return route.uri.param("lr") is not None


def next_hop(request: Request, towards: Uri | None = None) -> Hop:
    """Where a request of ours is sent (RFC 3261 §8.1.2), over the transport that its topmost Via names.

    Args:
        request: with its routes.
        towards: the strict router that its route set begins with. Its URI is the Request-URI, and the routes behind
            it do not tell: the first of them may be a loose router. None sends to the topmost Route when that is a
            loose router, and to the Request-URI otherwise.
    """
    transport = transport_in_via(request.via.transport)
    uri = towards or hop_uri(request.uri, request.routes)
    host, port = address_of(uri, tls=transport == "tls")
    return Hop(transport, host, port, sought=None if is_address(host) else _sought(uri, transport))


def _sought(uri: Uri, transport: Transport) -> Sought | None:
    """What a URI says of its way; over TLS nothing else is looked for, whatever it says (RFC 3261 §26.2.2)."""
    if not uri.is_sip:
        return None
    kept = {"maddr"} if transport == "tls" else {"maddr", "transport"}
    params = tuple(pair for pair in uri.params if pair[0].lower() in kept)
    scheme = "sips" if transport == "tls" else "sip"
    return Sought(Uri(scheme, host=uri.host, port=uri.port, params=params), transport)


def hop_uri(uri: Uri, routes: Sequence[NameAddr]) -> Uri:
    """The URI that says where a request with this Request-URI and these routes is sent (RFC 3261 §8.1.2)."""
    return routes[0].uri if routes and is_loose(routes[0]) else uri


def address_of(uri: Uri, *, tls: bool = False) -> Address:
    """Host and port of a SIP URI; `maddr` names the host to send to in place of the URI's own (§19.1.1).

    Args:
        uri: a sip or sips URI.
        tls: the message goes over TLS whether or not the URI says so: port 5061 when the URI names none.
    """
    host, port = uri.host_port
    return uri.param("maddr") or host, uri.port or (5061 if tls else port)


def transport_of(uri: Uri) -> Transport | None:
    """The transport that a SIP URI asks for, None when it leaves that open (RFC 3261 §19.1.1, §26.2.2).

    A sips URI asks for TLS, also with `transport=tcp`: TLS runs on it.

    Raises:
        LocalProtocolError: it asks for another than UDP, TCP and TLS, for sips over UDP, or is no SIP URI.
    """
    match uri.scheme, uri.transport:
        case "sips", None | "tcp" | "tls":
            return "tls"
        case "sips", "udp":
            raise LocalProtocolError(
                "sips URI: it asks for TLS, which transport=udp cannot carry; take one away"
            )
        case "sip", None:
            return None
        case "sip", ("udp" | "tcp" | "tls") as transport:
            return transport
        case ("sip" | "sips") as scheme, transport:
            raise LocalProtocolError(
                f"{scheme} URI: transport={transport} is not spoken; udp, tcp and tls are, and sips: for TLS"
            )
        case scheme, _:
            raise LocalProtocolError(
                f"{scheme} URI: only sip and sips URIs lead somewhere by themselves; a tel URI needs a trunk (--trunk)"
            )


def transport_in_via(name: str) -> Transport:
    """The transport of a Via that is in upper case; one that is not spoken counts as UDP."""
    return cast(Transport, name.lower()) if name in {"TCP", "TLS"} else "udp"


@lru_cache(_HOSTS_KNOWN)
def is_address(host: str) -> bool:
    """Whether a host is an IP address, IPv6 with or without brackets, and no name."""
    try:
        ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return False
    return True


def is_too_long_for_udp(request: Request) -> bool:
    """Whether a request must go over a stream, since fragments of a datagram get lost (RFC 3261 §18.1.1)."""
    return len(request.to_bytes()) > _MOST_OCTETS_OVER_UDP


def way_back(request: Request, source: Hop | None = None) -> Hop:
    """Where the responses to a request go (RFC 3261 §18.2.2, RFC 3581 §4).

    Over UDP to the source that `note_source` wrote down; over TCP and TLS on the connection that the request
    came on, or when that is gone to the sent-by port of the address it came from.

    Args:
        request: as it stands after `note_source`.
        source: where it came from; the Via alone says it when None.
    """
    via = request.via
    transport = source.transport if source else transport_in_via(via.transport)
    if transport == "udp":
        return Hop(transport, *via.response_address)
    port = via.port or (5061 if transport == "tls" else 5060)
    return Hop(transport, via.received or via.host, port, flow=source.address if source else None)


def sent_by(request: Request, transport: Transport) -> Hop:
    """Where the sender of a request says that it is reached: sent-by of the topmost Via (RFC 3261 §18.1.1)."""
    via = request.via
    return Hop(transport, via.host, via.port or (5061 if transport == "tls" else 5060))


def way_through_nat(request: Request, source: Hop) -> Hop | None:
    """Where the sender of a request is reached when its Contact cannot be: where the request came from.

    RFC 3261 §12.2.1.1 sends what follows in a dialog to the Contact, which behind a NAT names an address of the far
    network. That is taken for granted of a user agent that came here itself (one Via, no Record-Route), from another
    address than its Contact, which is a private one.

    Args:
        request: the one that begins the dialog.
        source: where it came from.

    Returns:
        None where the Contact, or the route set, is to be followed.
    """
    try:
        vias, routes, contacts = request.vias, request.headers.get_all("Record-Route"), request.contacts
    except RemoteProtocolError:
        return None
    if len(vias) != 1 or routes or len(contacts) != 1:
        return None
    host = contacts[0].uri.host
    if not is_address(host) or ":" in host or host == source.host:
        return None
    address = ipaddress.IPv4Address(host)
    return replace(source, flow=source.address) if any(address in network for network in _PRIVATE) else None


def note_source(request: Request, source: Hop) -> None:
    """Write into the topmost Via where the request came from (RFC 3261 §18.2.1, RFC 3581 §4)."""
    first, *others = request.vias
    marked = first.received_from(*source.address)
    if marked == first:
        return
    request.headers.set("Via", ", ".join(str(via) for via in (marked, *others)))
