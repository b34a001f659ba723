"""The models of the Pipecat reference agent: offline ears, brain and voice as Pipecat's STT, LLM and TTS services."""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# Pipecat leaves the **kwargs of its base classes untyped.
from __future__ import annotations

import json
import time
import uuid
from collections.abc import AsyncGenerator, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, cast

from pipecat.adapters.llm.services.open_ai_adapter import OpenAILLMAdapter
from pipecat.frames.frames import (
    EndWorkerFrame,
    Frame,
    FunctionCallFromLLM,
    LLMContextFrame,
    LLMFullResponseEndFrame,
    LLMFullResponseStartFrame,
    LLMTextFrame,
    TranscriptionFrame,
    TTSAudioRawFrame,
)
from pipecat.metrics.metrics import LLMTokenUsage
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.processors.frame_processor import FrameDirection
from pipecat.services.llm_service import FunctionCallParams, LLMService
from pipecat.services.settings import LLMSettings, STTSettings, TTSSettings
from pipecat.services.stt_service import SegmentedSTTService
from pipecat.services.tts_service import TTSService
from pipecat.utils.time import time_now_iso8601

from tuner_core.events import Word
from tuner_sipbridge.agents import frontdesk, hearing, voice
from tuner_sipbridge.agents.frontdesk import Answer, Message

_SAMPLE_BYTES = 2
_CHUNK_S = 0.2
_SLOW_SENTENCE_S = 10.0
"""Synthesis of a sentence counts as failed after so long without audio."""


@dataclass(frozen=True, slots=True)
class Recognition:
    """The raw result of a transcription, in the `result` of its frame.

    Attributes:
        confidence: 0 to 1.
        words: with times in Unix seconds.
    """

    confidence: float
    words: tuple[Word, ...]


class HearingSTT(SegmentedSTTService):
    """Speech to text by the shared recogniser, an utterance at a time."""

    def __init__(self, ears: hearing.Hearing) -> None:
        super().__init__(
            ttfs_p99_latency=0.8,
            trailing_silence_secs=0.0,
            settings=STTSettings(model=hearing.MODEL, language="en"),
        )
        self._ears = ears

    @property
    def wants_wav_segments(self) -> bool:
        """Utterances come as plain PCM."""
        return False

    def can_generate_metrics(self) -> bool:
        """Tell latency and usage."""
        return True

    async def run_stt(self, audio: bytes) -> AsyncGenerator[Frame | None, None]:
        """Recognise one utterance; nothing comes of one without words."""
        began_at = time.time() - len(audio) / _SAMPLE_BYTES / self.sample_rate
        heard = await self._ears.recognise(audio, sample_rate=self.sample_rate)
        if not heard.text:
            yield None
            return
        words = (Word(word.text, began_at + word.start_s, began_at + word.end_s) for word in heard.words)
        result = Recognition(heard.confidence, tuple(words))
        yield TranscriptionFrame(heard.text, self._user_id, time_now_iso8601(), result=result)


