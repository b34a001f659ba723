from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tuner_sipbridge.caller.events import (
    AgentSpeechStarted,
    AgentSpeechStopped,
    CutShort,
    DigitsSent,
    GaveUp,
    HangUp,
    RemoteHungUp,
    Say,
    SendDigits,
    SpeechEnded,
    SpeechStarted,
    StopSpeaking,
)

Make = Callable[..., Any]


def test_a_listening_caller_speaks_when_the_agent_has_been_silent_for_the_settle_time(script: Make) -> None:
    line = script({"listen": {"settle_s": 0.5}}, {"say": "hello"})
    line.tell(AgentSpeechStarted(1.0), 1.02)
    line.tell(AgentSpeechStopped(3.0), 3.3)
    assert line.orders() == []
    assert line.at_deadline() == 3.5
    assert line.orders() == [Say(1, "hello")]


def test_a_pause_between_the_agents_sentences_does_not_end_its_turn(script: Make) -> None:
    line = script({"listen": {"settle_s": 0.8}}, {"say": "hello"})
    line.tell(AgentSpeechStarted(1.0), 1.0)
    line.tell(AgentSpeechStopped(2.0), 2.3)
    line.tell(AgentSpeechStarted(2.6), 2.6)
    line.caller.handle_timer(now=4.0)
    assert line.orders() == []
    line.tell(AgentSpeechStopped(5.0), 5.3)
    assert line.at_deadline() == 5.8
    assert line.orders() == [Say(1, "hello")]


def test_saying_without_listening_begins_at_once(script: Make) -> None:
    assert script({"say": "hello"}).orders() == [Say(0, "hello")]


def test_each_listen_wants_new_speech_of_the_agent(script: Make) -> None:
    line = script("listen", {"say": "a"}, "listen", {"say": "b"}, patience_s=60)
    line.tell(AgentSpeechStarted(1.0), 1.0)
    line.tell(AgentSpeechStopped(2.0), 2.3)
    line.at_deadline()
    assert line.orders() == [Say(1, "a")]
    line.tell(SpeechEnded(1), 4.0)
    line.caller.handle_timer(now=20.0)
    assert line.orders() == []
    line.tell(AgentSpeechStarted(21.0), 21.0)
    line.tell(AgentSpeechStopped(22.0), 22.3)
    line.at_deadline()
    assert line.orders() == [Say(3, "b")]


def test_a_reply_that_begins_before_the_caller_has_finished_counts(script: Make) -> None:
    line = script({"say": "a"}, "listen", {"say": "b"})
    line.orders()
    line.tell(AgentSpeechStarted(0.9), 0.9)
    line.tell(SpeechEnded(0), 1.0)
    line.tell(AgentSpeechStopped(2.0), 2.3)
    line.at_deadline()
    assert line.orders() == [Say(2, "b")]


def test_agent_speech_wholly_under_the_callers_is_no_reply(script: Make) -> None:
    line = script({"say": "a"}, "listen", {"say": "b"}, patience_s=5)
    line.orders()
    line.tell(AgentSpeechStarted(0.2), 0.2)
    line.tell(AgentSpeechStopped(0.4), 0.7)
    line.tell(SpeechEnded(0), 1.0)
    assert line.at_deadline() == 6.0
    assert [type(order) for order in line.orders()] == [HangUp]


def test_a_barge_in_begins_so_far_into_the_agents_turn(script: Make) -> None:
    line = script({"barge_in": {"after_s": 0.8, "say": "stop"}})
    line.tell(AgentSpeechStarted(2.0), 2.02)
    assert line.at_deadline() == 2.8
    assert line.orders() == [Say(0, "stop", barge_in=True)]


def test_a_barge_in_that_falls_between_two_sentences_waits_for_the_next(script: Make) -> None:
    line = script({"barge_in": {"after_s": 1.5, "say": "stop"}})
    line.tell(AgentSpeechStarted(2.0), 2.0)
    line.tell(AgentSpeechStopped(3.0), 3.3)
    line.caller.handle_timer(now=3.6)
    assert line.orders() == []
    line.tell(AgentSpeechStarted(3.8), 3.8)
    assert line.orders() == [Say(0, "stop", barge_in=True)]


def test_a_long_silence_makes_the_agents_next_speech_a_new_turn(script: Make) -> None:
    line = script({"barge_in": {"after_s": 1.5, "say": "stop"}})
    line.tell(AgentSpeechStarted(2.0), 2.0)
    line.tell(AgentSpeechStopped(3.0), 3.3)
    line.tell(AgentSpeechStarted(6.0), 6.0)
    assert line.orders() == []
    assert line.at_deadline() == 7.5


