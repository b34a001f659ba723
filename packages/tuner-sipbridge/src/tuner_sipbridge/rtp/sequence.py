"""16-bit sequence numbers and 32-bit timestamps that wrap around (RFC 3550 §A.1, RFC 1982)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_SIGNED: dict[int, type[np.int16 | np.int32]] = {16: np.int16, 32: np.int32}


def distance(earlier: int, later: int, bits: int) -> int:
    """How far `later` lies ahead of `earlier` on a circle of `bits` bits, negative when it lies behind."""
    half = 1 << (bits - 1)
    return ((later - earlier + half) & ((1 << bits) - 1)) - half


_LINE_RATE = 8000
_MAX_DROPOUT = 3000
_MAX_MISORDER = 100
"""How far sequence numbers may jump before the source has started anew (RFC 3550 §A.1)."""


def restarts(sequence: NDArray[np.int64]) -> list[int]:
    """Where the sequence numbers of one source start anew, by index into `sequence`; the first is always 0.

    A jump counts when the next packet goes on from it: a single packet far off is a straggler.

    Args:
        sequence: 16-bit sequence numbers in order of arrival, shape (n,).
    """
    steps = np.diff(sequence).astype(np.int16).astype(np.int64)
    jumps = (steps > _MAX_DROPOUT) | (steps < -_MAX_MISORDER)
    goes_on = np.append(steps[1:] == 1, False)
    return [0, *(np.flatnonzero(jumps & goes_on) + 1).tolist()]


class ClockLine:
    """Timestamps of one source on a line of 8000 Hz, through wrap-arounds and changes of clock (RFC 7160 §4.2)."""

    def __init__(self) -> None:
        self._clock_rate = 0
        self._timestamp = self._elapsed = self._origin = self._position = 0
        self._at = 0.0

    def scaled(self, timestamp: int, clock_rate: int, at: float) -> int:
        """A 32-bit timestamp as one of 8000 Hz.

        Args:
            timestamp: as the packet has it.
            clock_rate: units of it in a second.
            at: when the packet arrived, in seconds: another clock than the packet's before begins there.
        """
        if clock_rate != self._clock_rate:
            passed = round((at - self._at) * _LINE_RATE) if self._clock_rate else timestamp
            self._origin, self._elapsed = self._position + passed, 0
            self._clock_rate = clock_rate
        else:
            self._elapsed += distance(self._timestamp, timestamp, 32)
        self._timestamp, self._at = timestamp, at
        self._position = self._origin + self._elapsed * _LINE_RATE // clock_rate
        return self._position & 0xFFFFFFFF


def unwrap(values: NDArray[np.integer], bits: int) -> NDArray[np.int64]:
    """Values of a circular counter as one growing line that starts with the first of them.

    Each value is taken as the nearest to the one before it, so that a late packet stays late and a wrap is a step
    of one.

    Args:
        values: counter values in order of arrival, shape (n,).
        bits: 16 or 32.

    Returns:
        Shape (n,), congruent to `values`; `result[0] == values[0]`.
    """
    line = np.array(values, np.int64)
    if len(line) > 1:
        steps = np.diff(line).astype(_SIGNED[bits])
        line[1:] = line[0] + np.cumsum(steps, dtype=np.int64)
    return line
