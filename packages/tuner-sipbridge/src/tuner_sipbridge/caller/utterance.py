"""One rendered utterance: trimmed, levelled, at 8 kHz, with the exact sample where speech ends."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

SAMPLE_RATE = 8000
NORMAL_LEVEL_DBOV = -20.0
"""RMS of the voiced part relative to full scale: a usual active speech level (ITU-T P.56) of telephony."""
FLOOR_DB = -35.0
"""A window this far below the active level is silence."""
WINDOW_SAMPLES = 80
"""10 ms: the grain in which silence is told from speech."""
LEAD_SAMPLES = 160
"""Silence kept before the first voiced window, so that its attack is not cut."""
TAIL_SAMPLES = 320
"""Silence kept behind the last voiced window."""
FRAME_SAMPLES = 160
PEAK = 0.97 * 32767


@dataclass(frozen=True, slots=True)
class Utterance:
    """Speech ready to be sent.

    Attributes:
        pcm: shape (n,), int16, 8000 Hz, n a multiple of 160 (whole packets).
        speech_started_at_samples: index of the first voiced sample.
        speech_ended_at_samples: index one past the last voiced sample; the sound behind it is silence.
    """

    pcm: NDArray[np.int16]
    speech_started_at_samples: int
    speech_ended_at_samples: int

    @property
    def duration_s(self) -> float:
        """Length in seconds, with the silence at both ends."""
        return len(self.pcm) / SAMPLE_RATE

    @classmethod
    def of(cls, pcm: NDArray[np.floating] | NDArray[np.int16], *, volume_db: float = 0.0) -> Utterance:
        """Trim the silence at both ends, bring the voiced part to its level, fill up the last packet.

        Args:
            pcm: one channel at 8000 Hz, int16 or float in int16's range.
            volume_db: gain over the normal level of -20 dBov.

        Raises:
            ValueError: there is no sound in `pcm`.
        """
        samples = np.asarray(pcm, dtype=np.float64)
        voiced = _voiced_windows(samples)
        if voiced.size == 0:
            raise ValueError("the audio is silent")
        first, last = int(voiced[0]) * WINDOW_SAMPLES, (int(voiced[-1]) + 1) * WINDOW_SAMPLES
        start, end = max(0, first - LEAD_SAMPLES), min(len(samples), last + TAIL_SAMPLES)
        levelled = _levelled(samples, voiced, NORMAL_LEVEL_DBOV + volume_db)[start:end]
        whole = np.zeros(-(-len(levelled) // FRAME_SAMPLES) * FRAME_SAMPLES, np.int16)
        whole[: len(levelled)] = np.rint(levelled).astype(np.int16)
        return cls(whole, first - start, min(last, len(samples)) - start)


def _window_rms(samples: NDArray[np.float64]) -> NDArray[np.float64]:
    padded = np.zeros(-(-len(samples) // WINDOW_SAMPLES) * WINDOW_SAMPLES)
    padded[: len(samples)] = samples
    return np.sqrt(np.mean(padded.reshape(-1, WINDOW_SAMPLES) ** 2, axis=1))


def _voiced_windows(samples: NDArray[np.float64]) -> NDArray[np.intp]:
    rms = _window_rms(samples)
    loudest = float(np.max(rms, initial=0.0))
    if loudest < 1.0:
        return np.array([], dtype=np.intp)
    active = rms[rms > loudest * 0.05]
    level = float(np.sqrt(np.mean(active**2)))
    return np.flatnonzero(rms > level * 10 ** (FLOOR_DB / 20))


def _levelled(
    samples: NDArray[np.float64], voiced: NDArray[np.intp], level_dbov: float
) -> NDArray[np.float64]:
    rms = float(np.sqrt(np.mean(_window_rms(samples)[voiced] ** 2)))
    gain = 32768 * 10 ** (level_dbov / 20) / rms
    peak = float(np.max(np.abs(samples)))
    return samples * min(gain, PEAK / peak)
