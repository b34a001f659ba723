"""Where a message goes: next hop of a request, way back of a response. Names are not resolved here."""

from __future__ import annotations

from typing import TypeAlias

from tuner_sipbridge.sip.headers import NameAddr
from tuner_sipbridge.sip.message import Request
from tuner_sipbridge.sip.uri import Uri

Address: TypeAlias = tuple[str, int]
"""Host (name or address) and port."""


def is_loose(route: NameAddr) -> bool:
    """True when the URI of a route has `lr`: a router that follows RFC 3261 §16.12."""
    return route.uri.param("lr") is not None


def next_hop(request: Request) -> Address:
    """Host and port that a request of ours is sent to (RFC 3261 §8.1.2).

    The topmost Route when it is a loose router, the Request-URI otherwise: a strict router's URI stands
    there.
    """
    routes = request.routes
    return address_of(routes[0].uri if routes and is_loose(routes[0]) else request.uri)


def address_of(uri: Uri) -> Address:
    """Host and port of a SIP URI; `maddr` names the host to send to in place of the URI's own (§19.1.1)."""
    host, port = uri.host_port
    return uri.param("maddr") or host, port


def note_source(request: Request, source: Address) -> None:
    """Write into the topmost Via where the request came from (RFC 3261 §18.2.1, RFC 3581 §4)."""
    first, *others = request.vias
    marked = first.received_from(*source)
    if marked == first:
        return
    request.headers.set("Via", ", ".join(str(via) for via in (marked, *others)))
