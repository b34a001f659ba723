"""What can speak for the caller."""

from __future__ import annotations

from typing import Protocol

from tuner_sipbridge.caller.persona import Persona
from tuner_sipbridge.caller.utterance import Utterance


class SpeechSource(Protocol):
    """Renders text. Blocking and CPU-bound: call it in a thread, before the call is dialled. Thread-safe."""

    @property
    def identity(self) -> str:
        """What, besides text and persona, the sound depends on: part of the cache key."""
        ...

    def render(self, text: str, persona: Persona) -> Utterance:
        """Speak `text` in the persona's voice, at the persona's speed and volume.

        Raises:
            SpeechError: it cannot be rendered; says what to install or which file is missing.
        """
        ...
