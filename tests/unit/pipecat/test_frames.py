from __future__ import annotations

from typing import Any

import pytest
from pipecat.audio.dtmf.types import KeypadEntry
from pipecat.frames.frames import (
    AggregatedTextFrame,
    BotStartedSpeakingFrame,
    BotStoppedSpeakingFrame,
    CancelFrame,
    ClientConnectedFrame,
    EndFrame,
    Frame,
    FunctionCallCancelFrame,
    FunctionCallFromLLM,
    FunctionCallInProgressFrame,
    FunctionCallResultFrame,
    FunctionCallsStartedFrame,
    InputDTMFFrame,
    LLMContextFrame,
    LLMMessagesAppendFrame,
    MetricsFrame,
    StartFrame,
    TTSAudioRawFrame,
    TTSStartedFrame,
    TTSStoppedFrame,
)
from pipecat.metrics.metrics import (
    LLMTokenUsage,
    LLMUsageMetricsData,
    ProcessingMetricsData,
    STTUsage,
    STTUsageMetricsData,
    TTFBMetricsData,
    TTSUsageMetricsData,
)
from pipecat.processors.aggregators.llm_context import LLMContext

from tuner_core.events import (
    AgentTurn,
    CallEnded,
    CallEvent,
    CallStarted,
    DigitPressed,
    ToolCalled,
    ToolReturned,
    UsageReported,
    UserTurn,
)
from tuner_pipecat._frames import FrameTranslator, Sender

RATE = 8000


class Pushes:
    """Hands frames to a translator at given moments."""

    def __init__(self) -> None:
        self.translator = FrameTranslator()
        self.push(StartFrame(), at=100.0)

    def push(self, frame: Frame, *, at: float, upstream: bool = False, sender: Sender | None = None) -> None:
        self.translator.take(frame, at=at, upstream=upstream, sender=sender)

    def say(self, text: str, *, at: float, seconds: float, context: str = "c") -> None:
        sentence = AggregatedTextFrame(text, "sentence", context_id=context)
        sentence.will_be_spoken = True
        self.push(TTSStartedFrame(context_id=context), at=at, sender="tts")
        self.push(sentence, at=at, sender="tts")
        audio = TTSAudioRawFrame(b"\1\0" * int(RATE * seconds), RATE, 1, context_id=context)
        self.push(audio, at=at, sender="tts")
        self.push(BotStartedSpeakingFrame(), at=at, sender="output")
        self.push(TTSStoppedFrame(context_id=context), at=at, sender="tts")
        self.push(BotStoppedSpeakingFrame(), at=at + seconds, sender="output")

    def all(self, **arguments: Any) -> list[CallEvent]:
        return [*self.translator.events(), *self.translator.finish(at=200.0, **arguments)]

    def only(self, kind: type[Any], **arguments: Any) -> list[Any]:
        return [event for event in self.all(**arguments) if isinstance(event, kind)]


def both_ways(frame: Frame, sibling: Frame) -> tuple[Frame, Frame]:
    frame.broadcast_sibling_id, sibling.broadcast_sibling_id = sibling.id, frame.id
    return frame, sibling


def test_nothing_has_started_before_the_start_frame() -> None:
    translator = FrameTranslator()
    translator.take(ClientConnectedFrame(), at=1.0, upstream=False)
    assert not translator.started


def test_the_call_begins_when_the_caller_is_there() -> None:
    pushes = Pushes()
    pushes.push(ClientConnectedFrame(), at=130.0)
    pushes.say("Hello.", at=131.0, seconds=1.0)
    pushes.push(ClientConnectedFrame(), at=140.0)
    assert pushes.only(CallStarted)[-1] == CallStarted(130.0)


def test_a_broadcast_frame_counts_once() -> None:
    pushes = Pushes()
    call = FunctionCallFromLLM("find", "id-1", {"day": "monday"}, context=None)
    down, up = both_ways(FunctionCallsStartedFrame([call]), FunctionCallsStartedFrame([call]))
    pushes.push(down, at=110.0)
    pushes.push(up, at=110.0, upstream=True)
    assert pushes.only(ToolCalled) == [ToolCalled(110.0, "id-1", "find", {"day": "monday"})]


def test_the_transports_own_chunks_are_not_counted_as_audio_again() -> None:
    pushes = Pushes()
    pushes.say("Hello there, how are you?", at=110.0, seconds=1.0)
    pushes.push(TTSAudioRawFrame(b"\1\0" * RATE, RATE, 1), at=110.1, sender="output")
    (turn,) = pushes.only(AgentTurn)
    assert turn.ended_at == 111.0


