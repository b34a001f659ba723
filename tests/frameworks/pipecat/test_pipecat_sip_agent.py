"""The reference agent on Pipecat with real audio: RTP in, recogniser, rules, voice, RTP out, and its record."""

from __future__ import annotations

import asyncio
import functools
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest
from pipecat.audio.dtmf.types import KeypadEntry
from pipecat.frames.frames import (
    EndFrame,
    Frame,
    InputAudioRawFrame,
    InterruptionFrame,
    OutputAudioRawFrame,
    OutputDTMFUrgentFrame,
)
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineParams, PipelineWorker
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor
from pipecat.transports.base_transport import TransportParams
from pipecat.workers.runner import WorkerRunner

from tuner_core.delivery import DeliveryOutcome
from tuner_core.repair import conform
from tuner_sipbridge.agents.echo import DELAY_S, echo
from tuner_sipbridge.agents.frontdesk import GREETING
from tuner_sipbridge.agents.pipecat_agent import pipecat_agent, warm_up
from tuner_sipbridge.agents.pipecat_transport import SipTransport
from tuner_sipbridge.audio import g711
from tuner_sipbridge.caller.persona import Persona
from tuner_sipbridge.caller.piper_speech import PiperSpeech
from tuner_sipbridge.media.engine import (
    DigitReceived,
    MediaParameters,
    MediaStream,
    SpeechStarted,
    SpeechStopped,
)
from tuner_sipbridge.net.ids import new_correlation_id, new_sip_call_id
from tuner_sipbridge.net.media_engine import PyMediaEngine

NUMBER = "The order number is four, two, seven."
HOURS = "What are your opening hours?"
WHERE = "Where is my order?"
OVER = "Excuse me, I have another question."
GOODBYE = "Thank you, goodbye."
TOOL_S = 2.5
"""Longest silence between "one moment" and the answer, on a busy machine."""
SCHEMA = Path(__file__).parents[2] / "data" / "create_call.schema.json"


@functools.cache
def spoken(text: str) -> Any:
    """Speech of the caller, 8000 Hz; rendered before the calls begin."""
    return PiperSpeech().render(text, Persona()).pcm


class Line:
    """An answered call without SIP: two RTP ports that know each other."""

    def __init__(self, stream: MediaStream) -> None:
        self.sip_call_id, self.correlation_id = new_sip_call_id(), new_correlation_id()
        self.headers = {"call-id": self.sip_call_id, "x-correlation-id": self.correlation_id}
        self.caller, self.called, self.codec = "+15550100", "frontdesk", "PCMU"
        self.stream = stream
        self._ended: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    def hang_up(self, by: str = "agent") -> None:
        if not self._ended.done():
            self._ended.set_result(by)

    async def ended(self) -> str:
        return await asyncio.shield(self._ended)


class Caller:
    """The other end: speaks, presses keys, and listens for the agent to finish."""

    def __init__(self, line: Line, stream: MediaStream) -> None:
        self.line, self.stream = line, stream
        self.heard: list[SpeechStarted | SpeechStopped | DigitReceived] = []
        self._news = asyncio.Condition()
        self._follower = asyncio.create_task(self._follow())

    async def _follow(self) -> None:
        async for event in self.stream.events():
            if isinstance(event, SpeechStarted | SpeechStopped | DigitReceived):
                async with self._news:
                    self.heard.append(event)
                    self._news.notify_all()

    async def until(self, kind: type[Any], after: int, timeout_s: float = 20.0) -> Any:
        """The first event of a kind behind the first `after` events."""
        async with asyncio.timeout(timeout_s), self._news:
            while not (found := [event for event in self.heard[after:] if isinstance(event, kind)]):
                await self._news.wait()
            return found[0]

    async def says(self, text: str) -> None:
        pcm = spoken(text)
        self.stream.play(g711.encode(pcm, "PCMU"), mark=text)
        self.stream.finish(text)
        await asyncio.sleep(len(pcm) / 8000)

    async def hears_the_agent_begin(self) -> float:
        return float((await self.until(SpeechStarted, len(self.heard))).at)

    async def hears_the_agent_out(self, settle_s: float = 1.0) -> None:
        """Wait until the agent has spoken, and said nothing for so long."""
        await self.hears_the_agent_begin()
        while True:
            await self.until(SpeechStopped, len(self.heard))
            after = len(self.heard)
            try:
                await self.until(SpeechStarted, after, timeout_s=settle_s)
            except TimeoutError:
                return


