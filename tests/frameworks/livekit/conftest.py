"""A real `AgentSession` in a job of its own, with scripted models and a room without a server."""

from __future__ import annotations

import asyncio
import inspect
import json
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from livekit import rtc
from livekit.agents import (
    Agent,
    AgentSession,
    JobContext,
    RunContext,
    function_tool,
    llm,
    stt,
    tts,
    utils,
    vad,
)
from livekit.agents.language import LanguageCode
from livekit.agents.llm import StopResponse
from livekit.agents.testing import fake_job_context
from livekit.agents.types import DEFAULT_API_CONNECT_OPTIONS, APIConnectOptions
from livekit.agents.voice.agent_session import SessionConnectOptions
from livekit.agents.voice.io import AudioInput, AudioOutput, AudioOutputCapabilities
from livekit.agents.voice.room_io import RoomOptions

from tuner_core.delivery.sink import DeliveryOutcome
from tuner_core.records import CallRecord
from tuner_core.repair import conform
from tuner_livekit import TunerPlugin
from tuner_sipbridge.agents.livekit_room import SipRoom

RATE = 8000
CALL_ID = "2jf9wCCXfwgxKkTOfLcEsA5LD6f"
CORRELATION = "0123456789abcdef0123456789abcdef"
AT_JOIN = {
    "sip.callID": "SCL_x1",
    "sip.ruleID": "SDR_x1",
    "sip.phoneNumber": "+15550100",
    "sip.trunkPhoneNumber": "+15550199",
}
NO_AUDIO = RoomOptions(audio_input=False, audio_output=False, text_input=False, text_output=False)
SCHEMA = Path(__file__).parents[2] / "data" / "create_call.schema.json"


class ScriptedLLM(llm.LLM):
    """Answers by a table of last words: text is spoken, `(tool, arguments)` is called."""

    @property
    def model(self) -> str:
        return "script-1"

    @property
    def provider(self) -> str:
        return "offline"

    def __init__(self, script: dict[str, Any]) -> None:
        super().__init__()
        self.script = script

    def chat(self, *, chat_ctx: Any, tools: Any = None, conn_options: Any = None, **_: Any) -> Any:
        options = conn_options or DEFAULT_API_CONNECT_OPTIONS
        return _Answer(self, chat_ctx=chat_ctx, tools=tools or [], conn_options=options)


class _Answer(llm.LLMStream):
    def __init__(self, owner: ScriptedLLM, **options: Any) -> None:
        super().__init__(owner, **options)
        self._owner = owner

    async def _run(self) -> None:
        last: Any = self._chat_ctx.items[-1]
        script = self._owner.script
        words = last.output if last.type == "function_call_output" else (last.text_content or "")
        answer = script.get(words.split("\n")[0], "Sorry?")
        if isinstance(answer, Exception):
            raise answer
        if isinstance(answer, tuple):
            name, arguments = answer
            call = llm.FunctionToolCall(name=name, arguments=arguments, call_id=utils.shortuuid("call_"))
            delta = llm.ChoiceDelta(role="assistant", tool_calls=[call])
        else:
            delta = llm.ChoiceDelta(role="assistant", content=answer)
        self._event_ch.send_nowait(llm.ChatChunk(id="chat", delta=delta))
        usage = llm.CompletionUsage(
            prompt_tokens=1000, prompt_cached_tokens=800, completion_tokens=50, total_tokens=1050
        )
        self._event_ch.send_nowait(llm.ChatChunk(id="chat", usage=usage))


class ToneTTS(tts.TTS):
    """20 ms of tone a character."""

    @property
    def model(self) -> str:
        return "tone-1"

    @property
    def provider(self) -> str:
        return "offline"

    def __init__(self) -> None:
        super().__init__(capabilities=tts.TTSCapabilities(streaming=False), sample_rate=RATE, num_channels=1)

    def synthesize(self, text: str, *, conn_options: Any = DEFAULT_API_CONNECT_OPTIONS) -> Any:
        return _Tone(tts=self, input_text=text, conn_options=conn_options)


class _Tone(tts.ChunkedStream):
    async def _run(self, output_emitter: Any) -> None:
        output_emitter.initialize(
            request_id=utils.shortuuid("tts_"), sample_rate=RATE, num_channels=1, mime_type="audio/pcm"
        )
        output_emitter.push(b"\x00\x20" * int(RATE * 0.02 * len(self._input_text)))
        output_emitter.flush()


class PuppetVAD(vad.VAD):
    """Speech begins and ends when the test says so."""

    def __init__(self) -> None:
        super().__init__(capabilities=vad.VADCapabilities(update_interval=0.02))
        self.current: Any = None

    def stream(self) -> Any:
        self.current = _PuppetVADStream(self)
        return self.current


class _PuppetVADStream(vad.VADStream):
    async def _main_task(self) -> None:
        async for _ in self._input_ch:
            pass

    def tell(self, kind: vad.VADEventType, *, speech: float, silence: float = 0.0) -> None:
        talking = kind != vad.VADEventType.END_OF_SPEECH
        self._event_ch.send_nowait(
            vad.VADEvent(
                type=kind,
                samples_index=0,
                timestamp=time.time(),
                speech_duration=speech,
                silence_duration=silence,
                probability=float(talking),
                speaking=talking,
                raw_accumulated_speech=speech if talking else 0.0,
                raw_accumulated_silence=silence,
            )
        )


