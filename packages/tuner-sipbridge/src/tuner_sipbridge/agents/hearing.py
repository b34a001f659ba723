"""Speech to text without a network: recogniser processes, loaded once, shared by all calls."""

from __future__ import annotations

import asyncio
import atexit
import functools
import json
import os
import queue
import struct
import subprocess
import sys
import threading
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from tuner_sipbridge.errors import SpeechError

MODEL = "pocketsphinx en-us"
"""Name of the recogniser's model, as the records carry it."""

_REQUEST = struct.Struct("!II")
_EXIT_S = 2.0
_WORKER = "tuner_sipbridge.agents.recogniser"
"""Module that the processes run."""


@dataclass(frozen=True, slots=True)
class HeardWord:
    """One recognised word; times in seconds from the first sample of the utterance."""

    text: str
    start_s: float
    end_s: float


@dataclass(frozen=True, slots=True)
class Heard:
    """What was recognised in one utterance.

    Attributes:
        text: lower-case words separated by one blank; empty when no word was recognised.
        confidence: 0 to 1, the posterior of the whole text brought to one word.
        words: the words with their times.
    """

    text: str
    confidence: float
    words: tuple[HeardWord, ...] = ()


class Hearing:
    """Recognises utterances in processes of its own; safe to use from several event loops and threads.

    Args:
        workers: how many utterances are decoded at once; each worker takes about 150 MB. None: one a core, at
            most 2.
    """

    def __init__(self, *, workers: int | None = None) -> None:
        self._count = workers or min(os.cpu_count() or 1, 2)
        self._threads = ThreadPoolExecutor(self._count, thread_name_prefix="hearing")
        self._idle: queue.SimpleQueue[_Worker] = queue.SimpleQueue()
        for _ in range(self._count):
            self._idle.put(_Worker())

    async def warm_up(self) -> None:
        """Load all recognisers now, so that the first caller does not wait the second it takes.

        Raises:
            SpeechError: the recogniser could not be loaded.
        """
        await asyncio.gather(*(self.recognise(b"", sample_rate=16000) for _ in range(self._count)))

    async def recognise(self, pcm: bytes, *, sample_rate: int) -> Heard:
        """The words in one utterance of 16-bit little-endian mono PCM.

        Decoding takes about a fifteenth of the utterance's length. Cancelling stops the waiting, not the
        decoding.

        Raises:
            SpeechError: the recogniser could not be loaded, or died twice over this utterance.
        """
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, self._decode, pcm, sample_rate)

    def close(self) -> None:
        """End the processes; an utterance in work is finished first."""
        self._threads.shutdown(wait=True)
        for _ in range(self._count):
            self._idle.get().close()

    def _decode(self, pcm: bytes, sample_rate: int) -> Heard:
        worker = self._idle.get()
        try:
            return _heard(worker.ask(pcm, sample_rate))
        finally:
            self._idle.put(worker)


@functools.cache
def shared_hearing() -> Hearing:
    """The recogniser of this process, made at first use and closed at exit."""
    hearing = Hearing()
    atexit.register(hearing.close)
    return hearing


def _heard(answer: Mapping[str, Any]) -> Heard:
    words = tuple(HeardWord(str(word), float(start), float(end)) for word, start, end in answer["words"])
    return Heard(str(answer["text"]), float(answer["confidence"]), words)


class _Worker:
    """One recogniser process, started at its first utterance and again when it has died."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._lock = threading.Lock()

    def ask(self, pcm: bytes, sample_rate: int) -> dict[str, Any]:
        with self._lock:
            for _ in range(2):
                try:
                    answer = self._exchange(_REQUEST.pack(sample_rate, len(pcm)) + pcm)
                except (OSError, EOFError):
                    self.close()
                    continue
                if "error" in answer:
                    raise SpeechError(f"the recogniser failed: {answer['error']}")
                return answer
        raise SpeechError("the recogniser process died twice over one utterance")

    def close(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            _end(process)

    def _exchange(self, request: bytes) -> dict[str, Any]:
        if self._process is None:
            self._process = _start()
        assert self._process.stdin is not None
        self._process.stdin.write(request)
        self._process.stdin.flush()
        return _answer(self._process)


def _start() -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", _WORKER]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        first = _answer(process)
    except EOFError:
        _end(process)
        raise
    if "error" in first:
        _end(process)
        raise SpeechError(
            f"speech recognition could not be loaded ({first['error']}): "
            "install tuner-sipbridge[pipecat] or tuner-sipbridge[livekit]"
        )
    return process


def _end(process: subprocess.Popen[bytes]) -> None:
    """Close the process's input, which ends it, and wait; kill it when it does not."""
    try:
        process.communicate(timeout=_EXIT_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()


def _answer(process: subprocess.Popen[bytes]) -> dict[str, Any]:
    assert process.stdout is not None
    line = process.stdout.readline()
    if not line.endswith(b"\n"):
        raise EOFError("the recogniser process ended")
    answer: dict[str, Any] = json.loads(line)
    return answer
