"""The traces endpoint of the local Tuner: what an SDK sends is there, by call."""

from __future__ import annotations

import httpx
from opentelemetry.sdk.trace import TracerProvider

from tuner_core.client import AsyncTunerClient
from tuner_core.config import TunerConfig
from tuner_core.testing import LocalTuner
from tuner_core.tracing import CallTrace


async def test_the_local_tuner_takes_them(local_tuner: LocalTuner) -> None:
    provider = TracerProvider(shutdown_on_exit=False)
    call_trace = CallTrace("c/81", TunerConfig(), provider=provider)
    call_trace.start()
    with provider.get_tracer("agent").start_as_current_span("turn", attributes={"turn.number": 1}):
        provider.get_tracer("agent").start_span("llm").end()
    assert (await call_trace.aend()).sent == 2
    async with httpx.AsyncClient() as http:
        shown = (await http.get(f"{local_tuner.base_url}/local/traces/c/81")).json()
        assert [span["name"] for span in shown] == ["turn", "llm"]
        assert shown[0]["attributes"]["turn.number"] == 1
        assert shown[1]["parent_span_id"] == shown[0]["span_id"]
        wrong = await http.post(f"{local_tuner.base_url}/api/v1/traces", content=b"")
        assert wrong.status_code == 401
        headers = {"Authorization": f"Bearer {local_tuner.api_key}"}
        grpc = await http.post(f"{local_tuner.base_url}/api/v1/traces", content=b"", headers=headers)
        assert grpc.status_code == 415
        headers["Content-Type"] = "application/x-protobuf"
        broken = await http.post(
            f"{local_tuner.base_url}/api/v1/traces", content=b"\xff\xff", headers=headers
        )
        assert broken.status_code == 400


async def test_spans_are_shown_with_their_call_and_passed_on(local_tuner: LocalTuner) -> None:
    provider = TracerProvider(shutdown_on_exit=False)
    with LocalTuner(forward_to=local_tuner.base_url) as between:
        config = TunerConfig(base_url=between.base_url)
        call_trace = CallTrace("c-81", config, provider=provider)
        call_trace.start()
        provider.get_tracer("agent").start_span("chat with the model").end()
        assert (await call_trace.aend()).sent == 1
        record = {"call_id": "c-81", "start_timestamp": 1_760_000_000, "end_timestamp": 1_760_000_042}
        async with AsyncTunerClient(config) as client:
            assert (await client.create_call(record)).is_new
        async with httpx.AsyncClient() as http:
            for tuner in (between, local_tuner):
                page = (await http.get(f"{tuner.base_url}/calls/1")).text
                assert "chat with the model" in page[page.index('id="trace"') :]
