"""How late packets left: one histogram a row, cheap enough to keep for every packet."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_EDGES = np.concatenate([[0.0], np.geomspace(20e-6, 2.0, 100)])
"""Lower edges of the bins in seconds: below 20 µs one bin, then 12 % from edge to edge up to 2 s."""


class LatenessTable:
    """Counts of lateness for some rows; a row's figures are right to one bin, its maximum is exact."""

    def __init__(self, rows: int) -> None:
        self._counts = np.zeros((rows, len(_EDGES)), np.uint32)
        self._most = np.zeros(rows)

    def grow(self, rows: int) -> None:
        """Make room for `rows` rows."""
        added = rows - len(self._most)
        self._counts = np.concatenate([self._counts, np.zeros((added, len(_EDGES)), np.uint32)])
        self._most = np.append(self._most, np.zeros(added))

    def move(self, source: int, target: int) -> None:
        """Let row `target` become row `source`, which is emptied."""
        self._counts[target], self._most[target] = self._counts[source], self._most[source]
        self.reset(source)

    def reset(self, row: int) -> None:
        """Forget a row."""
        self._counts[row] = 0
        self._most[row] = 0.0

    def note(self, rows: NDArray[np.intp], late_s: NDArray[np.float64]) -> None:
        """Count one packet for each of `rows` (each at most once), shape (k,) both."""
        bins = np.searchsorted(_EDGES, late_s, side="right") - 1
        self._counts[rows, np.maximum(bins, 0)] += 1
        self._most[rows] = np.maximum(self._most[rows], late_s)

    def summary(self, row: int) -> tuple[float, float, float] | None:
        """Median, 99th percentile and maximum of a row in seconds, None when nothing was counted."""
        counts = self._counts[row].cumsum()
        total = int(counts[-1])
        if not total:
            return None
        most = float(self._most[row])
        median, high = (
            float(_EDGES[min(int(np.searchsorted(counts, share * total)) + 1, len(_EDGES) - 1)])
            for share in (0.5, 0.99)
        )
        return min(median, most), min(high, most), most
