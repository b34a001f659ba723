from __future__ import annotations

from tuner_pipecat._listening import Transcript, UserSpeech


def heard(
    speech: UserSpeech, text: str, *, start: float, end: float, ready: float, decided: float
) -> float | None:
    speech.voice_started(start)
    speech.turn_started(start + 0.2)
    speech.voice_stopped(end)
    speech.transcribed(Transcript(text, ready, confidence=0.8))
    ended_at = speech.written(text, at=decided)
    speech.turn_stopped(decided)
    return ended_at


def test_a_turn_has_the_times_of_the_voice_and_its_latencies() -> None:
    speech = UserSpeech()
    assert heard(speech, "where is my order", start=10.0, end=11.0, ready=11.4, decided=11.6) == 11.0
    (turn,) = speech.turns()
    assert (turn.text, turn.started_at, turn.ended_at) == ("where is my order", 10.0, 11.0)
    assert turn.metrics.stt_latency_s is not None
    assert round(turn.metrics.stt_latency_s, 3) == 0.4
    assert turn.metrics.eou_delay_s is not None
    assert round(turn.metrics.eou_delay_s, 3) == 0.6
    assert turn.metrics.transcript_confidence == 0.8


def test_a_turn_of_two_stretches_begins_with_the_first() -> None:
    speech = UserSpeech()
    speech.voice_started(10.0)
    speech.turn_started(10.2)
    speech.voice_stopped(10.8)
    speech.transcribed(Transcript("four", 11.0))
    speech.voice_started(11.1)
    speech.voice_stopped(12.0)
    speech.transcribed(Transcript("two seven", 12.3))
    speech.written("four two seven", at=12.5)
    (turn,) = speech.turns()
    assert (turn.started_at, turn.ended_at) == (10.0, 12.0)


def test_noise_before_a_turn_is_not_part_of_it() -> None:
    speech = UserSpeech()
    speech.voice_started(5.0)
    speech.voice_stopped(5.3)
    heard(speech, "hello", start=10.0, end=10.5, ready=10.6, decided=10.8)
    (turn,) = speech.turns()
    assert turn.started_at == 10.0


def test_what_the_context_never_got_is_kept_all_the_same() -> None:
    speech = UserSpeech()
    speech.voice_started(10.0)
    speech.turn_started(10.2)
    speech.voice_stopped(11.0)
    speech.transcribed(Transcript("said while muted", 11.3))
    speech.turn_stopped(11.5)
    assert list(speech.turns()) == []
    speech.finished(20.0)
    (turn,) = speech.turns()
    assert (turn.text, turn.ended_at) == ("said while muted", 11.0)


def test_a_context_that_gets_the_turn_late_does_not_double_it() -> None:
    speech = UserSpeech()
    speech.voice_started(10.0)
    speech.turn_started(10.2)
    speech.voice_stopped(11.0)
    speech.transcribed(Transcript("hello", 11.3))
    speech.turn_stopped(11.5)
    speech.written("hello", at=12.0)
    speech.finished(20.0)
    assert [turn.text for turn in speech.turns()] == ["hello"]


def test_words_said_just_before_the_end_of_the_call_are_kept() -> None:
    speech = UserSpeech()
    speech.voice_started(10.0)
    speech.turn_started(10.2)
    speech.transcribed(Transcript("good", 10.6))
    speech.finished(11.0)
    assert [turn.text for turn in speech.turns()] == ["good"]


def test_keys_are_not_speech() -> None:
    speech = UserSpeech()
    speech.turn_started(10.0)
    speech.transcribed(Transcript("DTMF: 315#", 10.0, keyed=True))
    assert speech.written("DTMF: 315#", at=10.3) is None
    speech.turn_stopped(10.3)
    speech.finished(11.0)
    assert list(speech.turns()) == []


def test_speech_beside_keys_is_kept() -> None:
    speech = UserSpeech()
    speech.turn_started(10.0)
    speech.transcribed(Transcript("DTMF: 315#", 10.0, keyed=True))
    speech.transcribed(Transcript("that is it", 11.0))
    speech.written("DTMF: 315# that is it", at=11.3)
    assert [turn.text for turn in speech.turns()] == ["that is it"]


def test_typed_text_is_marked_as_never_spoken() -> None:
    speech = UserSpeech()
    speech.typed("the caller is a gold member", at=5.0)
    (turn,) = speech.turns()
    assert turn.source == "injected"
