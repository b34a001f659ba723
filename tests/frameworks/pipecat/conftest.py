"""A real Pipecat pipeline, headless: its own aggregators, turn taking and metrics, with scripted models."""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import AsyncGenerator, Awaitable, Callable
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from loguru import logger
from pipecat.adapters.llm.schemas.function_schema import FunctionSchema
from pipecat.adapters.llm.schemas.tools_schema import ToolsSchema
from pipecat.frames.frames import (
    BotStartedSpeakingFrame,
    BotStoppedSpeakingFrame,
    Frame,
    FunctionCallFromLLM,
    LLMContextFrame,
    LLMFullResponseEndFrame,
    LLMFullResponseStartFrame,
    LLMTextFrame,
    OutputAudioRawFrame,
    StartFrame,
    TranscriptionFrame,
    TTSAudioRawFrame,
    VADUserStartedSpeakingFrame,
    VADUserStoppedSpeakingFrame,
)
from pipecat.metrics.metrics import LLMTokenUsage
from pipecat.observers.base_observer import BaseObserver, FramePushed
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineParams, PipelineWorker
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.processors.aggregators.llm_response_universal import (
    LLMContextAggregatorPair,
    LLMUserAggregatorParams,
)
from pipecat.processors.frame_processor import FrameDirection
from pipecat.services.llm_service import FunctionCallParams, LLMService
from pipecat.services.settings import LLMSettings, STTSettings, TTSSettings
from pipecat.services.stt_service import STTService
from pipecat.services.tts_service import TTSService
from pipecat.transports.base_output import BaseOutputTransport
from pipecat.transports.base_transport import TransportParams
from pipecat.turns.user_start import VADUserTurnStartStrategy
from pipecat.turns.user_stop import SpeechTimeoutUserTurnStopStrategy
from pipecat.turns.user_turn_strategies import UserTurnStrategies
from pipecat.utils.time import time_now_iso8601
from pipecat.workers.runner import WorkerRunner

from tuner_core.delivery import DeliveryOutcome
from tuner_core.records import CallRecord
from tuner_core.repair import conform
from tuner_pipecat import TunerObserver

# Pipecat's log would fill the report of a failing test.
logger.remove()

RATE = 8000
CHARACTER_S = 0.02
"""How long the tone voice takes for a character."""
SCHEMA = Path(__file__).parents[2] / "data" / "create_call.schema.json"

Script = dict[str, Any]
"""Last words to what the model does: text is spoken, `(filler, tool, arguments)` also calls a tool."""


class PuppetSTT(STTService):
    """Hears what the test lets it hear."""

    def __init__(self) -> None:
        super().__init__(ttfs_p99_latency=0.1, settings=STTSettings(model="ears-1", language="en"))

    async def run_stt(self, audio: bytes) -> AsyncGenerator[Frame | None, None]:
        yield None

    async def hear(self, text: str, *, result: Any = None) -> None:
        frame = TranscriptionFrame(text, "caller", time_now_iso8601(), result=result)
        frame.finalized = True
        await self.push_frame(frame)


class ScriptedLLM(LLMService):
    """Answers by the table."""

    def __init__(self, script: Script) -> None:
        super().__init__(
            settings=LLMSettings(
                model="brain-1", system_instruction=None, temperature=None, max_tokens=None, top_p=None,
                top_k=None, frequency_penalty=None, presence_penalty=None, seed=None,
                filter_incomplete_user_turns=False, user_turn_completion_config=None,
            )
        )  # fmt: skip
        self._script = script
        self._ids = itertools.count(1)

    def can_generate_metrics(self) -> bool:
        return True

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        await super().process_frame(frame, direction)
        if isinstance(frame, LLMContextFrame):
            await self._respond(frame.context)
        else:
            await self.push_frame(frame, direction)

    async def _respond(self, context: LLMContext) -> None:
        message: Any = context.get_messages()[-1]
        heard = str(message.get("content"))
        answer = next((answer for words, answer in self._script.items() if words in heard), "Sorry?")
        text, *call = answer if isinstance(answer, tuple) else (answer,)
        await self.push_frame(LLMFullResponseStartFrame())
        await self.start_processing_metrics()
        await self.start_ttfb_metrics()
        await asyncio.sleep(0.02)
        await self.stop_ttfb_metrics()
        await self.start_llm_usage_metrics(
            LLMTokenUsage(prompt_tokens=11, completion_tokens=7, total_tokens=18)
        )
        for word in text.split():
            await self.push_frame(LLMTextFrame(f"{word} "))
        if call:
            name, arguments = call
            request = FunctionCallFromLLM(name, f"call-{next(self._ids)}", arguments, context)
            await self.run_function_calls([request])
        await self.stop_processing_metrics()
        await self.push_frame(LLMFullResponseEndFrame())


