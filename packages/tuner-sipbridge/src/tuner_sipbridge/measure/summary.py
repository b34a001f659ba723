"""Many values as a few: count, mean, percentiles."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self

import numpy as np


@dataclass(frozen=True, slots=True)
class Distribution:
    """A set of seconds; all None when it is empty.

    Attributes:
        count: how many.
        mean: arithmetic mean.
        p50: median.
        p90: 90th percentile, linear between the two nearest values.
        p95: 95th percentile.
        maximum: the largest.
    """

    count: int = 0
    mean: float | None = None
    p50: float | None = None
    p90: float | None = None
    p95: float | None = None
    maximum: float | None = None

    @classmethod
    def of(cls, values: Iterable[float | None]) -> Self:
        """The distribution of the values that are known."""
        known = np.array([value for value in values if value is not None], dtype=np.float64)
        if known.size == 0:
            return cls()
        p50, p90, p95 = (float(value) for value in np.percentile(known, [50, 90, 95]))
        return cls(known.size, float(known.mean()), p50, p90, p95, float(known.max()))

    def to_json(self) -> dict[str, float | int | None]:
        """Count, and mean, p50, p90, p95, max in milliseconds."""
        milliseconds = {
            "mean": self.mean,
            "p50": self.p50,
            "p90": self.p90,
            "p95": self.p95,
            "max": self.maximum,
        }
        rounded = {name: None if s is None else round(s * 1000, 1) for name, s in milliseconds.items()}
        return {"count": self.count, **rounded}
