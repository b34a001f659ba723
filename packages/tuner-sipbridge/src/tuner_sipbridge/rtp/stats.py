"""Reception statistics of one RTP source (RFC 3550 §A.1, §A.3, §A.8), from the log of its packets."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import accumulate

import numpy as np
from numpy.typing import NDArray

from tuner_sipbridge.rtp.sequence import unwrap

_GAIN = 1 / 16
"""Weight of one packet in the jitter estimate (RFC 3550 §6.4.1)."""


@dataclass(frozen=True, slots=True)
class Reception:
    """Counts and times of one source.

    Attributes:
        received: packets, duplicates included.
        expected: highest less lowest sequence number, plus one.
        duplicates: packets whose sequence number had come before.
        reordered: packets that came after one with a higher sequence number, duplicates not counted.
        jitter_s: interarrival jitter after the last packet, None with fewer than two packets.
        jitter_max_s: the highest it was.
        longest_gap_s: the longest time between two arrivals, None with fewer than two packets.
    """

    received: int
    expected: int
    duplicates: int
    reordered: int
    jitter_s: float | None
    jitter_max_s: float | None
    longest_gap_s: float | None


def reception_of(
    sequence: NDArray[np.int64],
    timestamp: NDArray[np.int64],
    arrival_ns: NDArray[np.int64],
    paced: NDArray[np.bool_],
    *,
    clock_rate: int = 8000,
    payload_type: NDArray[np.int64] | None = None,
) -> Reception:
    """Work out the statistics of one source.

    Args:
        sequence: 16-bit sequence numbers in order of arrival, shape (n,), n at least 1.
        timestamp: 32-bit timestamps, shape (n,).
        arrival_ns: arrival times in nanoseconds, shape (n,).
        paced: which packets carry the timestamp of their sending, shape (n,): telephone events do not (RFC 4733
            §2.2.1), so they have no part in the jitter.
        clock_rate: timestamp units a second.
        payload_type: shape (n,): where it changes the clock may have changed too, so that the step between the two
            packets says nothing of jitter (RFC 7160 §3).
    """
    line = unwrap(sequence, 16)
    _, first = np.unique(line, return_index=True)
    is_new = np.zeros(len(line), bool)
    is_new[first] = True
    highest_before = np.concatenate([line[:1], np.maximum.accumulate(line)[:-1]])
    steady = np.ones(max(0, int(paced.sum()) - 1), bool)
    if payload_type is not None:
        steady = np.diff(payload_type[paced]) == 0
    sent_s, arrived_s = unwrap(timestamp[paced], 32) / clock_rate, arrival_ns[paced].astype(np.float64) * 1e-9
    jitter = _jitter(sent_s, arrived_s, steady)
    gaps = np.diff(np.sort(arrival_ns))
    return Reception(
        received=len(line),
        expected=int(line.max() - line.min()) + 1,
        duplicates=len(line) - len(first),
        reordered=int((is_new & (line < highest_before)).sum()),
        jitter_s=jitter[-1] if jitter else None,
        jitter_max_s=max(jitter, default=None),
        longest_gap_s=float(gaps.max()) * 1e-9 if len(gaps) else None,
    )


def _jitter(
    sent_s: NDArray[np.float64], arrived_s: NDArray[np.float64], steady: NDArray[np.bool_]
) -> list[float]:
    """The jitter estimate after each step from packet to packet that is `steady`, shape (n - 1,)."""
    if len(sent_s) < 2:
        return []
    transit = arrived_s - arrived_s[0] - sent_s
    change = np.abs(np.diff(transit))[steady].tolist()
    return list(accumulate(change, lambda jitter, d: jitter + (d - jitter) * _GAIN, initial=0.0))[1:]
