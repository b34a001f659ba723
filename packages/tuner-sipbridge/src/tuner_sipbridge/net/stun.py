"""STUN binding: which address a NAT shows for a socket (RFC 8489), as far as one question and its answer go."""

from __future__ import annotations

import ipaddress
import struct
from collections.abc import Iterator

from tuner_sipbridge.rtp.packet import is_stun
from tuner_sipbridge.sip.routing import Address

DEFAULT_PORT = 3478
TRANSACTION_ID_OCTETS = 12

_HEADER = struct.Struct("!HHI12s")
_ATTRIBUTE = struct.Struct("!HH")
_COOKIE = 0x2112A442
_REQUEST, _SUCCESS, _ERROR = 0x0001, 0x0101, 0x0111
_MAPPED, _ERROR_CODE, _XOR_MAPPED = 0x0001, 0x0009, 0x0020
_OCTETS = {1: 4, 2: 16}


def binding_request(transaction_id: bytes) -> bytes:
    """The question; `transaction_id` is 12 octets by which its answer is known (RFC 8489 §5)."""
    return _HEADER.pack(_REQUEST, 0, _COOKIE, transaction_id)


def mapped_address(data: bytes, transaction_id: bytes) -> Address | None:
    """The address in the answer to our question; None when the datagram is not that answer, or has none."""
    plain = None
    for name, value in _attributes(data, _SUCCESS, transaction_id):
        if name == _XOR_MAPPED and (found := _address(value, struct.pack("!I", _COOKIE) + transaction_id)):
            return found
        if name == _MAPPED:
            plain = _address(value, bytes(16))
    return plain


def refusal(data: bytes, transaction_id: bytes) -> int | None:
    """The code of an error response to our question (RFC 8489 §14.8); None when the datagram is none."""
    for name, value in _attributes(data, _ERROR, transaction_id):
        if name == _ERROR_CODE and len(value) >= 4:
            return (value[2] & 7) * 100 + value[3]
    return None


def _attributes(data: bytes, kind: int, transaction_id: bytes) -> Iterator[tuple[int, bytes]]:
    """Type and value of each attribute of an answer of this kind to our question; none of anything else."""
    if not is_stun(data):
        return
    its_kind, length, _, answered = _HEADER.unpack_from(data)
    at, end = _HEADER.size, _HEADER.size + length
    if its_kind != kind or answered != transaction_id or len(data) < end:
        return
    while at + _ATTRIBUTE.size <= end:
        name, size = _ATTRIBUTE.unpack_from(data, at)
        yield name, data[at + _ATTRIBUTE.size : at + _ATTRIBUTE.size + size]
        at += _ATTRIBUTE.size + (size + 3) // 4 * 4


def _address(value: bytes, mask: bytes) -> Address | None:
    """An address attribute, unmasked (RFC 8489 §14.1, §14.2)."""
    octets = _OCTETS.get(value[1], 0) if len(value) > 1 else 0
    if not octets or len(value) != 4 + octets:
        return None
    port = int.from_bytes(_unmasked(value[2:4], mask))
    return str(ipaddress.ip_address(_unmasked(value[4:], mask))), port


def _unmasked(value: bytes, mask: bytes) -> bytes:
    return bytes(octet ^ other for octet, other in zip(value, mask, strict=False))
