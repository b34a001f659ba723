"""Where speech is in one side of a recording: stretches of sound, to the grain of 2.5 ms."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from tuner_sipbridge.audio import g711

WINDOW_SAMPLES = 20
"""2.5 ms: the grain of every onset and end."""
QUIETEST_DBOV, LOUDEST_DBOV = -50.0, -35.0
"""The threshold follows the noise on the line between these two (RMS of a window against full scale)."""
ABOVE_NOISE_DB = 12.0
SYLLABLE_GAP_S = 0.03
"""Shorter holes in a sound are part of it (pitch periods, the closure of a consonant)."""
SHORTEST_SOUND_S = 0.04
"""A shorter sound is a click on the line, not speech."""
PHRASE_GAP_S = 0.25
"""Shorter pauses are part of an utterance."""


@dataclass(frozen=True, slots=True)
class Stretch:
    """Sound from sample `start` up to, not including, sample `end`."""

    start: int
    end: int


def speech_in(octets: NDArray[np.uint8], codec: Literal["PCMU", "PCMA"]) -> list[Stretch]:
    """The stretches of speech in one side of a recording, in order.

    A window is loud when its RMS is 12 dB above the line's noise (its 20th percentile), with the threshold
    kept between -50 and -35 dBov. Holes up to 30 ms are closed, sounds under 40 ms are dropped, and pauses up
    to 250 ms are joined.

    Args:
        octets: shape (n,), uint8, G.711.
        codec: which G.711.
    """
    level = _levels_dbov(octets, codec)
    if level.size == 0:
        return []
    noise = float(np.percentile(level, 20))
    threshold = min(max(noise + ABOVE_NOISE_DB, QUIETEST_DBOV), LOUDEST_DBOV)
    sounds = _joined(_runs(level > threshold), SYLLABLE_GAP_S)
    words = [sound for sound in sounds if sound.end - sound.start >= SHORTEST_SOUND_S * 8000]
    return _joined(words, PHRASE_GAP_S)


def _levels_dbov(octets: NDArray[np.uint8], codec: Literal["PCMU", "PCMA"]) -> NDArray[np.float64]:
    whole = len(octets) // WINDOW_SAMPLES * WINDOW_SAMPLES
    linear = np.asarray(g711.decode(octets[:whole], codec), dtype=np.float64) / 32768.0
    power = np.mean(linear.reshape(-1, WINDOW_SAMPLES) ** 2, axis=1)
    return 10.0 * np.log10(np.maximum(power, 1e-10))


def _runs(loud: NDArray[np.bool_]) -> list[Stretch]:
    edges = np.flatnonzero(np.diff(np.concatenate(([False], loud, [False])).astype(np.int8)))
    return [
        Stretch(int(start) * WINDOW_SAMPLES, int(end) * WINDOW_SAMPLES)
        for start, end in zip(edges[::2], edges[1::2], strict=True)
    ]


def _joined(stretches: list[Stretch], gap_s: float) -> list[Stretch]:
    joined: list[Stretch] = []
    for stretch in stretches:
        if joined and stretch.start - joined[-1].end <= gap_s * 8000:
            joined[-1] = Stretch(joined[-1].start, stretch.end)
        else:
            joined.append(stretch)
    return joined