class PuppetSTT(stt.STT):
    """Hears what the test says."""

    @property
    def model(self) -> str:
        return "puppet-1"

    @property
    def provider(self) -> str:
        return "offline"

    def __init__(self) -> None:
        super().__init__(capabilities=stt.STTCapabilities(streaming=True, interim_results=True))
        self.current: Any = None

    async def _recognize_impl(self, buffer: Any, *, language: Any = None, conn_options: Any = None) -> Any:
        raise NotImplementedError

    def stream(self, *, language: Any = None, conn_options: Any = DEFAULT_API_CONNECT_OPTIONS) -> Any:
        self.current = _PuppetSTTStream(stt=self, conn_options=conn_options)
        return self.current


class _PuppetSTTStream(stt.RecognizeStream):
    async def _run(self) -> None:
        async for _ in self._input_ch:
            pass

    def tell(self, text: str) -> None:
        data = stt.SpeechData(language=LanguageCode("en"), text=text, confidence=0.9)
        kind = stt.SpeechEventType.FINAL_TRANSCRIPT
        self._event_ch.send_nowait(stt.SpeechEvent(type=kind, alternatives=[data]))


class Quiet(AudioInput):
    """20 ms of silence for ever."""

    def __init__(self) -> None:
        super().__init__(label="quiet")

    async def __anext__(self) -> rtc.AudioFrame:
        await asyncio.sleep(0.02)
        return rtc.AudioFrame(b"\0\0" * 160, RATE, 1, 160)


class Speaker(AudioOutput):
    """Plays in real time on the loop's clock; cannot pause."""

    def __init__(self) -> None:
        super().__init__(label="speaker", sample_rate=RATE, capabilities=AudioOutputCapabilities(pause=False))
        self._queued, self._since = 0.0, 0.0
        self._timer: Any = None

    async def capture_frame(self, frame: rtc.AudioFrame) -> None:
        await super().capture_frame(frame)
        if not self._queued:
            self._since = time.time()
            self.on_playback_started(created_at=self._since)
        self._queued += frame.duration

    def flush(self) -> None:
        super().flush()
        if self._queued:
            left = max(self._queued - (time.time() - self._since), 0.0)
            self._timer = asyncio.get_running_loop().call_later(left, self._done, False)

    def clear_buffer(self) -> None:
        if self._queued:
            self._done(True)

    def _done(self, interrupted: bool) -> None:
        if self._timer:
            self._timer.cancel()
        position = min(time.time() - self._since, self._queued)
        self._queued = 0.0
        self.on_playback_finished(playback_position=position, interrupted=interrupted)


class FrontDesk(Agent):
    """An agent with one tool of each kind."""

    def __init__(self) -> None:
        super().__init__(instructions="You are the front desk.", id="front_desk")
        self.searching = asyncio.Event()

    async def on_user_turn_completed(self, turn_ctx: Any, new_message: llm.ChatMessage) -> None:
        text = new_message.text_content or ""
        if text == "ignore me":
            raise StopResponse
        if text == "what is late":
            new_message.content.append("Context: order 7 is late")

    @function_tool
    async def find_slot(self, day: str) -> dict[str, Any]:
        """Look up a free slot."""
        return {"day": day, "time": "10:30"}

    @function_tool
    async def broken(self) -> str:
        """Fails."""
        raise llm.ToolError("no calendar")

    @function_tool(flags=llm.ToolFlag.CANCELLABLE)
    async def search(self, ctx: RunContext[Any]) -> str:
        """Takes longer than the call."""
        self.search_task = asyncio.current_task()
        self.searching.set()
        await asyncio.sleep(30)
        return "never"

    @function_tool
    async def to_billing(self) -> Agent:
        """Hand over to billing."""
        return Billing()


class Billing(Agent):
    """Whom the front desk hands over to."""

    def __init__(self) -> None:
        super().__init__(instructions="You are billing.", id="billing")


SCRIPT: dict[str, Any] = {
    "hello": "Hello, front desk.",
    "book monday": ("find_slot", '{"day": "monday"}'),
    "{'day': 'monday', 'time': '10:30'}": "I have ten thirty.",
    "badly": ("find_slot", '"monday"'),
    "emptily": ("find_slot", ""),
    "break": ("broken", "{}"),
    "search": ("search", "{}"),
    "billing please": ("to_billing", "{}"),
    "long story": "This is a very long story that takes a good while to tell to anybody who listens.",
    "what is late": "Order seven is late.",
    "fail": RuntimeError("the model is on fire"),
}


class Sink:
    """Keeps what it is given; each record must be one that Create Call accepts."""

    def __init__(self) -> None:
        self.records: list[CallRecord] = []

    async def deliver(self, record: CallRecord, *, deadline_s: float = 8.0) -> DeliveryOutcome:
        self.records.append(record)
        return DeliveryOutcome("delivered")

    @property
    def payloads(self) -> list[dict[str, Any]]:
        schema = json.loads(SCHEMA.read_text(encoding="utf-8"))
        bodies = [conform(record).payload for record in self.records]
        for body in bodies:
            jsonschema.validate(body, schema)
        return bodies


