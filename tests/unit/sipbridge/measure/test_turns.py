from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

Make = Callable[..., Any]
GRAIN = 0.0026
"""Sound is told from silence in windows of 2.5 ms."""


def test_response_latency_is_last_sound_to_first_sound(painted_call: Make) -> None:
    call = painted_call(5.0)
    call.says(1.0, 2.0, step=3, text="where is it")
    call.sound("agent", 2.7304, 4.0)
    [turn] = call.measures().turns
    assert (turn.step, turn.kind, turn.text) == (3, "speech", "where is it")
    assert turn.response_latency_s == pytest.approx(0.7304, abs=2 * GRAIN)
    assert turn.ended_at - call.started_at == pytest.approx(2.0, abs=GRAIN)


def test_a_packet_that_came_late_is_heard_late(painted_call: Make) -> None:
    call = painted_call(5.0)
    call.says(1.0, 2.0)
    call.sound("agent", 2.8, 4.0)
    call.late = {140: 0.055}
    assert call.measures().turns[0].response_latency_s == pytest.approx(0.855, abs=2 * GRAIN)


def test_the_place_of_packets_in_their_frames_does_not_matter(painted_call: Make) -> None:
    call = painted_call(5.0)
    call.first_packet = 0.0135
    call.says(1.0, 2.0)
    call.sound("agent", 2.8, 4.0)
    # The packet that holds 2.8 s begins in frame 139, at 2.7935 s.
    call.late = {139: 0.055}
    assert call.measures().turns[0].response_latency_s == pytest.approx(0.855, abs=2 * GRAIN)


@pytest.mark.parametrize("noise", [3.0, 30.0, 100.0])
def test_noise_on_the_line_is_not_taken_for_speech(painted_call: Make, noise: float) -> None:
    call = painted_call(6.0, noise=noise)
    call.says(1.0, 2.0)
    call.sound("agent", 2.8, 4.0)
    measures = call.measures()
    assert measures.turns[0].response_latency_s == pytest.approx(0.8, abs=3 * GRAIN)
    assert len(measures.agent_speech) == 1


def test_a_click_is_not_a_reply(painted_call: Make) -> None:
    call = painted_call(5.0)
    call.says(1.0, 2.0)
    call.sound("agent", 2.3, 2.31, level=12000)
    call.sound("agent", 3.0, 4.0)
    assert call.measures().turns[0].response_latency_s == pytest.approx(1.0, abs=2 * GRAIN)


def test_an_agent_that_begins_before_the_caller_has_finished_has_a_latency_below_zero(
    painted_call: Make,
) -> None:
    call = painted_call(5.0)
    call.says(1.0, 2.0)
    call.sound("agent", 1.8, 3.5)
    assert call.measures().turns[0].response_latency_s == pytest.approx(-0.2, abs=2 * GRAIN)


def test_a_turn_without_a_reply_has_no_latency(painted_call: Make) -> None:
    call = painted_call(8.0)
    call.says(1.0, 2.0, step=0)
    call.says(4.0, 5.0, step=1)
    call.sound("agent", 5.6, 7.0)
    first, second = call.measures().turns
    assert first.response_latency_s is None
    assert second.response_latency_s == pytest.approx(0.6, abs=2 * GRAIN)


def test_every_repeat_of_a_question_has_its_own_latency(painted_call: Make) -> None:
    call = painted_call(12.0)
    for step, start in enumerate((1.0, 4.0, 7.0)):
        call.says(start, start + 1.0, step=step)
        call.sound("agent", start + 1.5 + 0.1 * step, start + 2.5)
    latencies = [turn.response_latency_s for turn in call.measures().turns]
    assert latencies == pytest.approx([0.5, 0.6, 0.7], abs=2 * GRAIN)


def test_stop_time_is_the_callers_first_sound_to_the_agents_last(painted_call: Make) -> None:
    call = painted_call(8.0)
    call.sound("agent", 1.0, 3.42)
    call.says(3.0, 4.5, barge_in=True)
    call.sound("agent", 5.1, 6.0)
    [turn] = call.measures().turns
    assert turn.kind == "barge_in"
    assert turn.stop_time_s == pytest.approx(0.42, abs=2 * GRAIN)
    assert turn.response_latency_s == pytest.approx(0.6, abs=2 * GRAIN)


def test_a_sentence_begun_unaware_of_the_caller_belongs_to_what_is_spoken_over(painted_call: Make) -> None:
    call = painted_call(8.0)
    call.sound("agent", 1.0, 2.7)
    call.sound("agent", 3.1, 3.6)
    call.says(3.0, 4.5, barge_in=True)
    call.sound("agent", 5.1, 6.0)
    [turn] = call.measures().turns
    assert turn.stop_time_s == pytest.approx(0.6, abs=2 * GRAIN)
    assert turn.response_latency_s == pytest.approx(0.6, abs=2 * GRAIN)


def test_a_barge_in_into_silence_has_no_stop_time(painted_call: Make) -> None:
    call = painted_call(6.0)
    call.says(1.0, 2.0, barge_in=True)
    call.sound("agent", 2.5, 4.0)
    assert call.measures().turns[0].stop_time_s is None


def test_an_agent_deaf_to_the_barge_in_has_a_stop_time_as_long_as_its_speech(painted_call: Make) -> None:
    call = painted_call(9.0)
    call.sound("agent", 1.0, 7.0)
    call.says(3.0, 4.0, barge_in=True)
    [turn] = call.measures().turns
    assert turn.stop_time_s == pytest.approx(4.0, abs=2 * GRAIN)
    assert turn.response_latency_s is None


def test_latency_after_keys_counts_from_the_first_packet_of_the_last_key(painted_call: Make) -> None:
    call = painted_call(6.0)
    call.note("caller.digits", 1.0, step=2, digits="427#")
    call.sound("agent", 2.3, 4.0)
    [turn] = call.measures().turns
    assert (turn.kind, turn.text) == ("digits", "427#")
    assert turn.response_latency_s == pytest.approx(2.3 - 1.6, abs=2 * GRAIN)


def test_the_greeting_counts_from_the_answer(painted_call: Make) -> None:
    call = painted_call(4.0)
    call.note("call.answered", -0.05, status=200)
    call.sound("agent", 0.6, 2.0)
    assert call.measures().greeting_latency_s == pytest.approx(0.65, abs=GRAIN)


def test_when_the_caller_speaks_first_there_was_no_greeting(painted_call: Make) -> None:
    call = painted_call(6.0)
    call.note("call.answered", 0.0, status=200)
    call.says(0.5, 1.0)
    call.sound("agent", 2.0, 3.0)
    assert call.measures().greeting_latency_s is None


def test_an_utterance_that_was_cut_short_ends_where_it_was_cut(painted_call: Make) -> None:
    call = painted_call(4.0)
    call.sound("caller", 1.0, 1.5)
    call.note("caller.speech_started", 1.0, step=0, text="a long sentence", barge_in=False)
    [turn] = call.measures().turns
    assert turn.ended_at - call.started_at == pytest.approx(1.5, abs=GRAIN)