Conversation = Callable[[Caller], Coroutine[Any, Any, Any]]


class Sink:
    record: Any = None

    async def deliver(self, record: Any, *, deadline_s: float = 8.0) -> DeliveryOutcome:
        self.record = record
        return DeliveryOutcome("delivered")


async def connected_line(engine: PyMediaEngine) -> tuple[Line, Caller]:
    agent_end, caller_end = await engine.open(live=True), await engine.open()
    await agent_end.start(MediaParameters(remote=caller_end.local, telephone_event=101))
    await caller_end.start(MediaParameters(remote=agent_end.local, telephone_event=101))
    line = Line(agent_end)
    return line, Caller(line, caller_end)


@pytest.fixture
async def connect() -> AsyncIterator[Callable[[], Awaitable[tuple[Line, Caller]]]]:
    async with PyMediaEngine() as engine:
        yield lambda: connected_line(engine)


@dataclass
class Held:
    """One call that was held: what was posted, on which line, and what its conversation measured."""

    payload: dict[str, Any]
    line: Line
    measured: Any

    def texts(self, role: str) -> list[str]:
        return [row["text"] for row in self.payload["transcript_with_tool_calls"] if row["role"] == role]


async def hold(line: Line, caller: Caller, conversation: Conversation) -> Held:
    sink = Sink()
    serving = asyncio.create_task(pipecat_agent(line, sink=sink))
    await caller.hears_the_agent_out()
    measured = await conversation(caller)
    await asyncio.wait_for(serving, 20)
    await asyncio.gather(line.stream.close(), caller.stream.close())
    payload = conform(sink.record).payload
    jsonschema.validate(payload, json.loads(SCHEMA.read_text(encoding="utf-8")))
    return Held(payload, line, measured)


async def order_status(caller: Caller) -> None:
    await caller.says(NUMBER)
    await caller.hears_the_agent_out(settle_s=TOOL_S)
    await caller.says(GOODBYE)
    await caller.line.ended()


async def barge_in(caller: Caller) -> float:
    await caller.says(HOURS)
    await caller.hears_the_agent_begin()
    await asyncio.sleep(1.5)
    began, after = time.time(), len(caller.heard)
    await caller.says(OVER)
    stop = (await caller.until(SpeechStopped, after)).at - began
    await caller.hears_the_agent_out()
    caller.line.hang_up("caller")
    return stop


async def keypad(caller: Caller) -> None:
    await caller.says(WHERE)
    await caller.hears_the_agent_out()
    caller.stream.send_digits("315#")
    await caller.hears_the_agent_out(settle_s=TOOL_S)
    caller.line.hang_up("caller")


async def early_hangup(caller: Caller) -> None:
    await caller.says(HOURS)
    await caller.hears_the_agent_begin()
    await asyncio.sleep(1.2)
    caller.line.hang_up("caller")


@pytest.fixture(scope="module")
def calls() -> dict[str, Held]:
    """Four calls at once with the reference agent."""
    conversations: tuple[Conversation, ...] = (order_status, barge_in, keypad, early_hangup)

    async def hold_all() -> dict[str, Held]:
        for text in (NUMBER, HOURS, WHERE, OVER, GOODBYE):
            spoken(text)
        await warm_up()
        async with PyMediaEngine() as engine:
            lines = [await connected_line(engine) for _ in conversations]
            held = await asyncio.gather(
                *(
                    hold(line, caller, conversation)
                    for (line, caller), conversation in zip(lines, conversations, strict=True)
                )
            )
        return {conversation.__name__: call for conversation, call in zip(conversations, held, strict=True)}

    return asyncio.run(hold_all())


