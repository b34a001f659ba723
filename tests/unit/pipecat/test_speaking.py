from __future__ import annotations

from tuner_core.events import AgentTurn
from tuner_pipecat._speaking import AgentSpeech


def synthesised(speech: AgentSpeech, context: str, *sentences: tuple[str, float], at: float) -> None:
    """Everything a synthesis hands over for one utterance, at once."""
    speech.opened(context)
    for text, seconds in sentences:
        speech.sentence(context, text)
        speech.audio(context, seconds, at=at)
        speech.word(context, text)
    speech.closed(context)


def last(speech: AgentSpeech) -> dict[str, AgentTurn]:
    return {turn.id: turn for turn in speech.turns()}


def test_an_utterance_lasts_from_its_first_audio_to_the_agents_silence() -> None:
    speech = AgentSpeech()
    synthesised(speech, "a", ("Hello.", 1.0), ("How are you?", 1.0), at=10.0)
    speech.started(10.1)
    speech.stopped(12.1)
    turn = last(speech)["a"]
    assert (turn.text, turn.started_at, turn.ended_at) == ("Hello. How are you?", 10.1, 12.1)
    assert not turn.interrupted


def test_a_filler_and_the_answer_behind_it_are_two_turns_that_do_not_overlap() -> None:
    speech = AgentSpeech()
    synthesised(speech, "filler", ("One moment.", 1.0), at=10.0)
    synthesised(speech, "answer", ("It is ten thirty.", 2.0), at=10.2)
    speech.started(10.1)
    speech.stopped(13.1)
    turns = last(speech)
    assert (turns["filler"].started_at, turns["filler"].ended_at) == (10.1, 11.1)
    assert (turns["answer"].started_at, turns["answer"].ended_at) == (11.1, 13.1)


def test_silence_between_two_utterances_belongs_to_neither() -> None:
    speech = AgentSpeech()
    synthesised(speech, "first", ("One moment.", 1.0), at=10.0)
    speech.started(10.0)
    synthesised(speech, "second", ("Here you are.", 1.0), at=10.9)
    speech.stopped(11.02)
    assert set(last(speech)) == {"first"}
    speech.started(11.03)
    speech.stopped(12.03)
    assert last(speech)["second"].started_at == 11.03


def test_after_a_barge_in_the_text_is_what_was_heard() -> None:
    speech = AgentSpeech()
    synthesised(speech, "a", ("We open at nine.", 1.0), ("We close at six in the evening.", 2.0), at=10.0)
    speech.started(10.0)
    speech.interrupted(12.0)
    speech.stopped(12.02)
    turn = last(speech)["a"]
    assert turn.text == "We open at nine. We close at"
    assert turn.intended_text == "We open at nine. We close at six in the evening."
    assert (turn.interrupted, turn.interrupted_at, turn.ended_at) == (True, 12.0, 12.02)


def test_a_cut_in_the_first_sentence_still_makes_a_turn() -> None:
    speech = AgentSpeech()
    speech.opened("a")
    speech.sentence("a", "I have ten thirty on Monday.")
    speech.audio("a", 3.0, at=10.0)
    speech.started(10.0)
    speech.interrupted(11.1)
    speech.stopped(11.1)
    assert last(speech)["a"].text == "I have"


def test_an_utterance_that_nobody_heard_is_no_turn() -> None:
    speech = AgentSpeech()
    synthesised(speech, "a", ("Hello.", 1.0), at=10.0)
    speech.interrupted(10.05)
    assert last(speech) == {}


def test_what_waits_behind_an_interrupted_utterance_is_dropped() -> None:
    speech = AgentSpeech()
    synthesised(speech, "a", ("One.", 1.0), at=10.0)
    synthesised(speech, "b", ("Two.", 1.0), at=10.0)
    speech.started(10.0)
    speech.interrupted(10.5)
    speech.stopped(10.5)
    speech.started(20.0)
    speech.stopped(20.1)
    assert set(last(speech)) == {"a"}


def test_speech_that_cannot_be_interrupted_goes_on() -> None:
    speech = AgentSpeech()
    speech.opened("a", interruptible=False)
    speech.sentence("a", "This call is recorded.", interruptible=False)
    speech.audio("a", 2.0, at=10.0)
    speech.closed("a")
    speech.started(10.0)
    speech.interrupted(10.5)
    speech.stopped(12.0)
    turn = last(speech)["a"]
    assert (turn.text, turn.interrupted, turn.ended_at) == ("This call is recorded.", False, 12.0)


