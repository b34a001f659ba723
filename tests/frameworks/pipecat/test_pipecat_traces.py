"""Pipecat's own spans of a call at Tuner: each with its call, also when calls run side by side."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import httpx
from pipecat.frames.frames import TTSSpeakFrame

from tuner_core.config import TunerConfig
from tuner_core.local.server import LocalTuner
from tuner_core.tracing import set_up_tracing
from tuner_core.tracing.hub import hub

TURN_SPANS = {"conversation", "turn"}


async def _spans(tuner: LocalTuner, call_id: str) -> list[dict[str, Any]]:
    async with httpx.AsyncClient() as http:
        response = await http.get(f"{tuner.base_url}/local/traces/{call_id}")
    return response.json()


async def _until_over() -> None:
    """Pipecat ends the conversation's span after its observers; the rest goes out then."""
    async with asyncio.timeout(5):
        while hub.running:  # noqa: ASYNC110 - another thread counts it down
            await asyncio.sleep(0.01)


async def test_the_spans_of_two_calls_do_not_mix(pipecat_call: Any) -> None:
    provider = set_up_tracing()
    with LocalTuner() as tuner:
        config = TunerConfig(api_key=tuner.api_key, workspace_id=1, agent_id="desk", base_url=tuner.base_url)

        async def talk(call: Any) -> None:
            await call.worker.queue_frame(TTSSpeakFrame(f"This is {call.observer.call_id}."))
            await call.agent_ends()
            await call.worker.stop_when_done()

        # Both made in one task, as by a host that prepares its calls: nothing of the context tells them apart.
        calls = [
            pipecat_call({}, tracing=True, call_id=name, trace=True, config=config) for name in ("c-1", "c-2")
        ]
        with provider.get_tracer("host").start_as_current_span("two calls"):
            await asyncio.gather(*(call.run(talk) for call in calls))
        assert await asyncio.to_thread(provider.force_flush, 5000)
        await _until_over()
        found = {name: await _spans(tuner, name) for name in ("c-1", "c-2")}
    for spans in found.values():
        assert {span["name"] for span in spans} >= TURN_SPANS
        assert "two calls" not in {span["name"] for span in spans}
        assert len({span["trace_id"] for span in spans}) == 1
        assert "This is" not in str(spans)
    first, second = ({span["span_id"] for span in spans} for spans in found.values())
    assert not first & second


async def test_a_shutdown_does_not_wait_for_spans_that_pipecat_ends_after_it(pipecat_call: Any) -> None:
    set_up_tracing()
    with LocalTuner() as tuner:
        config = TunerConfig(api_key=tuner.api_key, workspace_id=1, agent_id="desk", base_url=tuner.base_url)
        call = pipecat_call({}, tracing=True, call_id="c-3", trace=True, config=config)
        cleaned = call.observer.cleanup
        took: list[float] = []

        async def timed() -> None:
            began = time.monotonic()
            await cleaned()
            took.append(time.monotonic() - began)

        call.observer.cleanup = timed

        async def talk(call: Any) -> None:
            await call.worker.stop_when_done()

        await call.run(talk)
        await _until_over()
        assert "conversation" in {span["name"] for span in await _spans(tuner, "c-3")}
    assert took[0] < 1.0
