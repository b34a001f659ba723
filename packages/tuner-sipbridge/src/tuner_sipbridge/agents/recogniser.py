"""The recogniser process: speech in, text out, until its input closes. `hearing` starts it with `python -m`.

pocketsphinx holds the interpreter lock while it decodes, so it gets a process of its own, where it can stall
nobody's event loop. One request is `<sample rate, octets>` in network order, followed by that many octets of
16-bit mono PCM; one answer is a line of JSON with `text`, `confidence` and `words`, each a word with start and
end in seconds. The first line is `{"ready": true}`, or `{"error": "..."}` when the recogniser cannot be loaded.
"""

from __future__ import annotations

import heapq
import importlib
import json
import math
import os
import re
import signal
import struct
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import soxr  # pyright: ignore[reportMissingTypeStubs]

from tuner_sipbridge.agents.language_model import arpa
from tuner_sipbridge.agents.vocabulary import PHRASES, expand

REQUEST = struct.Struct("!II")
"""Head of a request: sample rate in Hz, octets of PCM that follow."""

_MODEL_RATE = 16000
_FRAMES_A_SECOND = 100
_GENERAL_WORDS = 3000
_LEAD_S, _TAIL_S = 0.10, 0.15
"""Silence put around an utterance: the decoder expects to hear one at both ends."""
_ALTERNATIVE = re.compile(r"\(\d+\)$")


class Recogniser:
    """pocketsphinx with its shipped acoustic model and a language model that expects front desk talk."""

    def __init__(self) -> None:
        decoder: Any = importlib.import_module("pocketsphinx").Decoder
        general = decoder(loglevel="FATAL")
        with tempfile.TemporaryDirectory() as folder:
            model = Path(folder) / "front-desk.lm"
            model.write_text(arpa([expand(phrase) for phrase in PHRASES], _general_words(general)))
            self._decoder: Any = decoder(lm=str(model), loglevel="FATAL")

    def recognise(self, pcm: bytes, sample_rate: int) -> dict[str, Any]:
        """The words in 16-bit mono PCM, with times in seconds from its first sample."""
        samples = np.frombuffer(pcm, dtype="<i2").astype(np.float32)
        if not samples.size:
            return {"text": "", "confidence": 0.0, "words": []}
        if sample_rate != _MODEL_RATE:
            samples = soxr.resample(samples, sample_rate, _MODEL_RATE)
        silence = (np.zeros(int(length * _MODEL_RATE), dtype=np.float32) for length in (_LEAD_S, _TAIL_S))
        lead, tail = silence
        audio = np.clip(np.concatenate([lead, samples, tail]), -32768, 32767).astype("<i2")
        self._decoder.start_utt()
        self._decoder.process_raw(audio.tobytes(), full_utt=True)
        self._decoder.end_utt()
        words = list(self._words())
        spoken = [word for word, *_ in words]
        posterior = self._decoder.get_prob() if words else 0.0
        confidence = min(posterior, 1.0) ** (1 / len(words)) if words else 0.0
        return {"text": " ".join(spoken), "confidence": round(confidence, 4), "words": words}

    def _words(self) -> Iterator[list[Any]]:
        if self._decoder.hyp() is None:
            return
        for segment in self._decoder.seg():
            if segment.word.startswith(("<", "[", "+")):
                continue
            start = max(segment.start_frame / _FRAMES_A_SECOND - _LEAD_S, 0.0)
            end = max((segment.end_frame + 1) / _FRAMES_A_SECOND - _LEAD_S, 0.0)
            yield [_ALTERNATIVE.sub("", segment.word), round(start, 3), round(end, 3)]


def _general_words(decoder: Any) -> dict[str, float]:
    """The commonest words of the shipped English model with their probability."""
    model, scale = decoder.get_lm(), math.log(decoder.config["logbase"])
    lines = Path(decoder.config["dict"]).read_text(encoding="utf-8").splitlines()
    words = (line.split(" ", 1)[0] for line in lines)
    scored = ((model.prob([word]), word) for word in words if "(" not in word)
    return {word: math.exp(score * scale) for score, word in heapq.nlargest(_GENERAL_WORDS, scored)}


def serve(requests: BinaryIO, answers: BinaryIO) -> None:
    """Answer requests until `requests` ends; the first answer says whether the recogniser could be loaded."""

    def answer(value: dict[str, Any]) -> None:
        answers.write(json.dumps(value).encode() + b"\n")
        answers.flush()

    try:
        recogniser = Recogniser()
    except Exception as error:
        answer({"error": f"{type(error).__name__}: {error}"})
        return
    answer({"ready": True})
    while len(head := requests.read(REQUEST.size)) == REQUEST.size:
        sample_rate, octets = REQUEST.unpack(head)
        try:
            answer(recogniser.recognise(requests.read(octets), sample_rate))
        except Exception as error:
            answer({"error": f"{type(error).__name__}: {error}"})


if __name__ == "__main__":
    # An interrupt from the terminal is for the parent, which ends this process by closing its input.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with os.fdopen(os.dup(sys.stdout.fileno()), "wb") as pipe:
        os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
        serve(sys.stdin.buffer, pipe)
