"""What a trace holds, as messages again, and what kind of address a host is."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal, TypeAlias

from tuner_sipbridge.errors import RemoteProtocolError
from tuner_sipbridge.sdp.codecs import EVENTS
from tuner_sipbridge.sdp.session import SessionDescription
from tuner_sipbridge.sip.grammar import split_host_port
from tuner_sipbridge.sip.message import Message, Request, Response
from tuner_sipbridge.sip.parser import parse_datagram
from tuner_sipbridge.sip.uri import Uri
from tuner_sipbridge.trace import Trace

Scope: TypeAlias = Literal["public", "private", "loopback", "nowhere", "a name"]
"""Where an address is known: everywhere, in one network, on one machine, nowhere at all."""

# Of documentation and benchmarks (RFC 5737, RFC 3849, RFC 2544): what an example left behind.
_EXAMPLES = tuple(
    ipaddress.ip_network(text)
    for text in ("192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24", "198.18.0.0/15", "2001:db8::/32")
)
# Behind the NAT of a carrier (RFC 6598), which ipaddress calls neither private nor global.
_CARRIER_NAT = ipaddress.ip_network("100.64.0.0/10")


_USERINFO = re.compile(r"(?<![^\s@<>\"])[^\s@<>\"]+(?=@)")
_PASSWORD = re.compile(r"(\bsips?:[^:]+:).+", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Heard:
    """A response that came.

    Attributes:
        at: when, Unix seconds.
        peer: address it came from.
        response: itself.
    """

    at: float
    peer: str
    response: Response


def answers(trace: Trace, method: str) -> list[Heard]:
    """The responses to requests of a method, in order."""
    found: list[Heard] = []
    for event in trace.of("sip.received"):
        message = _message(str(event.fields.get("message", "")))
        if isinstance(message, Response) and message.cseq.method == method:
            found.append(Heard(event.at, host_of(str(event.fields.get("peer", ""))), message))
    return found


def requests(trace: Trace, method: str, *, sent: bool = True) -> list[tuple[float, Request]]:
    """The requests of a method that were sent, or received, in order; repeats included."""
    found: list[tuple[float, Request]] = []
    for event in trace.of("sip.sent" if sent else "sip.received"):
        message = _message(str(event.fields.get("message", "")))
        if isinstance(message, Request) and message.method == method:
            found.append((event.at, message))
    return found


def answered_session(trace: Trace) -> SessionDescription | None:
    """The far end's session description: of its 2xx, else the last of a provisional response."""
    for heard in sorted(answers(trace, "INVITE"), key=lambda one: one.response.status >= 200, reverse=True):
        session = _session(heard.response)
        if session is not None and heard.response.status < 300:
            return session
    return None


def offered_host(trace: Trace) -> str:
    """Host that our own session description names for the media; empty when there is none."""
    # With a late offer it stands in the ACK.
    for _, request in [*requests(trace, "INVITE"), *requests(trace, "ACK")]:
        session = _session(request)
        if session is not None and session.media:
            return session.address_of(session.media[0]) or ""
    return ""


def scope_of(host: str) -> Scope:
    """Where an address is known."""
    try:
        address = ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return "a name"
    if address.is_loopback:
        return "loopback"
    if (
        address.is_unspecified
        or address.is_multicast
        or address.is_link_local
        or any(address in network for network in _EXAMPLES if network.version == address.version)
    ):
        return "nowhere"
    if address.version == 4 and address in _CARRIER_NAT:
        return "private"
    if address.is_private:
        return "private"
    return "nowhere" if address.is_reserved else "public"


def _session(message: Message) -> SessionDescription | None:
    if not message.body:
        return None
    try:
        return SessionDescription.parse(message.body)
    except RemoteProtocolError:
        return None


def host_of(peer: str) -> str:
    """The host of `host:port`."""
    found = split_host_port(peer)
    return found[0] if found is not None else peer.rpartition(":")[0]


@lru_cache(maxsize=256)
def _message(text: str) -> Message | None:
    """A message as the trace keeps it; without its secrets it may be shorter than it says."""
    # What stands for a secret has characters that no URI takes.
    head, _, body = text.replace("<removed>", "removed").partition("\r\n\r\n")
    lines = [line for line in head.split("\r\n") if not line.lower().startswith("content-length:")]
    octets = body.encode("utf-8", "replace")
    lines.append(f"Content-Length: {len(octets)}\r\n\r\n")
    try:
        return parse_datagram("\r\n".join(lines).encode("utf-8", "replace") + octets)
    except RemoteProtocolError:
        return None


def far_hosts(trace: Trace) -> Iterator[str]:
    """The addresses that SIP came from, the last first."""
    for event in reversed(list(trace.of("sip.received"))):
        yield host_of(str(event.fields.get("peer", "")))


def takes_keys(trace: Trace) -> bool:
    """Whether the far end's answer has telephone-events."""
    session = answered_session(trace)
    return session is not None and any(
        codec.encoding.lower() == EVENTS
        for media in session.media
        if media.media == "audio" and media.port
        for codec in media.codecs
    )


def took(seconds: float) -> str:
    """A span of time in words: milliseconds below a second."""
    seconds = max(0.0, seconds)
    return f"{seconds * 1000:.0f} ms" if seconds < 1 else f"{seconds:.1f} s"


def without_password(text: str) -> str:
    """A URI as the user gave it, without the password in it."""
    return _USERINFO.sub(lambda found: _PASSWORD.sub(r"\g<1>removed", found[0]), text)


def redirected_to(target: str) -> str:
    """The host that a redirection names: who is meant there is not for a terminal."""
    try:
        return Uri.parse(target).host
    except RemoteProtocolError:
        return "an address that is none"
