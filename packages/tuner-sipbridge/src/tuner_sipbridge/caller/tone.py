"""Tones of the telephone network: what is heard while it rings, and when it is one's turn to speak."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tuner_sipbridge.caller.utterance import SAMPLE_RATE, Utterance

RING_HZ, RING_ON_S, RING_OFF_S = 425.0, 1.0, 4.0
"""Ring-back tone as most of Europe hears it (ITU-T E.180)."""
BEEP_HZ, BEEP_S, BEEP_GAP_S = 1000.0, 0.4, 0.3
AMPLITUDE = 3000.0
FADE_S = 0.005


def tone(pitch_hz: float, seconds: float) -> NDArray[np.int16]:
    """A tone at 8000 Hz with soft ends, about -24 dBov."""
    at = np.arange(round(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    fade = np.minimum(1.0, np.minimum(at, at[::-1]) / FADE_S)
    return np.rint(AMPLITUDE * fade * np.sin(2 * np.pi * pitch_hz * at)).astype(np.int16)


def ring_back(seconds: float) -> NDArray[np.int16]:
    """So many seconds of ring-back tone at 8000 Hz; begins with a ring."""
    ring = np.concatenate([tone(RING_HZ, RING_ON_S), _silence(RING_OFF_S)])
    samples = round(seconds * SAMPLE_RATE)
    return np.tile(ring, -(-samples // len(ring)))[:samples] if samples else ring[:0]


def with_beep(utterance: Utterance) -> Utterance:
    """The utterance and, after a short pause, a beep."""
    beep = tone(BEEP_HZ, BEEP_S)
    spoken = utterance.pcm[: utterance.speech_ended_at_samples]
    pcm = np.concatenate([spoken, _silence(BEEP_GAP_S), beep])
    whole = np.zeros(-(-len(pcm) // 160) * 160, np.int16)
    whole[: len(pcm)] = pcm
    return Utterance(whole, utterance.speech_started_at_samples, len(pcm))


def _silence(seconds: float) -> NDArray[np.int16]:
    return np.zeros(round(seconds * SAMPLE_RATE), np.int16)
