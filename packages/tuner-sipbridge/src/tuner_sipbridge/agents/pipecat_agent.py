"""The reference agent on Pipecat: a real pipeline whose transport is a SIP call."""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# Pipecat leaves the **kwargs of its base classes untyped.
from __future__ import annotations

# Before Pipecat, which logs while it is imported.
import tuner_sipbridge.agents.pipecat_log  # isort: skip  # noqa: F401  # pyright: ignore[reportUnusedImport]

import asyncio

from pipecat.adapters.llm.schemas.function_schema import FunctionSchema
from pipecat.adapters.llm.schemas.tools_schema import ToolsSchema
from pipecat.audio.vad.silero import SileroVADAnalyzer
from pipecat.audio.vad.vad_analyzer import VADParams
from pipecat.frames.frames import TTSSpeakFrame
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineParams, PipelineWorker
from pipecat.processors.aggregators.dtmf_aggregator import DTMFAggregator
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.processors.aggregators.llm_response_universal import (
    LLMContextAggregatorPair,
    LLMUserAggregatorParams,
)
from pipecat.turns.user_start import TranscriptionUserTurnStartStrategy, VADUserTurnStartStrategy
from pipecat.turns.user_stop import SpeechTimeoutUserTurnStopStrategy
from pipecat.turns.user_turn_strategies import UserTurnStrategies
from pipecat.workers.runner import WorkerRunner

from tuner_core.config import TunerConfig
from tuner_core.delivery import CallSink
from tuner_core.identity.phone import phone_number_of
from tuner_pipecat import TunerObserver
from tuner_sipbridge.agents import frontdesk
from tuner_sipbridge.agents.hearing import shared_hearing
from tuner_sipbridge.agents.line import Line
from tuner_sipbridge.agents.pipecat_services import FrontDeskLLM, HearingSTT, VoiceTTS
from tuner_sipbridge.agents.pipecat_transport import SipTransport
from tuner_sipbridge.agents.voice import shared_voice
from tuner_sipbridge.media.engine import SAMPLE_RATE

_VAD = VADParams(start_secs=0.2, stop_secs=0.35, confidence=0.6, min_volume=0.3)
"""Settings for telephone speech: commas are bridged, and a quiet caller is heard."""
_MORE_SPEECH_S = 0.25
"""After the voice activity ended, how long the caller may go on; the transcript is made meanwhile."""
_EMPTY_TURN_S = 2.0
"""A turn in which no word was recognised ends after so long."""
_IDLE_S = 60.0
_REASONS = {"caller": "user_hangup", "agent": "agent_hangup"}


async def pipecat_agent(
    line: Line, *, sink: CallSink | None = None, config: TunerConfig | None = None
) -> None:
    """Serve one call as the front desk and post its record.

    Args:
        line: the answered call.
        sink: takes the record instead of Tuner's delivery.
        config: where the record goes; from the environment when omitted.
    """
    transport = SipTransport(line)
    observer = TunerObserver(
        sip_call_id=line.sip_call_id,
        sip_headers=line.headers,
        call_type="phone_call",
        caller_phone_number=phone_number_of(line.caller),
        sink=sink,
        config=config,
    )
    worker = PipelineWorker(
        _pipeline(transport),
        params=PipelineParams(
            audio_in_sample_rate=SAMPLE_RATE,
            audio_out_sample_rate=SAMPLE_RATE,
            enable_metrics=True,
            enable_usage_metrics=True,
        ),
        observers=[observer],
        enable_rtvi=False,
        idle_timeout_secs=_IDLE_S,
    )

    async def greet(_transport: SipTransport, _line: Line) -> None:
        await worker.queue_frame(TTSSpeakFrame(frontdesk.GREETING))

    async def leave(_transport: SipTransport, by: str) -> None:
        await worker.cancel(reason=_REASONS.get(by, "error: the media stream was lost"))

    transport.add_event_handler("on_client_connected", greet)
    transport.add_event_handler("on_client_disconnected", leave)
    runner = WorkerRunner(handle_sigint=False)
    try:
        await runner.add_workers(worker)
        await runner.run()
    finally:
        line.hang_up()


async def warm_up() -> None:
    """Load recogniser, voice and voice activity detector, so that the first caller does not wait for them.

    Raises:
        SpeechError: the voice or the recogniser cannot be loaded.
    """
    await asyncio.gather(
        asyncio.to_thread(SileroVADAnalyzer, params=_VAD),
        shared_hearing().warm_up(),
        shared_voice().warm_up(),
    )


def _pipeline(transport: SipTransport) -> Pipeline:
    """The processors of one call, none of them ours but the ends and the models."""
    tool = FunctionSchema(
        name=frontdesk.LOOK_UP_ORDER,
        description="Look up where an order is.",
        properties={"order_number": {"type": "string", "description": "Three digits."}},
        required=["order_number"],
    )
    context = LLMContext(tools=ToolsSchema(standard_tools=[tool]))
    aggregators = LLMContextAggregatorPair(
        context,
        user_params=LLMUserAggregatorParams(
            vad_analyzer=SileroVADAnalyzer(params=_VAD),
            user_turn_strategies=UserTurnStrategies(
                # Keys come as a transcript without a voice.
                start=[VADUserTurnStartStrategy(), TranscriptionUserTurnStartStrategy()],
                stop=[SpeechTimeoutUserTurnStopStrategy(user_speech_timeout=_MORE_SPEECH_S)],
            ),
            user_turn_stop_timeout=_EMPTY_TURN_S,
        ),
    )
    return Pipeline(
        [
            transport.input(),
            DTMFAggregator(),
            HearingSTT(shared_hearing()),
            aggregators.user(),
            FrontDeskLLM(),
            VoiceTTS(shared_voice()),
            transport.output(),
            aggregators.assistant(),
        ]
    )
