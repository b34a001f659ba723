"""The description of a provider's SIP edge."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal, TypeAlias

from tuner_sipbridge.sip.uri import Uri

Transport: TypeAlias = Literal["udp", "tcp", "tls"]
Codec: TypeAlias = Literal["PCMU", "PCMA", "G722", "opus"]
Admission: TypeAlias = Literal["digest", "address", "digest or address", "open"]
"""How callers are let in: by user name and password, by their address, by either, or all of them."""
SrtpUse: TypeAlias = Literal["off", "optional", "required"]


@dataclass(frozen=True, slots=True)
class Quirk:
    """One thing to know.

    Attributes:
        text: what it is, and what to do.
        source: page of the provider, or thread of its developers, that says so.
    """

    text: str
    source: str


@dataclass(frozen=True, slots=True)
class Meaning:
    """What a status means at this provider.

    Attributes:
        means: the likely cause.
        change: what to change there.
        source: page of the provider, or thread of its developers, that says so.
        documented: the source names this status; else it is concluded from what the source says of the edge.
    """

    means: str
    change: str
    source: str
    documented: bool = True


@dataclass(frozen=True, slots=True)
class SessionTimer:
    """Which session timer (RFC 4028) a call there should have.

    Attributes:
        interval_s: session interval to ask for, None for calls without session timer.
        refresher: who is to refresh; None lets the edge choose.
        source: page of the provider, or thread of its developers, that says so.
    """

    interval_s: int | None
    refresher: Literal["us", "peer"] | None
    source: str


@dataclass(frozen=True, slots=True)
class Provider:
    """One provider's edge.

    Attributes:
        name: what `--provider` takes.
        title: its name as it writes it.
        uri: what the URIs look like that reach an agent there.
        documentation: the page that the description is from.
        hosts: the ends of its host names, by which a URI is recognised; empty for software that runs anywhere.
        transports: what it speaks, the one to be used first; None when it is not documented, or the operator decides.
        ports: port by transport, where it is not 5060 (5061 over TLS).
        codecs: which of the codecs a caller may have it takes, preferred first; empty when it is not documented.
        admission: how callers are let in; None when it is not documented, or the operator decides.
        registers: whether a caller may or must REGISTER; None when it is not documented.
        srtp: what to offer by each transport, `off` where nothing is said.
        media: where its RTP comes from, for firewalls; empty when it is not documented.
        headers: fields that every INVITE to it should have.
        session_timer: which one to ask for; None where nothing is said: 1800 s, refreshed by whom the edge chooses.
        reliable: what to do about reliable provisional responses (RFC 3262); None where nothing is said: they are
            acknowledged where the edge sends them.
        sources: where a fact is from that `documentation` does not tell, by the name of its attribute.
        quirks: what else to know.
        meanings: what a final status most likely means there.
    """

    name: str
    title: str
    uri: str
    documentation: str
    hosts: tuple[str, ...] = ()
    transports: tuple[Transport, ...] | None = None
    ports: Mapping[Transport, int] = field(default_factory=dict[Transport, int])
    codecs: tuple[Codec, ...] = ()
    admission: Admission | None = None
    registers: bool | None = None
    srtp: Mapping[Transport, SrtpUse] = field(default_factory=dict[Transport, SrtpUse])
    media: str = ""
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    session_timer: SessionTimer | None = None
    reliable: Literal["no", "supported", "required"] | None = None
    sources: Mapping[str, str] = field(default_factory=dict[str, str])
    quirks: tuple[Quirk, ...] = ()
    meanings: Mapping[int, Meaning] = field(default_factory=dict[int, Meaning])

    def reaches(self, uri: Uri) -> bool:
        """Whether a URI's host is this provider's."""
        host = uri.host.lower().rstrip(".")
        return any(host == end.lstrip(".") or host.endswith(f".{end.lstrip('.')}") for end in self.hosts)

    def completed(self, uri: Uri) -> Uri:
        """The URI with the transport and port to be used there, where it names none.

        A port of its own stays, as does a transport. A sips URI goes over TLS anyway.
        """
        if not self.transports or uri.scheme == "sips":
            return uri
        first = self.transports[0]
        transport = uri.transport or first
        if uri.transport is None and first != "udp":
            uri = uri.with_params(transport=first)
        port = next((number for name, number in self.ports.items() if name == transport), None)
        return uri if uri.port is not None or port is None else replace(uri, port=port)

    def srtp_over(self, transport: str) -> SrtpUse:
        """What to offer for the media when the signalling goes by `transport`."""
        uses: list[SrtpUse] = [use for name, use in self.srtp.items() if name == transport.lower()]
        return uses[0] if uses else "off"

    def advice(self, status: int) -> str:
        """What a final status most likely means there and what to change; empty when nothing is known."""
        meaning = self.meanings.get(status)
        if meaning is None:
            return ""
        says = "this means" if meaning.documented else "this most likely means"
        return f"at {self.title} {says}: {meaning.means}; {meaning.change}"
