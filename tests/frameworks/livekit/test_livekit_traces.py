"""LiveKit's own spans of a session at Tuner, without what was said."""

from __future__ import annotations

from typing import Any

import httpx
from livekit.agents import telemetry

from tuner_core.config import TunerConfig
from tuner_core.local.server import LocalTuner
from tuner_core.tracing import set_up_tracing


async def test_the_spans_of_a_session_arrive_with_its_call(call: Any):
    telemetry.set_tracer_provider(set_up_tracing())
    with LocalTuner() as tuner:
        config = TunerConfig(api_key=tuner.api_key, workspace_id=1, agent_id="desk", base_url=tuner.base_url)
        await call.start(trace=True, config=config)
        await call.writes("hello")
        await call.shutdown()
        async with httpx.AsyncClient() as http:
            spans = (await http.get(f"{tuner.base_url}/local/traces/AJ_test")).json()
    assert {span["name"] for span in spans} >= {"agent_session", "llm_node"}
    assert "front desk" not in str(spans)
    assert call.plugin.failures == 0


async def test_a_trace_that_cannot_be_made_costs_nothing(call: Any, monkeypatch: Any):
    for name in ("TUNER_API_KEY", "TUNER_WORKSPACE_ID", "TUNER_AGENT_ID"):
        monkeypatch.delenv(name, raising=False)
    told: list[Exception] = []
    await call.start(trace=True, on_error=told.append)
    await call.writes("hello")
    await call.shutdown()
    assert len(told) == 1
    assert call.rows("agent")
