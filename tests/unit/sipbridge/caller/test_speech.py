from __future__ import annotations

import wave
from pathlib import Path

import numpy as np
import pytest

from tuner_sipbridge.caller.persona import Persona
from tuner_sipbridge.caller.piper_speech import PiperSpeech
from tuner_sipbridge.caller.recorded_speech import RecordedSpeech, file_name
from tuner_sipbridge.caller.scenario import Scenario
from tuner_sipbridge.caller.speech import render_scenario, speech_for
from tuner_sipbridge.caller.speech_cache import CachedSpeech
from tuner_sipbridge.caller.tone_speech import ToneSpeech
from tuner_sipbridge.caller.utterance import Utterance
from tuner_sipbridge.errors import SpeechError

TONE = Persona(voice="tone")


def tone(seconds: float, *, level: float = 8000.0) -> np.ndarray:
    return level * np.sin(2 * np.pi * 400 * np.arange(int(seconds * 8000)) / 8000)


def level_dbov(utterance: Utterance) -> float:
    voiced = utterance.pcm[utterance.speech_started_at_samples : utterance.speech_ended_at_samples]
    return float(20 * np.log10(np.sqrt(np.mean(voiced.astype(np.float64) ** 2)) / 32768))


def test_silence_at_both_ends_is_trimmed_and_the_end_of_speech_is_exact() -> None:
    pcm = np.concatenate([np.zeros(4000), tone(0.5), np.zeros(6000)])
    utterance = Utterance.of(pcm)
    assert utterance.speech_ended_at_samples - utterance.speech_started_at_samples == 4000
    assert utterance.speech_started_at_samples == 160
    assert len(utterance.pcm) == 160 + 4000 + 320
    assert not utterance.pcm[utterance.speech_ended_at_samples :].any()
    assert utterance.pcm[utterance.speech_ended_at_samples - 4 : utterance.speech_ended_at_samples].any()


@pytest.mark.parametrize("level", [200.0, 3000.0, 30000.0])
def test_whatever_the_level_was_it_is_sent_at_minus_20_dbov(level: float) -> None:
    assert level_dbov(Utterance.of(tone(1.0, level=level))) == pytest.approx(-20.0, abs=0.2)


def test_a_personas_volume_is_added_and_never_clips() -> None:
    assert level_dbov(Utterance.of(tone(1.0), volume_db=-6.0)) == pytest.approx(-26.0, abs=0.2)
    impulsive = tone(1.0, level=500.0)
    impulsive[4000] = 30000.0
    assert np.abs(Utterance.of(impulsive, volume_db=10.0).pcm).max() < 32767


def test_an_utterance_is_whole_packets() -> None:
    assert len(Utterance.of(tone(0.333)).pcm) % 160 == 0


def test_silence_is_no_utterance() -> None:
    with pytest.raises(ValueError, match="silent"):
        Utterance.of(np.zeros(8000))


def test_piper_speaks_the_same_sentence_the_same_way_each_time() -> None:
    first, second = (PiperSpeech().render("Where is my order?", Persona()) for _ in range(2))
    assert np.array_equal(first.pcm, second.pcm)
    assert 0.5 < first.duration_s < 3.0
    assert level_dbov(first) == pytest.approx(-20.0, abs=1.0)


def test_piper_speaks_faster_when_asked_to() -> None:
    slow, fast = (
        PiperSpeech().render("Where is my order?", Persona(speed=speed)).duration_s for speed in (0.8, 1.6)
    )
    assert fast < 0.7 * slow


def test_a_missing_voice_is_said() -> None:
    with pytest.raises(SpeechError, match="no Piper voice"):
        PiperSpeech("/nowhere/voice.onnx").render("hello", Persona())


def test_a_missing_package_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "piper", None)
    with pytest.raises(SpeechError, match=r"tuner-sipbridge\[speech\]"):
        PiperSpeech().render("hello", Persona())


@pytest.mark.parametrize("text", ["", "   ", "…"])
def test_a_sentence_without_words_is_an_error_and_not_a_crash(text: str) -> None:
    with pytest.raises(SpeechError):
        PiperSpeech().render(text, Persona())


def test_recordings_are_found_by_their_words_mixed_and_resampled(tmp_path: Path) -> None:
    assert file_name("What's up?") == "what-s-up.wav"
    stereo = np.stack([tone(1.0), tone(1.0)], axis=1).repeat(2, axis=0).astype("<i2")
    with wave.open(str(tmp_path / "hello-there.wav"), "wb") as file:
        file.setnchannels(2)
        file.setsampwidth(2)
        file.setframerate(16000)
        file.writeframes(stereo.tobytes())
    source = speech_for(Persona(voice=f"{tmp_path}/"))
    assert source.render("Hello, there!", Persona()).duration_s == pytest.approx(1.0, abs=0.1)
    with pytest.raises(SpeechError, match=r"good-bye\.wav"):
        RecordedSpeech(tmp_path).render("Good bye.", Persona())


class Counting:
    identity = "counting"

    def __init__(self) -> None:
        self.rendered = 0

    def render(self, text: str, persona: Persona) -> Utterance:
        self.rendered += 1
        return ToneSpeech().render(text, persona)


def test_a_sentence_is_rendered_once_and_again_for_another_persona(tmp_path: Path) -> None:
    source = Counting()
    cached = CachedSpeech(source, directory=tmp_path)
    first, second = cached.render("one two", TONE), cached.render("one two", TONE)
    assert source.rendered == 1
    assert np.array_equal(first.pcm, second.pcm)
    assert second.speech_ended_at_samples == first.speech_ended_at_samples
    cached.render("one two", Persona(voice="tone", speed=1.5))
    assert source.rendered == 2


def test_a_damaged_cache_file_is_rendered_again(tmp_path: Path) -> None:
    source = Counting()
    cached = CachedSpeech(source, directory=tmp_path)
    cached.render("one", TONE)
    next(tmp_path.glob("*.npz")).write_bytes(b"not a zip")
    cached.render("one", TONE)
    cached.render("one", TONE)
    assert source.rendered == 2


def test_a_cache_that_cannot_be_written_does_not_stop_the_call(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    source = CachedSpeech(Counting(), directory=tmp_path / "file" / "below")
    assert source.render("one", TONE).duration_s > 0


def test_every_spoken_step_of_a_scenario_is_rendered() -> None:
    scenario = Scenario.model_validate(
        {
            "name": "x",
            "persona": {"voice": "tone"},
            "steps": ["listen", {"say": "a b"}, {"dtmf": "1"}, {"barge_in": {"say": "c"}}],
        }
    )
    assert sorted(render_scenario(scenario)) == [1, 3]