def test_after_a_barge_in_the_interrupted_speech_is_not_taken_for_the_reply(script: Make) -> None:
    line = script({"barge_in": {"after_s": 0.5, "say": "stop"}}, "listen", {"say": "next"})
    line.tell(AgentSpeechStarted(1.0), 1.0)
    line.at_deadline()
    line.orders()
    line.tell(AgentSpeechStopped(1.9), 2.2)
    line.tell(SpeechEnded(0), 2.6)
    line.caller.handle_timer(now=5.0)
    assert line.orders() == []
    line.tell(AgentSpeechStarted(5.1), 5.1)
    line.tell(AgentSpeechStopped(6.0), 6.3)
    line.at_deadline()
    assert line.orders() == [Say(2, "next")]


def test_digits_are_sent_and_the_next_step_waits_for_the_last_of_them(script: Make) -> None:
    line = script({"dtmf": "42#"}, {"say": "there"})
    assert line.orders() == [SendDigits(0, "42#")]
    line.tell(DigitsSent(0), 0.6)
    assert line.orders() == [Say(1, "there")]


def test_a_pause_lasts_from_the_end_of_the_step_before(script: Make) -> None:
    line = script({"say": "a"}, {"pause_s": 1.5}, {"say": "b"})
    line.orders()
    line.tell(SpeechEnded(0), 1.0)
    assert line.at_deadline() == 2.5
    assert line.orders() == [Say(2, "b")]


def test_the_call_is_hung_up_at_the_end_and_counts_as_complete(script: Make) -> None:
    line = script({"say": "bye"})
    line.orders()
    line.tell(SpeechEnded(0), 1.0)
    assert line.orders() == [HangUp("the scenario is over")]
    assert line.caller.finished
    assert line.caller.completed
    assert line.caller.next_deadline() is None


def test_hanging_up_over_the_agent_waits_for_its_speech(script: Make) -> None:
    line = script({"hang_up": {"after_s": 1.2, "over_agent": True}})
    line.tell(AgentSpeechStarted(3.0), 3.0)
    assert line.at_deadline() == pytest.approx(4.2)
    assert [type(order) for order in line.orders()] == [HangUp]
    assert line.caller.completed


def test_a_caller_who_waits_in_vain_gives_up_and_says_why(script: Make) -> None:
    line = script("listen", {"say": "a"}, patience_s=8)
    assert line.at_deadline() == 8.0
    assert GaveUp(0, 8.0, "the agent said nothing for 8 s") in line.caller.events()
    assert [type(order) for order in line.orders()] == [HangUp]
    assert not line.caller.completed


def test_patience_is_not_lost_while_the_agent_speaks(script: Make) -> None:
    line = script("listen", patience_s=5)
    line.tell(AgentSpeechStarted(4.0), 4.0)
    line.caller.handle_timer(now=60.0)
    assert not line.caller.finished


def test_a_step_may_have_a_patience_of_its_own(script: Make) -> None:
    assert script({"listen": {"patience_s": 2}}, patience_s=60).at_deadline() == 2.0


def test_a_call_that_never_ends_is_ended_at_its_limit_and_speech_is_dropped(script: Make) -> None:
    line = script({"say": "a"}, max_call_s=3)
    line.orders()
    line.tell(SpeechStarted(0), 0.0)
    assert line.at_deadline() == 3.0
    assert line.orders() == [
        StopSpeaking(),
        HangUp("the caller gave up: the call reached its limit of 3 s (max_call_s)"),
    ]


def test_own_audio_that_never_leaves_is_given_up_after_its_length_and_a_grace(script: Make) -> None:
    line = script({"say": "a"})
    line.orders()
    assert line.at_deadline() == 4.0
    gave_up = [event for event in line.caller.events() if isinstance(event, GaveUp)]
    assert [event.why for event in gave_up] == ["our own audio did not leave the port in time"]


def test_an_agent_that_hangs_up_in_the_last_listen_completes_the_scenario(script: Make) -> None:
    line = script({"say": "bye"}, "listen")
    line.orders()
    line.tell(SpeechEnded(0), 1.0)
    line.tell(RemoteHungUp(), 2.0)
    assert line.caller.completed
    assert line.orders() == []


def test_an_agent_that_hangs_up_early_cuts_the_scenario_short(script: Make) -> None:
    line = script("listen", {"say": "a"}, "listen")
    line.tell(RemoteHungUp(), 1.0)
    assert line.caller.finished
    assert not line.caller.completed
    assert CutShort(0, 2) in line.caller.events()


def test_after_the_end_nothing_is_ordered_any_more(script: Make) -> None:
    line = script({"say": "bye"})
    line.orders()
    line.tell(RemoteHungUp(), 0.5)
    line.tell(SpeechEnded(0), 1.0)
    line.caller.handle_timer(now=1000.0)
    assert line.orders() == []
