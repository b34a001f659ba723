"""Speech without a model: a beep a word, as long as the word, for tests of the line itself."""

from __future__ import annotations

import zlib

import numpy as np

from tuner_sipbridge.caller.persona import Persona
from tuner_sipbridge.caller.utterance import SAMPLE_RATE, Utterance
from tuner_sipbridge.errors import SpeechError

GAP_S = 0.05
LETTER_S = 0.06


class ToneSpeech:
    """Beeps; the same word is always the same pitch."""

    @property
    def identity(self) -> str:
        """Always `tone`."""
        return "tone"

    def render(self, text: str, persona: Persona) -> Utterance:
        """One beep a word, 60 ms a letter, 50 ms between.

        Raises:
            SpeechError: `text` holds no word.
        """
        words = text.split()
        if not words:
            raise SpeechError("there is nothing to say")
        gap = np.zeros(int(GAP_S / persona.speed * SAMPLE_RATE))
        pieces = [piece for word in words for piece in (_beep(word, persona.speed), gap)]
        return Utterance.of(np.concatenate(pieces), volume_db=persona.volume_db)


def _beep(word: str, speed: float) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    pitch = 350 + zlib.crc32(word.lower().encode()) % 800
    seconds = np.arange(int(max(2, len(word)) * LETTER_S / speed * SAMPLE_RATE)) / SAMPLE_RATE
    fade = np.minimum(1.0, np.minimum(seconds, seconds[::-1]) / 0.005)
    return 8000.0 * fade * np.sin(2 * np.pi * pitch * seconds)
