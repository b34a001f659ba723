"""Whether a TCP or TLS connection to a far end can be made, and what its certificate says of itself."""

from __future__ import annotations

import asyncio
import ssl
from dataclasses import dataclass, replace

from tuner_sipbridge.net import clock
from tuner_sipbridge.net.connect_errors import explained
from tuner_sipbridge.net.tls import TlsSettings, alternatives_of
from tuner_sipbridge.sip.routing import Hop

_NO_CHECK_TIME = ssl.VerifyFlags(0x200000)
"""X509_V_FLAG_NO_CHECK_TIME of OpenSSL, which Python has no name for."""

_PROBE_EACH_S = 1.0
"""Hosts send few ICMP errors a second (RFC 1812 §4.3.2.8); one may be lost."""
_CLOSES_WITHIN_S = 0.2


@dataclass(frozen=True, slots=True)
class PeerCertificate:
    """What a certificate says.

    Attributes:
        names: the host names and addresses it is for (subjectAltName).
        issuer: who signed it, as far as it names an organisation or itself.
        expires_at: Unix seconds.
    """

    names: tuple[str, ...]
    issuer: str
    expires_at: float


@dataclass(frozen=True, slots=True)
class Reached:
    """What came of one attempt to connect.

    Attributes:
        seconds: how long it took, TLS handshake included.
        problem: why there is no connection, or no trust; empty when all is well.
        tls_version: such as `TLSv1.3`; empty without TLS.
        certificate: of the far end, also when it is not trusted; None without TLS, or when it could not be read.
        remedy: what to do about the problem.
    """

    seconds: float
    problem: str = ""
    tls_version: str = ""
    certificate: PeerCertificate | None = None
    remedy: str = ""


async def reach(hop: Hop, tls: TlsSettings, *, within_s: float = 5.0) -> Reached:
    """Connect once, look, and close.

    Args:
        hop: where to; over TLS its `name`, else its host, is what the certificate must be for.
        tls: whom to trust, and who we are.
        within_s: the longest time to take.

    Raises:
        LocalProtocolError: a file of the TLS settings cannot be used.
    """
    context = tls.client_context() if hop.transport == "tls" else None
    began = clock.now()
    try:
        async with asyncio.timeout(within_s):
            shown = await _connect(hop, context)
    except OSError as error:
        seconds = clock.now() - began
        words, remedy = explained(hop, error, within_s=within_s)
        if isinstance(error, TimeoutError) and hop.transport == "tls" and await _takes_tcp(hop):
            words = f"TCP is connected, but no TLS handshake came within {within_s:g} s"
            remedy = "this port may not speak TLS: check the port, or use transport=tcp"
        read = await _read_untrusted(hop, tls, within_s) if isinstance(error, ssl.SSLError) else None
        return Reached(seconds, f"{hop}: {words}", certificate=read, remedy=remedy)
    seconds = clock.now() - began
    if shown is None:
        return Reached(seconds)
    version, certificate, octets, alternatives = shown
    objection = tls.objection_to(octets, alternatives, name=hop.name or hop.host)
    words, _, remedy = objection.partition("; ")
    return Reached(
        seconds,
        f"{hop}: {words}" if words else "",
        version,
        certificate or await _read_untrusted(hop, tls, within_s),
        remedy,
    )


async def speaks_tls(hop: Hop, *, within_s: float = 2.0) -> bool:
    """Whether a port that is called over TCP takes a TLS handshake, whatever its certificate."""
    return not (
        await reach(replace(hop, transport="tls"), TlsSettings(insecure=True), within_s=within_s)
    ).problem


async def refused(hop: Hop) -> None:
    """Return when the host of `hop` says that nothing listens at its UDP port (ICMP port unreachable); else never.

    Only a connected socket is told (RFC 1122 §4.1.3.3), so one is used that sends a keep-alive (two CRLF), which
    SIP elements pass over.
    """
    loop = asyncio.get_running_loop()
    refusal: asyncio.Future[None] = loop.create_future()
    transport, _ = await loop.create_datagram_endpoint(
        lambda: _Refusal(refusal), remote_addr=(hop.host, hop.port)
    )
    try:
        while not refusal.done():
            transport.sendto(b"\r\n\r\n")
            await asyncio.wait({refusal}, timeout=_PROBE_EACH_S)
    finally:
        transport.close()


class _Refusal(asyncio.DatagramProtocol):
    """Tells of the first ICMP error."""

    def __init__(self, refusal: asyncio.Future[None]) -> None:
        self._refusal = refusal

    def error_received(self, exc: Exception) -> None:
        """Called by asyncio with what the system was told."""
        if isinstance(exc, ConnectionRefusedError) and not self._refusal.done():
            self._refusal.set_result(None)


async def _takes_tcp(hop: Hop) -> bool:
    return not (await reach(replace(hop, transport="tcp"), TlsSettings(), within_s=1.0)).problem


_Shown = tuple[str, PeerCertificate | None, bytes, tuple[tuple[str, str], ...]]


async def _connect(hop: Hop, context: ssl.SSLContext | None) -> _Shown | None:
    """Open and close a connection; over TLS: version, certificate and names where checked, and its octets."""
    name = (hop.name or hop.host) if context else None
    _, writer = await asyncio.open_connection(hop.host, hop.port, ssl=context, server_hostname=name)
    try:
        if context is None:
            return None
        tls: ssl.SSLObject = writer.get_extra_info("ssl_object")
        fields = tls.getpeercert()
        certificate = _certificate(fields) if fields else None
        return tls.version() or "", certificate, tls.getpeercert(True) or b"", alternatives_of(tls)
    finally:
        await _close(writer)


async def _close(writer: asyncio.StreamWriter) -> None:
    """Close, with no waiting for a far end that leaves close_notify without an answer, as it may (RFC 8446 §6.1)."""
    writer.close()
    try:
        async with asyncio.timeout(_CLOSES_WITHIN_S):
            await writer.wait_closed()
    except OSError:
        writer.transport.abort()


async def _read_untrusted(hop: Hop, tls: TlsSettings, within_s: float) -> PeerCertificate | None:
    """The certificate of a far end that is not trusted: fetched unseen, then believed for itself to be read.

    The ssl module reads only certificates that it has checked, so the one that was fetched is made its own CA.
    """
    careless = TlsSettings(certificate=tls.certificate, key=tls.key, insecure=True)
    try:
        async with asyncio.timeout(within_s):
            unseen = await _connect(hop, careless.client_context())
            if unseen is None:
                return None
            context = ssl.create_default_context(cadata=unseen[2])
            context.check_hostname = False
            context.verify_flags = ssl.VerifyFlags.VERIFY_X509_PARTIAL_CHAIN | _NO_CHECK_TIME
            seen = await _connect(hop, context)
    except OSError:
        return None
    return seen[1] if seen is not None else None


def _certificate(fields: ssl._PeerCertRetDictType) -> PeerCertificate:  # pyright: ignore[reportPrivateUsage]
    names = tuple(str(value) for _, value in fields.get("subjectAltName", ()))
    issuer = {str(name): str(value) for part in fields.get("issuer", ()) for name, value in part}
    return PeerCertificate(
        names,
        issuer.get("organizationName") or issuer.get("commonName") or "",
        float(ssl.cert_time_to_seconds(str(fields["notAfter"]))),
    )
