"""The reference agent on LiveKit with real audio: RTP in, recogniser, brain, voice, RTP out, and its record."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from tuner_core.delivery.sink import DeliveryOutcome
from tuner_core.repair import conform
from tuner_sipbridge.agents import frontdesk
from tuner_sipbridge.agents.livekit_agent import livekit_agent, warm_up
from tuner_sipbridge.audio import g711
from tuner_sipbridge.caller.persona import Persona
from tuner_sipbridge.caller.piper_speech import PiperSpeech
from tuner_sipbridge.media.engine import MediaParameters, MediaStream, SpeechStarted, SpeechStopped
from tuner_sipbridge.net.ids import new_correlation_id, new_sip_call_id
from tuner_sipbridge.net.media_engine import PyMediaEngine

NUMBER = "The order number is three, one, five."
HOURS = "What are your opening hours?"
OVER = "Excuse me, I have another question."
GOODBYE = "Thank you, goodbye."
SENTENCES = (NUMBER, HOURS, OVER, GOODBYE)
SCHEMA = Path(__file__).parents[2] / "data" / "create_call.schema.json"


class Line:
    """An answered call without SIP: two RTP ports that know each other."""

    def __init__(self, stream: MediaStream) -> None:
        self.sip_call_id = new_sip_call_id()
        self.correlation_id = new_correlation_id()
        self.headers = {
            "call-id": self.sip_call_id,
            "x-cid": self.sip_call_id,
            "x-correlation-id": self.correlation_id,
        }
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

    def __init__(self, line: Line, stream: MediaStream, spoken: dict[str, Any]) -> None:
        self.line, self.stream, self._spoken = line, stream, spoken
        self.started_at: list[float] = []
        self.stopped_at: list[float] = []
        self._quiet = asyncio.Event()
        self._events = asyncio.create_task(self._follow())

    async def _follow(self) -> None:
        async for event in self.stream.events():
            if isinstance(event, SpeechStarted):
                self.started_at.append(event.at)
                self._quiet.clear()
            elif isinstance(event, SpeechStopped):
                self.stopped_at.append(event.at)
                self._quiet.set()

    async def says(self, text: str) -> None:
        pcm = self._spoken[text]
        self.stream.play(g711.encode(pcm, "PCMU"), mark=text)
        self.stream.finish(text)
        await asyncio.sleep(len(pcm) / 8000)

    async def hears_out_the_agent(self) -> None:
        """Wait until the agent has spoken and has been silent for a while."""
        heard, quiet_since = len(self.stopped_at), 0
        async with asyncio.timeout(25):
            while quiet_since < 24:  # in steps of 50 ms
                await asyncio.sleep(0.05)
                spoke = len(self.stopped_at) > heard and self._quiet.is_set()
                quiet_since = quiet_since + 1 if spoke else 0

    def hangs_up(self) -> None:
        self.line.hang_up("caller")


class Sink:
    record: Any = None

    async def deliver(self, record: Any, *, deadline_s: float = 8.0) -> DeliveryOutcome:
        self.record = record
        return DeliveryOutcome("delivered")

    @property
    def payload(self) -> dict[str, Any]:
        body = conform(self.record).payload
        jsonschema.validate(body, json.loads(SCHEMA.read_text(encoding="utf-8")))
        return body


Conversation = Callable[[Caller], Awaitable[None]]


@pytest.fixture
async def hold() -> AsyncIterator[Callable[[Conversation], Awaitable[tuple[dict[str, Any], Line, Caller]]]]:
    await warm_up()
    spoken = {text: PiperSpeech().render(text, Persona()).pcm for text in SENTENCES}
    async with PyMediaEngine() as engine:

        async def converse(conversation: Conversation) -> tuple[dict[str, Any], Line, Caller]:
            agent_end, caller_end = await engine.open(live=True), await engine.open()
            await agent_end.start(MediaParameters(remote=caller_end.local, telephone_event=101))
            await caller_end.start(MediaParameters(remote=agent_end.local, telephone_event=101))
            line, sink = Line(agent_end), Sink()
            caller = Caller(line, caller_end, spoken)
            serving = asyncio.create_task(livekit_agent(line, sink=sink))
            await caller.hears_out_the_agent()
            await conversation(caller)
            await asyncio.wait_for(serving, 20)
            await asyncio.gather(agent_end.close(), caller_end.close())
            return sink.payload, line, caller

        yield converse


async def _order(caller: Caller) -> None:
    await caller.says(NUMBER)
    await caller.hears_out_the_agent()
    await caller.says(GOODBYE)
    await caller.line.ended()


async def _barge_in(caller: Caller) -> None:
    await caller.says(HOURS)
    spoken = len(caller.started_at)
    async with asyncio.timeout(10):
        while len(caller.started_at) == spoken:  # noqa: ASYNC110 - a polite human polls
            await asyncio.sleep(0.02)
    await asyncio.sleep(1.0)
    await caller.says(OVER)
    await caller.hears_out_the_agent()
    caller.hangs_up()


async def _keypad(caller: Caller) -> None:
    caller.stream.send_digits("427#")
    await caller.hears_out_the_agent()
    caller.hangs_up()


def _rows(payload: dict[str, Any], *roles: str) -> list[dict[str, Any]]:
    return [row for row in payload["transcript_with_tool_calls"] if row["role"] in roles]


async def test_three_calls_at_once_on_one_loop_are_heard_answered_and_recorded(hold: Any):
    order, barge_in, keypad = await asyncio.gather(hold(_order), hold(_barge_in), hold(_keypad))

    for payload, line, _ in (order, barge_in, keypad):
        assert payload["sip_call_id"] == line.sip_call_id
        assert payload["sip_headers"] == {"X-Correlation-Id": line.correlation_id}
        assert payload["transcript_with_tool_calls"][0]["text"] == frontdesk.GREETING
        assert payload["metadata"]["ai_models"]["asr_model"]

    payload, line, _ = order
    assert payload["disconnection_reason"] == "agent_hangup"
    assert await line.ended() == "agent"
    assert "order" in _rows(payload, "user")[0]["text"]
    assert payload["metadata"]["usage_token"]["stt_duration_seconds"] > 1
    assert [row["tool"]["name"] for row in _rows(payload, "agent_function")] == ["look_up_order"]
    assert _rows(payload, "agent_result")[0]["tool"]["result"]["order_number"] == "315"

    payload, _, caller = barge_in
    assert payload["disconnection_reason"] == "user_hangup"
    cut = next(row for row in _rows(payload, "agent") if row["metadata"].get("interrupted"))
    assert cut["text"]
    assert "closed" not in cut["text"]
    over = next(row for row in _rows(payload, "user") if "question" in row["text"])
    assert cut["end_ms"] - over["start_ms"] < 800
    heard_last = [at - payload["start_timestamp"] / 1000 for at in caller.stopped_at]
    assert any(abs(at - cut["end_ms"] / 1000) < 0.4 for at in heard_last)

    payload, _, _ = keypad
    assert any(
        row["metadata"].get("source") == "keypad" and row["text"] == "427#" for row in _rows(payload, "user")
    )
    assert _rows(payload, "agent_result")[0]["tool"]["result"]["order_number"] == "427"
