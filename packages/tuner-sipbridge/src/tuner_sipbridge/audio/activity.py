"""Who is speaking: an energy detector with hang-over, over many calls at once."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tuner_sipbridge.audio.g711 import POWER, SAMPLE_RATE, Law

_UNITS = 8
"""Mean power at the threshold in the units of the detector's tables, which hold one octet a sample."""


@dataclass(frozen=True, slots=True)
class SpeechThresholds:
    """When speech begins and ends.

    Attributes:
        level_dbov: mean power of a packet that counts as loud, against full scale.
        onset_s: how much loud audio makes speech.
        window_s: the longest time from one loud packet to the next within an onset.
        hangover_s: silence that ends speech; shorter ones are pauses.
    """

    level_dbov: float = -45.0
    onset_s: float = 0.040
    window_s: float = 0.060
    hangover_s: float = 0.5


class ActivityTable:
    """The detector's state, one row a call; a row sees its packets in order of arrival.

    Speech begins at the first of enough loud packets that follow each other closely and ends with the last loud one.
    The power of a sample saturates 15 dB above the threshold, so that a click does not make a packet loud.
    Times are seconds on whatever clock the caller keeps to.
    """

    def __init__(self, thresholds: SpeechThresholds, rows: int) -> None:
        self._thresholds = thresholds
        unit = 10 ** (thresholds.level_dbov / 10) / _UNITS
        self._units: dict[Law, bytes] = {
            law: np.minimum(np.rint(power / unit), 255).astype(np.uint8).tobytes()
            for law, power in POWER.items()
        }
        self._speaking = np.zeros(rows, bool)
        self._first_loud = np.zeros(rows)
        self._loud_until = np.full(rows, -np.inf)
        self._loud_s = np.zeros(rows)

    def grow(self, rows: int) -> None:
        """Make room for `rows` rows."""
        added = rows - len(self._speaking)
        self._speaking = np.append(self._speaking, np.zeros(added, bool))
        self._first_loud = np.append(self._first_loud, np.zeros(added))
        self._loud_until = np.append(self._loud_until, np.full(added, -np.inf))
        self._loud_s = np.append(self._loud_s, np.zeros(added))

    def reset(self, row: int) -> None:
        """Forget what was heard on a row."""
        self._speaking[row] = False
        self._loud_until[row] = -np.inf

    def hear(
        self, rows: NDArray[np.intp], octets: NDArray[np.uint8], law: Law, at: NDArray[np.float64]
    ) -> list[tuple[int, float]]:
        """Take one packet for each of some rows.

        Args:
            rows: which calls, each at most once, shape (k,).
            octets: their coded audio, all of one length and law, shape (k, n).
            law: G.711 law of the octets.
            at: arrival times, shape (k,).

        Returns:
            For each row on which speech began: the row and when the first loud packet arrived.
        """
        count, length = octets.shape
        # One translation of the whole batch is several times faster than a table look-up by numpy.
        units = np.frombuffer(octets.tobytes().translate(self._units[law]), np.uint8).reshape(count, length)
        loud = units.sum(axis=1, dtype=np.uint32) > _UNITS * length
        if not loud.any():
            return []
        duration_s = length / SAMPLE_RATE
        rows, at = rows[loud], at[loud]
        follows = at - self._loud_until[rows] <= self._thresholds.window_s - duration_s + 1e-6
        self._first_loud[rows] = np.where(follows, self._first_loud[rows], at)
        self._loud_s[rows] = np.where(follows, self._loud_s[rows], 0.0) + duration_s
        self._loud_until[rows] = at + duration_s
        begins = ~self._speaking[rows] & (self._loud_s[rows] >= self._thresholds.onset_s - 1e-6)
        if not begins.any():
            return []
        started = rows[begins]
        self._speaking[started] = True
        return list(zip(started.tolist(), self._first_loud[started].tolist(), strict=True))

    def settle(self, now: float) -> list[tuple[int, float]]:
        """End speech that has been silent for the hang-over.

        Returns:
            For each row on which speech ended: the row and when the last loud packet ended.
        """
        over = np.flatnonzero(self._speaking & (self._loud_until < now - self._thresholds.hangover_s))
        if not len(over):
            return []
        self._speaking[over] = False
        return list(zip(over.tolist(), self._loud_until[over].tolist(), strict=True))
