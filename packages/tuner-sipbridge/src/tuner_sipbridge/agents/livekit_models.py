"""The models of the LiveKit reference agent: offline ears, brain and voice as LiveKit's STT, LLM and TTS."""

from __future__ import annotations

import ast
import json
from collections.abc import Iterable, Iterator
from typing import Any, cast

from livekit import rtc
from livekit.agents import APIConnectOptions, llm, stt, tts, utils
from livekit.agents.language import LanguageCode
from livekit.agents.types import DEFAULT_API_CONNECT_OPTIONS, NOT_GIVEN, NotGivenOr

from tuner_sipbridge.agents import frontdesk, hearing, voice
from tuner_sipbridge.media.engine import SAMPLE_RATE

PROVIDER = "offline"


class HearingSTT(stt.STT[Any]):
    """Speech to text by the shared recogniser, an utterance at a time; the session cuts them with its VAD."""

    def __init__(self, ears: hearing.Hearing) -> None:
        super().__init__(capabilities=stt.STTCapabilities(streaming=False, interim_results=False))
        self._ears = ears

    @property
    def model(self) -> str:
        """Name of the recogniser's model."""
        return hearing.MODEL

    @property
    def provider(self) -> str:
        """`offline`."""
        return PROVIDER

    async def _recognize_impl(
        self,
        buffer: utils.AudioBuffer,
        *,
        language: NotGivenOr[str] = NOT_GIVEN,
        conn_options: APIConnectOptions = DEFAULT_API_CONNECT_OPTIONS,
    ) -> stt.SpeechEvent:
        frame = rtc.combine_audio_frames(buffer)
        heard = await self._ears.recognise(bytes(frame.data.cast("B")), sample_rate=frame.sample_rate)
        data = stt.SpeechData(language=LanguageCode("en"), text=heard.text, confidence=heard.confidence)
        return stt.SpeechEvent(type=stt.SpeechEventType.FINAL_TRANSCRIPT, alternatives=[data])


class VoiceTTS(tts.TTS[Any]):
    """Text to speech by the shared voice, a sentence at a time, at the telephone's own rate."""

    def __init__(self, speaker: voice.Voice) -> None:
        super().__init__(
            capabilities=tts.TTSCapabilities(streaming=False), sample_rate=SAMPLE_RATE, num_channels=1
        )
        self._speaker = speaker

    @property
    def model(self) -> str:
        """Name of the voice."""
        return voice.MODEL

    @property
    def provider(self) -> str:
        """`offline`."""
        return PROVIDER

    def synthesize(
        self, text: str, *, conn_options: APIConnectOptions = DEFAULT_API_CONNECT_OPTIONS
    ) -> tts.ChunkedStream:
        """Render one piece of text."""
        return _Sentence(self, self._speaker, text, conn_options)


class _Sentence(tts.ChunkedStream):
    def __init__(self, owner: VoiceTTS, speaker: voice.Voice, text: str, options: APIConnectOptions) -> None:
        super().__init__(  # pyright: ignore[reportUnknownMemberType]
            tts=owner, input_text=text, conn_options=options
        )
        self._speaker = speaker

    async def _run(self, output_emitter: tts.AudioEmitter) -> None:
        output_emitter.initialize(
            request_id=utils.shortuuid("tts_"), sample_rate=SAMPLE_RATE, num_channels=1, mime_type="audio/pcm"
        )
        output_emitter.push(await self._speaker.speak(self.input_text, sample_rate=SAMPLE_RATE))
        output_emitter.flush()


class FrontDeskLLM(llm.LLM[Any]):
    """The rule-based brain where a language model would stand.

    Attributes:
        farewell: True once the last answer was a goodbye: the call is over when it has been spoken.
    """

    def __init__(self) -> None:
        super().__init__()
        self.farewell = False

    @property
    def model(self) -> str:
        """Name of the brain."""
        return frontdesk.MODEL

    @property
    def provider(self) -> str:
        """`offline`."""
        return PROVIDER

    def chat(
        self,
        *,
        chat_ctx: llm.ChatContext,
        tools: list[llm.Tool] | None = None,
        conn_options: APIConnectOptions = DEFAULT_API_CONNECT_OPTIONS,
        **_: Any,
    ) -> llm.LLMStream:
        """Answer the conversation so far."""
        return _Answer(self, chat_ctx=chat_ctx, tools=tools or [], conn_options=conn_options)


class _Answer(llm.LLMStream):
    def __init__(
        self,
        owner: FrontDeskLLM,
        *,
        chat_ctx: llm.ChatContext,
        tools: list[llm.Tool],
        conn_options: APIConnectOptions,
    ) -> None:
        super().__init__(  # pyright: ignore[reportUnknownMemberType]
            owner, chat_ctx=chat_ctx, tools=tools, conn_options=conn_options
        )
        self._owner = owner

    async def _run(self) -> None:
        conversation = list(messages_of(self._chat_ctx.items))
        answer = frontdesk.answer(conversation)
        self._owner.farewell = answer.hang_up
        chat_id = utils.shortuuid("chat_")
        for delta in _deltas(answer):
            self._event_ch.send_nowait(llm.ChatChunk(id=chat_id, delta=delta))
        prompt = sum(len(message.text.split()) for message in conversation)
        completion = len(answer.text.split())
        usage = llm.CompletionUsage(
            prompt_tokens=prompt, completion_tokens=completion, total_tokens=prompt + completion
        )
        self._event_ch.send_nowait(llm.ChatChunk(id=chat_id, usage=usage))


def messages_of(items: Iterable[Any]) -> Iterator[frontdesk.Message]:
    """The conversation as the brain takes it."""
    for item in items:
        if item.type == "message" and item.role in {"user", "assistant"}:
            role = "caller" if item.role == "user" else "agent"
            yield frontdesk.Message(role, item.text_content or "")
        elif item.type == "function_call_output":
            yield frontdesk.Message("tool", result=_result(item.output))


def _result(output: str) -> dict[str, Any]:
    """What the tool gave; LiveKit keeps it as `str()` of the value."""
    try:
        value = ast.literal_eval(output)
    except (ValueError, SyntaxError):
        return {}
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}


def _deltas(answer: frontdesk.Answer) -> Iterator[llm.ChoiceDelta]:
    """The answer as a model streams it: word by word, then the tool call."""
    for word in answer.text.split():
        yield llm.ChoiceDelta(role="assistant", content=f"{word} ")
    if answer.tool:
        call = llm.FunctionToolCall(
            name=answer.tool,
            arguments=json.dumps(dict(answer.arguments or {})),
            call_id=utils.shortuuid("call_"),
        )
        yield llm.ChoiceDelta(role="assistant", tool_calls=[call])