class Call:
    """One job with one session; `shutdown` ends it as LiveKit's job process does."""

    def __init__(self, ctx: JobContext, room: SipRoom) -> None:
        self.ctx, self.room = ctx, room
        self.sink = Sink()
        self.agent = FrontDesk()
        self.vad, self.stt = PuppetVAD(), PuppetSTT()
        self.session: Any = None
        self.plugin: Any = None

    def joins(self, **attributes: str) -> None:
        """The caller joins with what livekit-sip puts into its token."""
        self.room.caller_joins("sip_+15550100", {**AT_JOIN, **attributes})

    def shows_the_rest(self) -> None:
        """What arrives after the join."""
        self.room.caller_shows({"sip.callIDFull": CALL_ID, "sip.h.x-correlation-id": CORRELATION})

    async def start(self, *, audio: bool = False, **options: Any) -> None:
        """Make session and plugin as an entrypoint does; text only unless `audio`."""
        self.make(audio=audio, **options)
        # The room cannot carry the host's messages; livekit-agents 1.6 has no such host.
        hosts = "session_host" in inspect.signature(self.session.start).parameters
        quiet = {"session_host": False} if hosts else {}
        await self.session.start(self.agent, room=self.room, room_options=NO_AUDIO, record=False, **quiet)

    def make(self, *, audio: bool = False, **options: Any) -> None:
        """The part of `start` before the session starts."""
        models = {"vad": self.vad, "stt": self.stt, "tts": ToneTTS()} if audio else {}
        self.session = AgentSession(
            llm=ScriptedLLM(SCRIPT),
            **models,
            aec_warmup_duration=None,
            conn_options=SessionConnectOptions(
                llm_conn_options=APIConnectOptions(max_retry=0), max_unrecoverable_errors=0
            ),
            session_close_transcript_timeout=0.1,
            turn_handling={
                "turn_detection": "vad" if audio else None,
                "endpointing": {"min_delay": 0.05, "max_delay": 0.3},
                "interruption": {"mode": "vad", "min_duration": 0.1},
            },
        )
        if audio:
            self.session.input.audio, self.session.output.audio = Quiet(), Speaker()
        self.plugin = TunerPlugin(self.session, self.ctx, **{"sink": self.sink, **options})

    async def says(self, text: str, *, seconds: float = 0.2) -> None:
        """The caller speaks: voice activity, a transcript, silence."""
        kind = vad.VADEventType
        self.vad.current.tell(kind.START_OF_SPEECH, speech=0.05)
        for step in range(1, int(seconds / 0.05) + 1):
            await asyncio.sleep(0.05)
            self.vad.current.tell(kind.INFERENCE_DONE, speech=0.05 * step)
        self.stt.current.tell(text)
        await asyncio.sleep(0.02)
        self.vad.current.tell(kind.END_OF_SPEECH, speech=seconds, silence=0.05)

    async def writes(self, text: str) -> None:
        """Code puts text in the user's mouth and waits for the answer."""
        await self.session.run(user_input=text)

    async def until(self, seen: Callable[[], object]) -> None:
        """Wait until `seen` gives something true."""
        async with asyncio.timeout(10):
            while not seen():  # noqa: ASYNC110 - the condition is the session's own state
                await asyncio.sleep(0.01)

    async def agent_has_said(self, text: str) -> None:
        """Wait until a turn of the agent with `text` is in the history."""
        await self.until(
            lambda: any(
                item.type == "message" and item.role == "assistant" and text in (item.text_content or "")
                for item in self.session.history.items
            )
        )

    async def hangs_up(self) -> None:
        """The caller hangs up, and the session closes by itself."""
        closed = asyncio.Event()
        self.session.on("close", lambda _event: closed.set())
        self.room.caller_leaves(rtc.DisconnectReason.CLIENT_INITIATED)
        await asyncio.wait_for(closed.wait(), 5)

    async def shutdown(self, reason: str = "room disconnected") -> None:
        """Session, room, callbacks: the order of LiveKit's job process."""
        await self.session.aclose()
        await self.room.disconnect()
        await asyncio.gather(*(callback(reason) for callback in self.ctx._shutdown_callbacks))

    @property
    def payload(self) -> dict[str, Any]:
        """The one record, as the API gets it."""
        (payload,) = self.sink.payloads
        return payload

    def rows(self, *roles: str) -> list[dict[str, Any]]:
        """Rows of the one record."""
        return [
            row for row in self.payload["transcript_with_tool_calls"] if not roles or row["role"] in roles
        ]


@pytest.fixture
async def call() -> AsyncIterator[Call]:
    room = SipRoom("test-room")
    with fake_job_context(room=room, job_id="AJ_test") as ctx:
        yield Call(ctx, room)
        cleaned: Any = ctx._on_cleanup()
        if inspect.isawaitable(cleaned):
            await cleaned
