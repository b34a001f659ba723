"""Messages of a LiveKit session as turns: times, interruptions, and text that nobody said."""

from __future__ import annotations

from typing import Any, cast

from livekit.agents.llm import ChatMessage

from tuner_livekit._messages import Heard, Interval, SpeechLog, agent_turn, user_turns


def _user(*parts: str, **metrics: Any) -> ChatMessage:
    return ChatMessage(
        id="u1", role="user", content=list(parts), metrics=cast("Any", metrics), created_at=100.0
    )


def _agent(text: str, *, interrupted: bool = False, **metrics: Any) -> ChatMessage:
    return ChatMessage(
        id="a1",
        role="assistant",
        content=[text],
        interrupted=interrupted,
        metrics=cast("Any", metrics),
        created_at=100.0,
    )


def test_a_spoken_message_has_the_times_and_latencies_of_its_metrics():
    message = _user(
        "book monday",
        started_speaking_at=90.0,
        stopped_speaking_at=91.5,
        transcription_delay=0.2,
        end_of_turn_delay=0.4,
    )
    (turn,) = user_turns(message, Heard("book monday", 91.7), [], agent_started_at=None)
    assert (turn.text, turn.started_at, turn.ended_at, turn.source) == ("book monday", 90.0, 91.5, "speech")
    assert (turn.metrics.stt_latency_s, turn.metrics.eou_delay_s) == (0.2, 0.4)


def test_text_without_any_sign_of_speech_is_injected():
    (turn,) = user_turns(_user("DTMF: 42"), None, [], agent_started_at=None)
    assert (turn.source, turn.started_at, turn.ended_at) == ("injected", 100.0, 100.0)


def test_text_with_a_transcripts_confidence_was_spoken_though_nothing_else_says_so():
    message = _user("yes").model_copy(update={"transcript_confidence": 1.0})
    (turn,) = user_turns(message, None, [Interval(95.0, 96.0)], agent_started_at=None)
    assert (turn.source, turn.started_at, turn.ended_at) == ("speech", 95.0, 96.0)


def test_text_that_code_appended_stands_beside_what_was_said():
    message = _user("where is my parcel", "Context: order 7 is late", stopped_speaking_at=99.0)
    spoken, added = user_turns(message, Heard("where is my parcel", 99.2), [], agent_started_at=None)
    assert (spoken.text, spoken.source) == ("where is my parcel", "speech")
    assert (added.text, added.source) == ("Context: order 7 is late", "injected")
    assert added.id != spoken.id


def test_text_that_code_wrapped_around_the_transcript_is_taken_apart():
    message = _user("<doc>late</doc>\nwhere is my parcel\nAnswer briefly.", stopped_speaking_at=99.0)
    spoken, added = user_turns(message, Heard("where is my parcel", 99.2), [], agent_started_at=None)
    assert spoken.text == "where is my parcel"
    assert added.text == "<doc>late</doc>\nAnswer briefly."


def test_without_metrics_the_times_come_from_the_speech_heard():
    speech = [Interval(95.0, 96.0), Interval(97.0, 98.0)]
    (turn,) = user_turns(_user("yes please"), Heard("yes please", 98.3), speech, agent_started_at=None)
    assert (turn.source, turn.started_at, turn.ended_at) == ("speech", 95.0, 98.0)


def test_a_noise_before_the_agents_turn_does_not_move_the_users_turn_before_it():
    speech = [Interval(80.0, 80.4), Interval(95.0, 96.0)]
    message = _user("thanks", started_speaking_at=80.0, stopped_speaking_at=96.0)
    (turn,) = user_turns(message, Heard("thanks", 96.2), speech, agent_started_at=81.0)
    assert turn.started_at == 95.0


def test_a_user_who_spoke_on_while_the_agent_began_keeps_the_start():
    message = _user("hold on", started_speaking_at=80.0, stopped_speaking_at=82.0)
    (turn,) = user_turns(message, Heard("hold on", 82.2), [Interval(80.0, 82.0)], agent_started_at=81.0)
    assert turn.started_at == 80.0


def test_an_agents_turn_without_audio_stands_where_its_message_was_made():
    turn = agent_turn(_agent("hello"), [])
    assert turn is not None
    assert (turn.started_at, turn.ended_at, turn.interrupted_at) == (100.0, 100.0, None)


def test_an_interrupted_turn_ends_when_its_audio_stopped_not_when_that_was_decided():
    message = _agent("we are open from", interrupted=True, started_speaking_at=90.0, stopped_speaking_at=94.0)
    turn = agent_turn(message, [Interval(80.0, 81.0), Interval(90.01, 92.4)])
    assert turn is not None
    assert (turn.ended_at, turn.interrupted_at, turn.interrupted) == (92.4, 92.4, True)


def test_a_turn_that_was_paused_and_went_on_keeps_its_end():
    message = _agent("we are open", started_speaking_at=90.0, stopped_speaking_at=94.0)
    turn = agent_turn(message, [Interval(90.0, 92.0)])
    assert turn is not None
    assert turn.ended_at == 94.0


def test_an_empty_message_is_no_turn():
    assert agent_turn(_agent("  "), []) is None
    assert list(user_turns(_user(" "), None, [], agent_started_at=None)) == []


def test_a_speech_log_gives_each_stretch_once():
    log = SpeechLog()
    for state, at in (
        ("speaking", 1.0),
        ("listening", 2.0),
        ("away", 3.0),
        ("speaking", 4.0),
        ("listening", 5.0),
    ):
        log.state(state, at=at)
    first, used = log.until(3.0, after=0)
    second, used = log.until(9.0, after=used)
    assert (first, second, used) == ([Interval(1.0, 2.0)], [Interval(4.0, 5.0)], 2)
