"""One RTP packet (RFC 3550 §5.1): parse with every length checked, and write; and what else comes to its port."""

from __future__ import annotations

import struct
from dataclasses import dataclass

HEADER_SIZE = 12
"""Octets of the fixed header."""

_FIXED = struct.Struct("!BBHII")
_STUN_HEADER_SIZE = 20
_STUN_COOKIE = bytes.fromhex("2112a442")
_RTCP_TYPES = range(192, 224)
"""Second octets that mean RTCP on a shared port (RFC 5761 §4)."""


@dataclass(frozen=True, slots=True)
class RtpHeader:
    """The fixed header, and where the payload lies in the datagram it was read from.

    Attributes:
        payload_type: 0 to 127.
        sequence: 16-bit sequence number.
        timestamp: 32-bit timestamp.
        ssrc: 32-bit synchronisation source.
        marker: the marker bit.
        offset: first octet of the payload, behind CSRC list and header extension.
        length: octets of payload, padding taken off.
    """

    payload_type: int
    sequence: int
    timestamp: int
    ssrc: int
    marker: bool = False
    offset: int = HEADER_SIZE
    length: int = 0

    def to_bytes(self) -> bytes:
        """The twelve octets of a header without CSRC list, extension or padding."""
        second = self.payload_type | (0x80 if self.marker else 0)
        return _FIXED.pack(0x80, second, self.sequence, self.timestamp, self.ssrc)


def is_rtcp(datagram: bytes | memoryview) -> bool:
    """Whether a datagram on an RTP port is RTCP (RFC 5761 §4)."""
    return len(datagram) >= 8 and datagram[0] >> 6 == 2 and datagram[1] in _RTCP_TYPES


def is_stun(datagram: bytes | memoryview) -> bool:
    """Whether a datagram is STUN: neither RTP, RTCP nor a SIP message begins like one (RFC 7983 §7, RFC 8489 §5)."""
    return len(datagram) >= _STUN_HEADER_SIZE and datagram[0] < 4 and datagram[4:8] == _STUN_COOKIE


def parse_header(datagram: bytes | memoryview) -> RtpHeader | None:
    """Read the header of one datagram.

    Args:
        datagram: what came in on an RTP port.

    Returns:
        The header, or None when the datagram is not RTP: another version, RTCP, or lengths that do not add up.
    """
    size = len(datagram)
    if size < HEADER_SIZE:
        return None
    fixed: tuple[int, int, int, int, int] = _FIXED.unpack_from(datagram)
    first, second, sequence, timestamp, ssrc = fixed
    if first >> 6 != 2 or second in _RTCP_TYPES:
        return None
    offset: int = HEADER_SIZE + 4 * (first & 0x0F)
    if first & 0x10:
        if size < offset + 4:
            return None
        offset += 4 + 4 * ((datagram[offset + 2] << 8) | datagram[offset + 3])
    end = size
    if first & 0x20:
        padding = datagram[-1]
        if padding == 0:
            return None
        end -= padding
    if end < offset:
        return None
    return RtpHeader(second & 0x7F, sequence, timestamp, ssrc, bool(second & 0x80), offset, end - offset)
