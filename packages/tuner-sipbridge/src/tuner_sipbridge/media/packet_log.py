"""The layout in which a worker keeps received packets: nothing is worked out while the call runs.

One record a packet, behind each other: 12 octets of prefix (arrival in Unix nanoseconds, octets of payload, zero; all
little-endian), the 12 octets of the RTP header as received, the payload. A packet without audio (event, comfort
noise) has no payload here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tuner_sipbridge.rtp.packet import HEADER_SIZE

PREFIX_SIZE = 12
"""Octets before the RTP header of a record."""
OVERHEAD = PREFIX_SIZE + HEADER_SIZE
"""Octets of a record beside the payload."""

_RECORD = np.dtype(
    [
        ("arrival_ns", "<i8"),
        ("length", "<u2"),
        ("zero", "<u2"),
        ("flags", "u1"),
        ("type", "u1"),
        ("sequence", ">u2"),
        ("timestamp", ">u4"),
        ("ssrc", ">u4"),
    ]
)


class RecordFields:
    """Columns of a matrix whose rows begin as records do, to be read and written in place.

    Attributes:
        arrival_ns: Unix nanoseconds.
        length: octets of payload.
        flags: first octet of the RTP header.
        type: its second octet, marker and payload type.
        ssrc: its synchronisation source.
    """

    __slots__ = ("arrival_ns", "flags", "length", "ssrc", "type")

    def __init__(self, matrix: NDArray[np.uint8]) -> None:
        self.arrival_ns = _column(matrix, 0, np.dtype("<i8"))
        self.length = _column(matrix, 8, np.dtype("<u2"))
        self.flags = _column(matrix, 12, np.dtype("u1"))
        self.type = _column(matrix, 13, np.dtype("u1"))
        self.ssrc = _column(matrix, 20, np.dtype(">u4"))


def _column(matrix: NDArray[np.uint8], offset: int, kind: np.dtype[Any]) -> NDArray[np.integer[Any]]:
    return matrix[:, offset : offset + kind.itemsize].view(kind)[:, 0]


@dataclass(frozen=True, slots=True)
class ReceivedPackets:
    """Received packets in order of arrival, one element a packet in each array.

    Attributes:
        arrival_ns: Unix nanoseconds, int64.
        length: octets of payload, int64.
        payload_type: int64.
        marker: bool.
        sequence: 16-bit sequence numbers, int64.
        timestamp: 32-bit timestamps, int64.
        ssrc: int64.
        offset: where the payload begins in `octets`, int64.
        octets: the log itself, uint8.
    """

    arrival_ns: NDArray[np.int64]
    length: NDArray[np.int64]
    payload_type: NDArray[np.int64]
    marker: NDArray[np.bool_]
    sequence: NDArray[np.int64]
    timestamp: NDArray[np.int64]
    ssrc: NDArray[np.int64]
    offset: NDArray[np.int64]
    octets: NDArray[np.uint8]

    def __len__(self) -> int:
        return len(self.arrival_ns)


def read_log(log: bytes) -> ReceivedPackets:
    """The packets of a log."""
    octets = np.frombuffer(log, np.uint8)
    starts = _starts(octets)
    heads = (
        octets[starts[:, None] + np.arange(OVERHEAD)] if len(starts) else np.zeros((0, OVERHEAD), np.uint8)
    )
    records = np.ascontiguousarray(heads).view(_RECORD).ravel()
    return ReceivedPackets(
        arrival_ns=records["arrival_ns"].astype(np.int64),
        length=records["length"].astype(np.int64),
        payload_type=(records["type"] & 0x7F).astype(np.int64),
        marker=records["type"] >= 0x80,
        sequence=records["sequence"].astype(np.int64),
        timestamp=records["timestamp"].astype(np.int64),
        ssrc=records["ssrc"].astype(np.int64),
        offset=starts + OVERHEAD,
        octets=octets,
    )


def _starts(octets: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Where each record begins; in one step when all are of one length, as they nearly always are."""
    if not len(octets):
        return np.zeros(0, np.int64)
    lengths = octets[8:].tobytes()
    size = OVERHEAD + int.from_bytes(lengths[0:2], "little")
    if len(octets) % size == 0:
        starts = np.arange(0, len(octets), size, dtype=np.int64)
        if bool((octets[starts + 8] == octets[8]).all() and (octets[starts + 9] == octets[9]).all()):
            return starts
    found: list[int] = []
    at = 0
    while at < len(octets):
        found.append(at)
        at += OVERHEAD + int.from_bytes(lengths[at : at + 2], "little")
    return np.array(found, np.int64)