def test_a_call_is_heard_answered_and_recorded(calls: dict[str, Held]) -> None:
    call = calls["order_status"]
    user, agent = call.texts("user"), call.texts("agent")
    assert (call.payload["sip_call_id"], call.payload["call_type"]) == (call.line.sip_call_id, "phone_call")
    assert call.payload["sip_headers"] == {"X-Correlation-Id": call.line.correlation_id}
    assert "four two seven" in user[0]
    assert agent[0] == GREETING
    assert any("Order four two seven" in text for text in agent)
    assert agent[-1].endswith("Goodbye.")
    rows = call.payload["transcript_with_tool_calls"]
    (tool,) = [row for row in rows if row["role"] == "agent_result"]
    assert tool["tool"]["result"]["order_number"] == "427"
    assert call.payload["disconnection_reason"] == "agent_hangup"


def test_recognised_words_have_times_within_their_turn(calls: dict[str, Held]) -> None:
    rows = calls["order_status"].payload["transcript_with_tool_calls"]
    (first, *_) = [row for row in rows if row["role"] == "user"]
    assert " ".join(word["word"] for word in first["words"]) == first["text"]
    assert all(first["start_ms"] - 300 < word["start_ms"] < first["end_ms"] + 300 for word in first["words"])


def test_a_barge_in_stops_the_agent_at_the_port(calls: dict[str, Held]) -> None:
    call = calls["barge_in"]
    rows = call.payload["transcript_with_tool_calls"]
    (cut,) = [row for row in rows if row.get("metadata", {}).get("interrupted")]
    # The answer would have gone on for six seconds more.
    assert call.measured < 4.0
    assert cut["metadata"]["intended_text"].startswith(cut["text"])
    assert len(cut["text"]) < len(cut["metadata"]["intended_text"])
    assert call.payload["disconnection_reason"] == "user_hangup"


def test_keys_are_heard_and_recorded_as_keys(calls: dict[str, Held]) -> None:
    call = calls["keypad"]
    rows = call.payload["transcript_with_tool_calls"]
    assert [row["text"] for row in rows if row.get("metadata", {}).get("source") == "keypad"] == ["315#"]
    assert not any("DTMF" in text for text in call.texts("user"))
    assert any("Order three one five" in text for text in call.texts("agent"))


def test_a_caller_who_leaves_in_mid_sentence_is_recorded(calls: dict[str, Held]) -> None:
    call = calls["early_hangup"]
    assert "hours" in call.texts("user")[-1]
    assert call.texts("agent")[-1].startswith("We are")
    assert call.payload["disconnection_reason"] == "user_hangup"


class Collector(FrameProcessor):
    """Keeps what comes in, and tells when it is a second."""

    def __init__(self) -> None:
        super().__init__()
        self.audio: list[InputAudioRawFrame] = []
        self.enough = asyncio.Event()

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        await super().process_frame(frame, direction)
        if isinstance(frame, InputAudioRawFrame):
            self.audio.append(frame)
            if sum(len(each.audio) for each in self.audio) > 2 * frame.sample_rate:
                self.enough.set()
        else:
            await self.push_frame(frame, direction)


def tone(seconds: float, rate: int) -> bytes:
    moments = np.arange(int(seconds * rate)) / rate
    return (8000 * np.sin(2 * np.pi * 440 * moments)).astype("<i2").tobytes()


