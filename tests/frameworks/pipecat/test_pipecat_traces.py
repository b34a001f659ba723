"""Pipecat's own spans of a call at Tuner: each with its call, also when calls run side by side."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest
from pipecat.frames.frames import TTSSpeakFrame

from tuner_core.config import TunerConfig
from tuner_core.local.server import LocalTuner
from tuner_core.tracing import set_up_tracing

TURN_SPANS = {"conversation", "turn"}


async def _spans(tuner: LocalTuner, call_id: str) -> list[dict[str, Any]]:
    async with httpx.AsyncClient() as http:
        response = await http.get(f"{tuner.base_url}/local/traces/{call_id}")
    return response.json()


async def test_the_spans_of_two_calls_do_not_mix(pipecat_call: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    set_up_tracing()
    with LocalTuner() as tuner:
        config = TunerConfig(api_key=tuner.api_key, workspace_id=1, agent_id="desk", base_url=tuner.base_url)

        async def call_of(name: str) -> None:
            call = pipecat_call({}, tracing=True, call_id=name, trace=True, config=config)

            async def talk(call: Any) -> None:
                await call.worker.queue_frame(TTSSpeakFrame(f"This is {name}."))
                await call.agent_ends()
                await call.worker.stop_when_done()

            await call.run(talk)

        await asyncio.gather(asyncio.create_task(call_of("c-1")), asyncio.create_task(call_of("c-2")))
        found = {name: await _spans(tuner, name) for name in ("c-1", "c-2")}
    for spans in found.values():
        assert {span["name"] for span in spans} >= TURN_SPANS
        assert len({span["trace_id"] for span in spans}) == 1
        assert "This is" not in str(spans)
    first, second = ({span["span_id"] for span in spans} for spans in found.values())
    assert not first & second