class ToneTTS(TTSService):
    """A tone as long as the text."""

    def __init__(self) -> None:
        super().__init__(
            sample_rate=RATE, push_start_frame=True, push_stop_frames=True, stop_frame_timeout_s=0.5,
            settings=TTSSettings(model="voice-1", voice="tone", language="en"),
        )  # fmt: skip

    def can_generate_metrics(self) -> bool:
        return True

    async def run_tts(self, text: str, context_id: str) -> AsyncGenerator[Frame | None, None]:
        await self.start_tts_usage_metrics(text)
        await asyncio.sleep(0.01)
        await self.stop_ttfb_metrics()
        pcm = b"\x10\x27" * int(RATE * CHARACTER_S * len(text))
        for start in range(0, len(pcm), RATE // 5 * 2):
            yield TTSAudioRawFrame(pcm[start : start + RATE // 5 * 2], RATE, 1, context_id=context_id)


class Loudspeaker(BaseOutputTransport):
    """Plays in real time, into nothing."""

    def __init__(self) -> None:
        super().__init__(
            TransportParams(audio_out_enabled=True, audio_out_sample_rate=RATE, audio_out_end_silence_secs=0)
        )

    async def start(self, frame: StartFrame) -> None:
        await super().start(frame)
        await self.set_transport_ready(frame)

    async def write_audio_frame(self, frame: OutputAudioRawFrame) -> bool:
        await asyncio.sleep(len(frame.audio) / 2 / RATE)
        return True


class Stage(BaseObserver):
    """Tells the test whether the agent speaks."""

    def __init__(self) -> None:
        super().__init__(observe_every_push=False)
        self.speaking = asyncio.Event()
        self.quiet = asyncio.Event()

    async def on_push_frame(self, data: FramePushed) -> None:
        if isinstance(data.frame, BotStartedSpeakingFrame):
            self.quiet.clear()
            self.speaking.set()
        elif isinstance(data.frame, BotStoppedSpeakingFrame):
            self.speaking.clear()
            self.quiet.set()


class Sink:
    """Takes the record, as an application's own delivery would."""

    def __init__(self) -> None:
        self.records: list[CallRecord] = []

    async def deliver(self, record: CallRecord, *, deadline_s: float = 8.0) -> DeliveryOutcome:
        self.records.append(record)
        return DeliveryOutcome("delivered")


class PipecatCall:
    """One call: the pipeline, its observer, and a caller."""

    def __init__(
        self,
        script: Script,
        *,
        tools: dict[str, Callable[[FunctionCallParams], Awaitable[None]]] | None = None,
        sink: Any = None,
        tracing: bool = False,
        **observer: Any,
    ) -> None:
        self.sink = sink or Sink()
        self.stt, llm = PuppetSTT(), ScriptedLLM(script)
        for name, handler in (tools or {}).items():
            llm.register_function(name, handler, cancel_on_interruption=True)
        schemas = [FunctionSchema(name, "A tool.", {}, []) for name in tools or {}]
        context = LLMContext(tools=ToolsSchema(standard_tools=list(schemas)))
        pair = LLMContextAggregatorPair(
            context,
            user_params=LLMUserAggregatorParams(
                user_turn_strategies=UserTurnStrategies(
                    start=[VADUserTurnStartStrategy()],
                    stop=[SpeechTimeoutUserTurnStopStrategy(user_speech_timeout=0.05)],
                ),
            ),
        )
        self.stage = Stage()
        self.observer = TunerObserver(sink=self.sink, **observer)
        self.worker = PipelineWorker(
            Pipeline([self.stt, pair.user(), llm, ToneTTS(), Loudspeaker(), pair.assistant()]),
            params=PipelineParams(
                audio_in_sample_rate=RATE, audio_out_sample_rate=RATE,
                enable_metrics=True, enable_usage_metrics=True,
            ),
            observers=[self.observer, self.stage],
            enable_rtvi=False,
            enable_tracing=tracing,
        )  # fmt: skip
        self._ready = asyncio.Event()

        async def started(_worker: Any, _frame: Any) -> None:
            self._ready.set()

        self.worker.add_event_handler("on_pipeline_started", started)

    async def say(self, text: str, seconds: float = 0.3, **hearing: Any) -> None:
        """The caller speaks; the transcript comes a moment after."""
        await self.worker.queue_frame(VADUserStartedSpeakingFrame(start_secs=0.02))
        await asyncio.sleep(seconds)
        await self.worker.queue_frame(VADUserStoppedSpeakingFrame(stop_secs=0.05))
        await asyncio.sleep(0.03)
        await self.stt.hear(text, **hearing)

    async def agent_begins(self) -> None:
        """Wait until the agent speaks."""
        await asyncio.wait_for(self.stage.speaking.wait(), 5)

    async def agent_ends(self) -> None:
        """Wait until the agent has spoken and is quiet."""
        await self.agent_begins()
        await asyncio.wait_for(self.stage.quiet.wait(), 10)

    async def run(self, talk: Callable[[PipecatCall], Awaitable[None]]) -> Posted:
        """Hold the call and give what is posted."""
        runner = WorkerRunner(handle_sigint=False)
        await runner.add_workers(self.worker)

        async def drive() -> None:
            await self._ready.wait()
            await talk(self)

        await asyncio.gather(runner.run(), drive())
        (record,) = self.sink.records
        return Posted(record)


class Posted(dict[str, Any]):
    """The body as it is sent, which must satisfy the schema."""

    def __init__(self, record: CallRecord) -> None:
        conformed = conform(record)
        super().__init__(conformed.payload)
        jsonschema.validate(conformed.payload, json.loads(SCHEMA.read_text()))
        assert self["end_timestamp"] >= self["start_timestamp"]

    def rows(self, role: str) -> list[dict[str, Any]]:
        return [row for row in self["transcript_with_tool_calls"] if row["role"] == role]

    def texts(self, role: str) -> list[str]:
        return [row["text"] for row in self.rows(role)]


@pytest.fixture
def pipecat_call() -> type[PipecatCall]:
    return PipecatCall
