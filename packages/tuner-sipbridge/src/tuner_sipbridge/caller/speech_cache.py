"""Rendered utterances kept on disk, so that a sentence is rendered once on a machine."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import tempfile
import zipfile
from pathlib import Path

import numpy as np
import platformdirs

from tuner_sipbridge.caller.persona import Persona
from tuner_sipbridge.caller.speech_source import SpeechSource
from tuner_sipbridge.caller.utterance import Utterance

logger = logging.getLogger("tuner_sipbridge.caller")

FORMAT = 1
"""Raised when trimming or levelling changes, so that what was rendered before is not used again."""


class CachedSpeech:
    """A speech source behind a cache on disk. A broken cache costs time, never a call.

    Args:
        source: renders what is not there yet.
        directory: where the cache is; the user's cache directory when not given.
    """

    def __init__(self, source: SpeechSource, *, directory: Path | None = None) -> None:
        self._source = source
        self._directory = directory or platformdirs.user_cache_path("tuner-sipbridge") / "speech"

    @property
    def identity(self) -> str:
        """That of the source behind the cache."""
        return self._source.identity

    def render(self, text: str, persona: Persona) -> Utterance:
        """The utterance from the cache, or rendered and put there.

        Raises:
            SpeechError: the source cannot render it.
        """
        path = self._directory / f"{self._key(text, persona)}.npz"
        kept = _read(path)
        if kept is not None:
            return kept
        utterance = self._source.render(text, persona)
        _write(path, utterance)
        return utterance

    def _key(self, text: str, persona: Persona) -> str:
        everything = json.dumps([FORMAT, self._source.identity, persona.model_dump(mode="json"), text])
        return hashlib.sha256(everything.encode()).hexdigest()[:40]


def _read(path: Path) -> Utterance | None:
    try:
        with np.load(path, allow_pickle=False) as kept:
            started, ended = (int(edge) for edge in kept["edges"])
            return Utterance(np.asarray(kept["pcm"], np.int16), started, ended)
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        logger.warning("the cached utterance %s is not usable and is rendered again: %s", path.name, error)
        return None


def _write(path: Path, utterance: Utterance) -> None:
    edges = [utterance.speech_started_at_samples, utterance.speech_ended_at_samples]
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # Several callers may render the same sentence at once: each writes a file, the last rename wins.
        handle, draft = tempfile.mkstemp(dir=path.parent, suffix=".part")
        try:
            with os.fdopen(handle, "wb") as file:
                np.savez(file, pcm=utterance.pcm, edges=np.array(edges))
            Path(draft).replace(path)
        except BaseException:
            Path(draft).unlink(missing_ok=True)
            raise
    except OSError as error:
        logger.warning("the speech cache cannot be written: %s", error)
