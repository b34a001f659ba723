"""How evenly packets arrived: deviation from each call's own 20 ms grid, by the receiver's kernel timestamps."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

PACKET_MS = 20.0
ENTRY = np.dtype(
    [
        ("call", "=u4"),
        ("flags", "u1"),
        ("marker_and_type", "u1"),
        ("sequence", ">u2"),
        ("timestamp", ">u4"),
        ("ssrc", ">u4"),
        ("seconds", "=i8"),
        ("nanoseconds", "=i8"),
    ]
)
"""One packet in the far end's log: call, RTP header, arrival."""
_FEWEST = 20


@dataclass(frozen=True, slots=True)
class Pacing:
    """What one window of a run looked like at the receiver.

    Attributes:
        calls: calls that sent in the window.
        packets: packets received in it, duplicates included.
        p50_ms: |deviation from the grid|, median over all packets.
        p99_ms: 99th percentile.
        max_ms: maximum.
        loss: share of sequence numbers that did not arrive.
        rate: packets a second of the median call; 50 is right.
    """

    calls: int
    packets: int
    p50_ms: float
    p99_ms: float
    max_ms: float
    loss: float
    rate: float


def pacing_of(log: Path, *, since_ns: int, until_ns: int) -> Pacing | None:
    """Judge the packets that arrived in a window, None when no call sent steadily in it.

    A call's grid is its sequence numbers times 20 ms, laid so that the median packet is on it: a call's phase is no
    error, a drift or a doubled packet is.

    Args:
        log: the far end's log.
        since_ns: begin of the window, Unix time.
        until_ns: end of the window.
    """
    entries = np.fromfile(log, ENTRY)
    arrivals = entries["seconds"] * 1_000_000_000 + entries["nanoseconds"]
    inside = (arrivals >= since_ns) & (arrivals < until_ns)
    entries, arrivals = entries[inside], arrivals[inside]
    order = np.lexsort((arrivals, entries["call"]))
    calls, sequences, arrivals = entries["call"][order], entries["sequence"][order], arrivals[order]
    cuts = np.flatnonzero(np.diff(calls)) + 1
    deviations: list[NDArray[np.float64]] = []
    rates: list[float] = []
    missing = expected = 0
    for sequence, arrival in zip(np.split(sequences, cuts), np.split(arrivals, cuts), strict=True):
        if len(sequence) < _FEWEST:
            continue
        steps = (np.diff(sequence.astype(np.int64)) + 0x8000) % 0x10000 - 0x8000
        position = np.concatenate(([0], np.cumsum(steps)))
        at_ms = (arrival - arrival[0]) / 1e6
        offset = at_ms - PACKET_MS * position
        deviations.append(np.abs(offset - np.median(offset)))
        span = int(position.max() - position.min()) + 1
        missing += span - len(np.unique(position))
        expected += span
        rates.append((len(position) - 1) / (at_ms[-1] - at_ms[0]) * 1000)
    if not deviations:
        return None
    every = np.concatenate(deviations)
    p50, p99 = np.percentile(every, [50, 99])
    return Pacing(
        calls=len(rates),
        packets=len(every),
        p50_ms=float(p50),
        p99_ms=float(p99),
        max_ms=float(every.max()),
        loss=missing / expected,
        rate=float(np.median(rates)),
    )
