"""Speech out of WAV files: real people's recordings, one file a sentence."""

from __future__ import annotations

import re
import wave
from pathlib import Path

import numpy as np
import soxr  # pyright: ignore[reportMissingTypeStubs]
from numpy.typing import NDArray

from tuner_sipbridge.caller.persona import Persona
from tuner_sipbridge.caller.utterance import SAMPLE_RATE, Utterance
from tuner_sipbridge.errors import SpeechError


def file_name(text: str) -> str:
    """The file in which a sentence is looked for: its words in lower case, joined by hyphens.

    >>> file_name("What's my order's status?")
    'what-s-my-order-s-status.wav'
    """
    return "-".join(re.findall(r"[a-z0-9]+", text.lower()))[:80].rstrip("-") + ".wav"


class RecordedSpeech:
    """Plays a directory's WAV files. A persona's `speed` has no effect, its `volume_db` has.

    Args:
        directory: where the files are; see `file_name` for what they are called.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    @property
    def identity(self) -> str:
        """The directory."""
        return f"recorded {self._directory}"

    def render(self, text: str, persona: Persona) -> Utterance:
        """The recording of `text`, mixed to one channel and resampled to 8000 Hz.

        Raises:
            SpeechError: there is no such file, it is not 16-bit PCM, or it is silent.
        """
        path = self._directory / file_name(text)
        try:
            with wave.open(str(path), "rb") as recording:
                if recording.getsampwidth() != 2:
                    raise SpeechError(f"{path} is not 16-bit PCM")
                channels, rate = recording.getnchannels(), recording.getframerate()
                pcm = np.frombuffer(recording.readframes(recording.getnframes()), "<i2")
        except (OSError, EOFError, wave.Error) as error:
            raise SpeechError(f"no recording of {text!r}: {path} cannot be read ({error})") from error
        mono: NDArray[np.float64] = pcm.reshape(-1, channels).mean(axis=1)
        narrow = mono if rate == SAMPLE_RATE else soxr.resample(mono, rate, SAMPLE_RATE, quality="HQ")
        try:
            return Utterance.of(np.asarray(narrow, np.float64), volume_db=persona.volume_db)
        except ValueError:
            raise SpeechError(f"{path} holds no sound") from None