class FrontDeskLLM(LLMService):
    """The front desk's rules in the place of a language model, with one tool."""

    adapter_class = OpenAILLMAdapter
    """Pipecat's default, named so that it is imported with this module and not during the first call."""

    def __init__(self) -> None:
        super().__init__(settings=_llm_settings())
        self.register_function(frontdesk.LOOK_UP_ORDER, _look_up_order)

    def can_generate_metrics(self) -> bool:
        """Tell latency and usage."""
        return True

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """Answer a conversation; pass on everything else."""
        await super().process_frame(frame, direction)
        if isinstance(frame, LLMContextFrame):
            await self._respond(frame.context)
        else:
            await self.push_frame(frame, direction)

    async def _respond(self, context: LLMContext) -> None:
        await self.push_frame(LLMFullResponseStartFrame())
        await self.start_processing_metrics()
        await self.start_ttfb_metrics()
        try:
            conversation = list(_conversation(context.get_messages()))
            answer = frontdesk.answer(conversation)
            await self.stop_ttfb_metrics()
            await self._speak(answer, prompt_words=sum(len(message.text.split()) for message in conversation))
            if answer.tool:
                await self.run_function_calls([_call(answer, context)])
        finally:
            await self.stop_processing_metrics()
            await self.push_frame(LLMFullResponseEndFrame())
        if answer.hang_up:
            # Comes back downstream as an EndFrame, behind the goodbye.
            await self.push_frame(EndWorkerFrame(reason="agent_hangup"), FrameDirection.UPSTREAM)

    async def _speak(self, answer: Answer, *, prompt_words: int) -> None:
        words = answer.text.split()
        usage = LLMTokenUsage(
            prompt_tokens=prompt_words, completion_tokens=len(words), total_tokens=prompt_words + len(words)
        )
        await self.start_llm_usage_metrics(usage)
        for word in words:
            await self.push_frame(LLMTextFrame(f"{word} "))


class VoiceTTS(TTSService):
    """Text to speech by the shared voice, a sentence at a time."""

    def __init__(self, speaker: voice.Voice) -> None:
        super().__init__(
            push_start_frame=True,
            push_stop_frames=True,
            stop_frame_timeout_s=_SLOW_SENTENCE_S,
            settings=TTSSettings(model=voice.MODEL, voice="joe", language="en"),
        )
        self._speaker = speaker

    def can_generate_metrics(self) -> bool:
        """Tell latency and usage."""
        return True

    async def run_tts(self, text: str, context_id: str) -> AsyncGenerator[Frame | None, None]:
        """Render one sentence."""
        await self.start_tts_usage_metrics(text)
        pcm = await self._speaker.speak(text, sample_rate=self.sample_rate)
        await self.stop_ttfb_metrics()
        chunk = int(_CHUNK_S * self.sample_rate) * _SAMPLE_BYTES
        for start in range(0, len(pcm), chunk):
            yield TTSAudioRawFrame(pcm[start : start + chunk], self.sample_rate, 1, context_id=context_id)


async def _look_up_order(params: FunctionCallParams) -> None:
    await params.result_callback(frontdesk.look_up_order(str(params.arguments.get("order_number", ""))))


def _call(answer: Answer, context: LLMContext) -> FunctionCallFromLLM:
    return FunctionCallFromLLM(
        function_name=answer.tool,
        tool_call_id=f"call_{uuid.uuid4().hex[:12]}",
        arguments=dict(answer.arguments or {}),
        context=context,
    )


def _conversation(messages: Iterable[Any]) -> Iterator[Message]:
    """Pipecat's messages as the brain's."""
    for message in messages:
        if not isinstance(message, Mapping):
            continue
        entry = cast("Mapping[str, Any]", message)
        content = entry.get("content")
        text = content if isinstance(content, str) else ""
        match entry.get("role"):
            case "user":
                yield Message("caller", text)
            case "developer":
                # Pipecat's note that a turn held no words.
                yield Message("caller")
            case "assistant" if text:
                yield Message("agent", text)
            case "tool":
                result = _result(text)
                if result is not None:
                    yield Message("tool", result=result)
            case _:
                pass


def _result(content: str) -> Mapping[str, Any] | None:
    """What a tool gave, None while it runs and after it was cancelled."""
    try:
        result: Any = json.loads(content)
    except ValueError:
        return None
    return cast("Mapping[str, Any]", result) if isinstance(result, Mapping) else {}


def _llm_settings() -> LLMSettings:
    return LLMSettings(
        model=frontdesk.MODEL,
        system_instruction=None,
        temperature=None,
        max_tokens=None,
        top_p=None,
        top_k=None,
        frequency_penalty=None,
        presence_penalty=None,
        seed=None,
        filter_incomplete_user_turns=False,
        user_turn_completion_config=None,
    )