@pytest.mark.parametrize("rate", [8000, 16000, 24000])
async def test_the_transport_serves_a_pipeline_of_any_rate(connect: Any, rate: int) -> None:
    line, caller = await connect()
    params = TransportParams(audio_in_enabled=True, audio_out_enabled=True, audio_out_end_silence_secs=0)
    transport, collector = SipTransport(line, params), Collector()
    worker = PipelineWorker(
        Pipeline([transport.input(), collector, transport.output()]),
        params=PipelineParams(audio_in_sample_rate=rate, audio_out_sample_rate=rate),
        enable_rtvi=False,
    )

    async def connected(_transport: Any, _line: Any) -> None:
        caller.stream.play(g711.encode(np.frombuffer(tone(0.5, 8000), "<i2"), "PCMU"), mark="caller")
        await worker.queue_frame(OutputAudioRawFrame(tone(0.5, rate), rate, 1))

    transport.add_event_handler("on_client_connected", connected)
    runner = WorkerRunner(handle_sigint=False)
    await runner.add_workers(worker)
    serving = asyncio.create_task(runner.run())
    await asyncio.wait_for(collector.enough.wait(), 15)
    await worker.queue_frame(EndFrame())
    await asyncio.wait_for(serving, 15)
    assert await line.ended() == "agent"
    _, caller_end = await line.stream.close(), await caller.stream.close()
    played = g711.decode(caller_end.recording.agent, "PCMU").astype(float)
    # What a resampler and a chunk hold back at the end is below a tenth of a second.
    assert 0.35 < np.count_nonzero(np.abs(played) > 1000) / 8000 < 0.5
    assert {frame.sample_rate for frame in collector.audio} == {rate}
    heard = np.frombuffer(b"".join(frame.audio for frame in collector.audio), "<i2").astype(float)
    assert 0.35 < np.count_nonzero(np.abs(heard) > 1000) / rate < 0.5


async def test_an_interruption_empties_the_queue_and_the_keys_go_out(connect: Any) -> None:
    line, caller = await connect()
    transport = SipTransport(line)
    worker = PipelineWorker(
        Pipeline([transport.input(), transport.output()]),
        params=PipelineParams(audio_in_sample_rate=8000, audio_out_sample_rate=8000),
        enable_rtvi=False,
    )
    left: list[str] = []

    async def disconnected(_transport: Any, by: str) -> None:
        left.append(by)
        await worker.cancel()

    async def connected(_transport: Any, _line: Any) -> None:
        await worker.queue_frame(OutputAudioRawFrame(tone(5.0, 8000), 8000, 1))

    transport.add_event_handler("on_client_connected", connected)
    transport.add_event_handler("on_client_disconnected", disconnected)
    runner = WorkerRunner(handle_sigint=False)
    await runner.add_workers(worker)
    serving = asyncio.create_task(runner.run())
    await caller.hears_the_agent_begin()
    await asyncio.sleep(0.3)
    began = time.time()
    await worker.queue_frame(InterruptionFrame())
    stop = await caller.until(SpeechStopped, 0)
    assert stop.at - began < 0.3
    await worker.queue_frame(OutputDTMFUrgentFrame(KeypadEntry.FIVE))
    assert (await caller.until(DigitReceived, 0)).digit == "5"
    line.hang_up("caller")
    await asyncio.wait_for(serving, 15)
    assert left == ["caller"]
    await asyncio.gather(line.stream.close(), caller.stream.close())


async def test_echo_gives_back_what_it_hears(connect: Any) -> None:
    line, caller = await connect()
    serving = asyncio.create_task(echo(line))
    await asyncio.sleep(0.3)
    caller.stream.play(g711.encode(np.frombuffer(tone(0.6, 8000), "<i2"), "PCMU"), mark="tone")
    began = time.time()
    started = await caller.hears_the_agent_begin()
    assert DELAY_S - 0.1 < started - began < DELAY_S + 0.4
    await caller.until(SpeechStopped, 0)
    line.hang_up("caller")
    await asyncio.wait_for(serving, 5)
    await asyncio.gather(line.stream.close(), caller.stream.close())
