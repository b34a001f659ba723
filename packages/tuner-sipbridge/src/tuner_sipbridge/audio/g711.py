"""G.711 in numpy tables: both laws, one octet a sample at 8000 Hz (ITU-T G.711, RFC 3551 §4.5.14).

Tables are read with `take(mode="wrap")`: every index is in range already, and without the bounds pass a batch costs
less than half.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

Law: TypeAlias = Literal["PCMU", "PCMA"]

SAMPLE_RATE = 8000
"""Samples a second."""

SILENCE: Mapping[Law, int] = MappingProxyType({"PCMU": 0xFF, "PCMA": 0xD5})
"""The octet that decodes to (nearly) zero."""


def _decode_pcmu() -> NDArray[np.int16]:
    octet = ~np.arange(256, dtype=np.int32) & 0xFF
    magnitude = ((((octet & 0x0F) << 3) + 0x84) << ((octet & 0x70) >> 4)) - 0x84
    return np.where(octet & 0x80, -magnitude, magnitude).astype(np.int16)


def _decode_pcma() -> NDArray[np.int16]:
    octet = np.arange(256, dtype=np.int32) ^ 0x55
    segment = (octet & 0x70) >> 4
    step = (octet & 0x0F) << 4
    magnitude = np.where(segment == 0, step + 8, (step + 0x108) << np.maximum(segment - 1, 0))
    return np.where(octet & 0x80, magnitude, -magnitude).astype(np.int16)


def _samples() -> NDArray[np.int32]:
    """Every 16-bit sample in the order of its two's complement bits, which are the index into an encoding table."""
    return np.arange(65536, dtype=np.uint16).view(np.int16).astype(np.int32)


def _encode_pcmu() -> NDArray[np.uint8]:
    sample = _samples() >> 2
    magnitude = np.minimum(np.where(sample < 0, -sample, sample), 8158) + 33
    segment = np.floor(np.log2(magnitude)).astype(np.int32) - 5
    octet = (segment << 4) | ((magnitude >> (segment + 1)) & 0x0F)
    return (octet ^ np.where(sample < 0, 0x7F, 0xFF)).astype(np.uint8)


def _encode_pcma() -> NDArray[np.uint8]:
    sample = _samples() >> 3
    magnitude = np.where(sample < 0, -sample - 1, sample)
    segment = np.maximum(np.floor(np.log2(np.maximum(magnitude, 1))).astype(np.int32) - 4, 0)
    octet = (segment << 4) | ((magnitude >> np.maximum(segment, 1)) & 0x0F)
    return (octet ^ np.where(sample < 0, 0x55, 0xD5)).astype(np.uint8)


_DECODE: Mapping[Law, NDArray[np.int16]] = {"PCMU": _decode_pcmu(), "PCMA": _decode_pcma()}
_ENCODE: Mapping[Law, NDArray[np.uint8]] = {"PCMU": _encode_pcmu(), "PCMA": _encode_pcma()}

POWER: Mapping[Law, NDArray[np.float32]] = MappingProxyType(
    {law: np.square(table.astype(np.float32) / np.float32(32768)) for law, table in _DECODE.items()}
)
"""Power of one octet against full scale: shape (256,), 1.0 is 0 dBov."""


def encode(samples: NDArray[np.int16], law: Law) -> bytes:
    """Code linear samples.

    Args:
        samples: 16-bit samples at 8000 Hz, shape (n,).
        law: which of the two laws.

    Returns:
        n octets.
    """
    return _ENCODE[law].take(np.ascontiguousarray(samples, np.int16).view(np.uint16), mode="wrap").tobytes()


def decode(octets: bytes | bytearray | memoryview | NDArray[np.uint8], law: Law) -> NDArray[np.int16]:
    """Decode octets.

    Args:
        octets: n octets.
        law: which of the two laws.

    Returns:
        16-bit samples at 8000 Hz, shape (n,).
    """
    coded = octets if isinstance(octets, np.ndarray) else np.frombuffer(octets, np.uint8)
    return _DECODE[law].take(coded, mode="wrap")


def silence(samples: int, law: Law) -> bytes:
    """So many samples of silence, coded."""
    return bytes([SILENCE[law]]) * samples


def _translation(source: Law, target: Law) -> bytes:
    return encode(_DECODE[source], target)


_TRANSLATE: Mapping[tuple[Law, Law], bytes] = {
    ("PCMU", "PCMA"): _translation("PCMU", "PCMA"),
    ("PCMA", "PCMU"): _translation("PCMA", "PCMU"),
}


def translate(octets: bytes, source: Law, target: Law) -> bytes:
    """Octets of one law as octets of the other; the same octets when both are one law."""
    return octets if source == target else octets.translate(_TRANSLATE[source, target])