def test_word_times_of_the_synthesis_beat_the_estimate() -> None:
    speech = AgentSpeech()
    speech.opened("a")
    speech.sentence("a", "I have ten thirty on Monday.")
    speech.audio("a", 3.0, at=10.0)
    for word in ("I", "have", "ten"):
        speech.word("a", word)
    speech.started(10.0)
    speech.interrupted(11.0)
    speech.committed("I have ten", at=11.0)
    assert last(speech)["a"].text == "I have ten"


def test_an_utterance_whose_audio_comes_in_two_parts_is_one_turn() -> None:
    speech = AgentSpeech()
    speech.opened("a")
    speech.sentence("a", "First half,")
    speech.audio("a", 1.0, at=10.0)
    speech.started(10.0)
    speech.stopped(14.0)
    speech.sentence("a", "second half.")
    speech.audio("a", 1.0, at=15.0)
    speech.closed("a")
    speech.started(15.0)
    speech.stopped(16.0)
    turn = last(speech)["a"]
    assert (turn.text, turn.started_at, turn.ended_at) == ("First half, second half.", 10.0, 16.0)


def test_a_sentence_committed_whole_was_still_heard_in_part() -> None:
    speech = AgentSpeech()
    synthesised(speech, "a", ("I have ten thirty on Monday.", 3.0), at=10.0)
    speech.started(10.0)
    speech.interrupted(11.1)
    speech.committed("I have ten thirty on Monday.", at=11.1)
    assert last(speech)["a"].text == "I have"


def test_the_same_words_said_again_do_not_restore_the_turn_that_was_cut() -> None:
    speech = AgentSpeech()
    for context, at in (("a", 10.0), ("b", 20.0)):
        speech.opened(context)
        speech.sentence(context, "Sorry, I did not catch that.")
        speech.audio(context, 3.0, at=at)
        speech.started(at)
        if context == "a":
            speech.interrupted(11.1)
            speech.stopped(11.1)
    speech.closed("b")
    speech.stopped(23.0)
    speech.committed("Sorry, I did not catch that.", at=23.0)
    turns = last(speech)
    assert turns["a"].interrupted
    assert len(turns["a"].text) < len(turns["b"].text)


def test_an_utterance_that_nobody_closed_does_not_hold_up_the_next() -> None:
    speech = AgentSpeech()
    speech.opened("a")
    speech.sentence("a", "Hello.")
    speech.audio("a", 1.0, at=10.0)
    speech.started(10.0)
    speech.stopped(11.0)
    synthesised(speech, "b", ("How are you?", 1.0), at=12.0)
    speech.started(12.0)
    speech.stopped(13.0)
    turns = last(speech)
    assert (turns["a"].ended_at, turns["b"].started_at, turns["b"].ended_at) == (11.0, 12.0, 13.0)


def test_audio_without_text_takes_the_text_of_the_context() -> None:
    speech = AgentSpeech()
    speech.opened(None)
    speech.audio(None, 1.0, at=10.0)
    speech.started(10.0)
    speech.closed(None)
    speech.stopped(11.0)
    speech.committed("Spoken by a speech model.", at=11.0)
    (turn,) = speech.turns()
    assert (turn.text, turn.started_at, turn.ended_at) == ("Spoken by a speech model.", 10.0, 11.0)


def test_a_pipeline_without_synthesis_frames_has_turns_from_the_context() -> None:
    speech = AgentSpeech()
    speech.started(10.0)
    speech.committed("Hello.", at=11.0)
    speech.stopped(11.2)
    (turn,) = speech.turns()
    assert (turn.text, turn.started_at, turn.ended_at) == ("Hello.", 10.0, 11.2)


def test_a_call_that_ends_in_mid_sentence_keeps_what_was_heard() -> None:
    speech = AgentSpeech()
    synthesised(speech, "a", ("We are open from nine until six.", 7.0), at=10.0)
    speech.started(10.0)
    speech.finished(13.0, cut=True)
    turn = last(speech)["a"]
    assert (turn.text, turn.interrupted, turn.ended_at) == ("We are open", True, 13.0)


def test_latencies_belong_to_the_utterance_that_answers() -> None:
    speech = AgentSpeech()
    speech.user_stopped(9.0)
    speech.llm_responded(0.2)
    speech.opened("filler")
    speech.tts_responded(0.1)
    speech.sentence("filler", "One moment.")
    speech.audio("filler", 1.0, at=9.9)
    speech.closed("filler")
    speech.started(10.0)
    speech.stopped(11.0)
    synthesised(speech, "answer", ("Here.", 1.0), at=11.5)
    speech.started(11.5)
    speech.stopped(12.5)
    turns = last(speech)
    assert turns["filler"].metrics.e2e_latency_s == 1.0
    assert (turns["filler"].metrics.llm_ttft_s, turns["filler"].metrics.tts_ttfb_s) == (0.2, 0.1)
    assert turns["answer"].metrics.e2e_latency_s is None
