"""How many channels an audio file has, read from its first bytes."""

from __future__ import annotations

import struct

HEADER_BYTES = 4096
"""So much of a file is enough to tell."""


def channels_in(header: bytes) -> int | None:
    """The number of channels of a WAV or Ogg file, None for other formats and damaged headers.

    Read by hand because `wave` opens plain PCM only, and recorders of telephone calls also write G.711 and
    `WAVE_FORMAT_EXTENSIBLE`.

    Args:
        header: the file's first `HEADER_BYTES` bytes, or all of a shorter file.
    """
    if header[:4] in {b"RIFF", b"RF64"} and header[8:12] == b"WAVE":
        return _in_wav(header)
    if header[:4] == b"OggS":
        return _in_ogg(header)
    return None


def _in_wav(header: bytes) -> int | None:
    """The `fmt ` chunk begins with the format's tag and the channels, 16 bits each."""
    at = 12
    while at + 12 <= len(header):
        name, size = header[at : at + 4], struct.unpack_from("<I", header, at + 4)[0]
        if name == b"fmt ":
            return int(struct.unpack_from("<H", header, at + 10)[0]) or None
        at += 8 + size + size % 2
    return None


def _in_ogg(header: bytes) -> int | None:
    """The first packet follows the first page's table of segments (RFC 3533 §6).

    Opus: RFC 7845 §5.1. Vorbis: specification, §4.2.2.
    """
    if len(header) < 27:
        return None
    packet = header[27 + header[26] :]
    if packet.startswith(b"OpusHead") and len(packet) > 9:
        return packet[9] or None
    if packet.startswith(b"\x01vorbis") and len(packet) > 11:
        return packet[11] or None
    return None