@pytest.mark.parametrize("result", [[1, 2], 7, True, "slot at ten", None, {"found": True}])
def test_a_tool_result_of_any_kind_is_kept(result: Any) -> None:
    pushes = Pushes()
    pushes.push(FunctionCallInProgressFrame("find", "id-1", {}), at=110.0)
    pushes.push(FunctionCallResultFrame("find", "id-1", {}, result), at=111.0)
    (returned,) = pushes.only(ToolReturned)
    assert (returned.result, returned.is_error) == (result, False)


def test_a_tool_that_raised_is_an_error() -> None:
    pushes = Pushes()
    pushes.push(FunctionCallInProgressFrame("find", "id-1", {}), at=110.0)
    pushes.push(FunctionCallResultFrame("find", "id-1", {}, "sorry", error="KeyError: day"), at=111.0)
    (returned,) = pushes.only(ToolReturned)
    assert (returned.is_error, returned.error) == (True, "KeyError: day")


def test_a_cancelled_tool_has_a_result_that_says_so() -> None:
    pushes = Pushes()
    pushes.push(FunctionCallInProgressFrame("find", "id-1", {}), at=110.0)
    pushes.push(FunctionCallCancelFrame("find", "id-1"), at=111.0)
    assert pushes.only(ToolReturned) == [
        ToolReturned(111.0, "id-1", "find", is_error=True, error="cancelled")
    ]


def test_a_tool_still_running_at_the_end_is_closed() -> None:
    pushes = Pushes()
    pushes.push(FunctionCallInProgressFrame("find", "id-1", {}), at=110.0)
    pushes.push(CancelFrame(), at=120.0)
    (returned,) = pushes.only(ToolReturned)
    assert returned.is_error
    assert "ended before" in (returned.error or "")


def test_keys_are_digits() -> None:
    pushes = Pushes()
    pushes.push(InputDTMFFrame(KeypadEntry.POUND), at=110.0)
    assert pushes.only(DigitPressed) == [DigitPressed(110.0, "#")]


def test_typed_user_text_is_a_turn_and_instructions_are_not() -> None:
    pushes = Pushes()
    messages: list[Any] = [{"role": "developer", "content": "be brief"}, {"role": "user", "content": "hi"}]
    pushes.push(LLMMessagesAppendFrame(messages), at=110.0)
    assert [turn.text for turn in pushes.only(UserTurn)] == ["hi"]


def test_the_language_models_latency_is_its_first_token() -> None:
    pushes = Pushes()
    data = [TTFBMetricsData(processor="x", value=0.2), ProcessingMetricsData(processor="x", value=3.0)]
    pushes.push(MetricsFrame([TTFBMetricsData(processor="x", value=0)]), at=100.0, sender="llm")
    pushes.push(MetricsFrame(data), at=109.0, sender="llm")
    pushes.say("Hello.", at=110.0, seconds=1.0)
    (turn,) = pushes.only(AgentTurn)
    assert turn.metrics.llm_ttft_s == 0.2


def test_usage_is_summed_under_create_calls_names() -> None:
    pushes = Pushes()
    tokens = LLMTokenUsage(prompt_tokens=5, completion_tokens=7, total_tokens=20, cache_read_input_tokens=8)
    for _ in range(2):
        usage = LLMUsageMetricsData(processor="x", model="brain-1", value=tokens)
        pushes.push(MetricsFrame([usage]), at=109.0, sender="llm")
        stt = STTUsageMetricsData(processor="x", model="ears-1", value=STTUsage(audio_seconds=1.5))
        pushes.push(MetricsFrame([stt]), at=109.0, sender="stt")
        tts = TTSUsageMetricsData(processor="x", model="voice-1", value=12)
        pushes.push(MetricsFrame([tts]), at=109.0, sender="tts")
    (usage,) = pushes.only(UsageReported)
    assert (usage.stt_audio_s, usage.llm_tokens, usage.tts_characters) == (3.0, 40, 24)
    assert (usage.asr_model, usage.llm_model, usage.tts_model) == ("ears-1", "brain-1", "voice-1")
    assert usage.extra["llm_token_detail"]["cache_read_input_tokens"] == 16


def test_the_call_ends_when_its_last_turn_does() -> None:
    pushes = Pushes()
    pushes.push(EndFrame(), at=110.0)
    pushes.say("Goodbye.", at=111.0, seconds=1.0)
    (end,) = pushes.only(CallEnded)
    assert (end.at, end.reason) == (112.0, "agent_hangup")


def test_a_last_agent_message_that_no_frame_showed_is_taken_from_the_context() -> None:
    pushes = Pushes()
    seeded: list[Any] = [{"role": "system", "content": "x"}, {"role": "assistant", "content": "an example"}]
    context = LLMContext(seeded)
    pushes.push(LLMContextFrame(context), at=110.0)
    assert pushes.translator.events() == []
    context.add_message({"role": "assistant", "content": "Goodbye then."})
    pushes.push(CancelFrame(), at=120.0)
    assert [turn.text for turn in pushes.only(AgentTurn)] == ["Goodbye then."]
