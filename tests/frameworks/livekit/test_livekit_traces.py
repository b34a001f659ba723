"""LiveKit's own spans of a session at Tuner, without what was said."""

from __future__ import annotations

from typing import Any

import httpx
from livekit.agents import telemetry
from livekit.agents.voice.room_io import RoomOptions
from opentelemetry.sdk.trace import TracerProvider

from tuner_core.config import TunerConfig
from tuner_core.local.server import LocalTuner
from tuner_core.tracing import set_up_tracing

NO_AUDIO = RoomOptions(audio_input=False, audio_output=False, text_input=False, text_output=False)


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


async def test_sessions_of_one_job_keep_their_spans_apart_at_a_provider_of_livekits_own(call: Any):
    """Both plugins made before either session starts; the provider is not OpenTelemetry's global one."""
    provider = TracerProvider(shutdown_on_exit=False)
    telemetry.set_tracer_provider(provider)
    other = type(call)(call.ctx, call.room)
    with LocalTuner() as tuner:
        config = TunerConfig(api_key=tuner.api_key, workspace_id=1, agent_id="desk", base_url=tuner.base_url)
        for each, call_id in ((call, "c-1"), (other, "c-2")):
            each.make(trace=True, config=config, call_id=call_id)
        with provider.get_tracer("livekit").start_as_current_span("job_entrypoint"):
            for each in (call, other):
                await each.session.start(each.agent, room=call.room, room_options=NO_AUDIO, record=False)
                await each.writes("hello")
        await other.session.aclose()
        await call.shutdown()
        async with httpx.AsyncClient() as http:
            found = [
                (await http.get(f"{tuner.base_url}/local/traces/c-{number}")).json() for number in (1, 2)
            ]
    for spans in found:
        assert [span["name"] for span in spans].count("agent_session") == 1
        assert [span["name"] for span in spans].count("llm_node") == 1
    first, second = ({span["span_id"] for span in spans} for spans in found)
    assert not first & second


async def test_a_trace_that_cannot_be_made_costs_nothing(call: Any, monkeypatch: Any):
    for name in ("TUNER_API_KEY", "TUNER_WORKSPACE_ID", "TUNER_AGENT_ID"):
        monkeypatch.delenv(name, raising=False)
    told: list[Exception] = []
    await call.start(trace=True, on_error=told.append)
    await call.writes("hello")
    await call.shutdown()
    assert len(told) == 1
    assert call.rows("agent")
