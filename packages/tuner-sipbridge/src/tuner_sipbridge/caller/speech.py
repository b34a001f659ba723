"""Text to speech for the caller: whole utterances, rendered before the call needs them.

| source | voice | needs |
|---|---|---|
| `PiperSpeech` | `joe`, or the path of a Piper `.onnx` model | the extra `speech` |
| `RecordedSpeech` | a directory of WAV files (`persona.voice` ends with `/`) | nothing |
| `ToneSpeech` | `tone`: a beep a word, for tests of the line itself | nothing |
"""

from __future__ import annotations

from pathlib import Path

from tuner_sipbridge.caller.persona import Persona
from tuner_sipbridge.caller.piper_speech import PiperSpeech
from tuner_sipbridge.caller.recorded_speech import RecordedSpeech
from tuner_sipbridge.caller.scenario import Scenario
from tuner_sipbridge.caller.speech_cache import CachedSpeech
from tuner_sipbridge.caller.speech_source import SpeechSource
from tuner_sipbridge.caller.tone_speech import ToneSpeech
from tuner_sipbridge.caller.utterance import Utterance

__all__ = ["SpeechSource", "Utterance", "render_scenario", "speech_for"]


def speech_for(persona: Persona, *, cache: Path | None = None) -> SpeechSource:
    """The source that a persona's `voice` names, with the cache on disk where rendering is dear.

    Args:
        persona: whose voice.
        cache: directory of the cache; the user's cache directory when not given.

    Raises:
        SpeechError: the voice needs an extra that is not installed, or a file that is not there.
    """
    if persona.voice == "tone":
        return ToneSpeech()
    if persona.voice.endswith("/"):
        return RecordedSpeech(Path(persona.voice))
    return CachedSpeech(PiperSpeech(persona.voice), directory=cache)


def render_scenario(scenario: Scenario, source: SpeechSource | None = None) -> dict[int, Utterance]:
    """Render every spoken step of a scenario, by index of the step. Blocking.

    Args:
        scenario: what will be said.
        source: the voice; the one that the scenario's persona names when not given.

    Raises:
        SpeechError: a sentence cannot be rendered.
    """
    voice = source if source is not None else speech_for(scenario.persona)
    return {
        index: voice.render(step.speech, scenario.persona)
        for index, step in enumerate(scenario.steps)
        if step.speech is not None
    }
