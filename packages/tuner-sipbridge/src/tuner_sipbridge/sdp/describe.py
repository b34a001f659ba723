"""Descriptions of our own: the lines of an audio stream, and the session around it (RFC 8866, RFC 3551, RFC 4733)."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence

from tuner_sipbridge.errors import LocalProtocolError
from tuner_sipbridge.sdp.codecs import parameters_of
from tuner_sipbridge.sdp.session import Direction, Line, MediaDescription, RtpMap, SessionDescription

DEFAULT_PTIME_MS = 20
"""The length of our packets, and what is asked of the far end."""


def audio_stream(
    port: int,
    protocol: str,
    maps: Sequence[RtpMap],
    direction: Direction,
    *,
    crypto: Sequence[Line] = (),
    rtcp_mux: bool = False,
) -> MediaDescription:
    """One audio stream of ours.

    Args:
        port: where its packets are to come to.
        protocol: profile, as `RTP/AVP`.
        maps: codecs and telephone-events, best first.
        direction: what we mean to do.
        crypto: lines of `crypto` attributes.
        rtcp_mux: whether RTCP is taken on the same port (RFC 5761 §5.1.1).

    Raises:
        LocalProtocolError: the port is none.
    """
    if not 0 < port < 65536:
        raise LocalProtocolError(f"port {port} is not from 1 to 65535")
    lines: list[Line] = []
    for one in maps:
        channels = f"/{one.channels}" if one.channels > 1 else ""
        lines.append(("a", f"rtpmap:{one.payload_type} {one.encoding}/{one.clock_rate}{channels}"))
        parameters = parameters_of(one)
        if parameters is not None:
            lines.append(("a", f"fmtp:{one.payload_type} {parameters}"))
    lines += crypto
    lines.append(("a", f"ptime:{DEFAULT_PTIME_MS}"))
    if rtcp_mux:
        lines.append(("a", "rtcp-mux"))
    lines.append(("a", direction))
    return MediaDescription(
        "audio", port, protocol, tuple(str(one.payload_type) for one in maps), tuple(lines)
    )


def refused(media: MediaDescription) -> MediaDescription:
    """A stream that is not taken, in its place: port 0, nothing said about it (RFC 3264 §6)."""
    return MediaDescription(media.media, 0, media.protocol, media.formats)


def session_of(
    address: str,
    session_id: int,
    version: int,
    media: Sequence[MediaDescription],
    *,
    times: Sequence[str] = ("0 0",),
) -> SessionDescription:
    """The description of a session at one address.

    Raises:
        LocalProtocolError: the address is none.
    """
    try:
        family = f"IN IP{ipaddress.ip_address(address).version} {address}"
    except ValueError:
        raise LocalProtocolError(f'media address "{address}" is not an IP address') from None
    origin = ("o", f"- {session_id} {version} {family}")
    head: tuple[Line, ...] = (origin, ("s", "-"), ("c", family), *(("t", time) for time in times))
    return SessionDescription(head, tuple(media))
