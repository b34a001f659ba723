"""Who the call is and how the record leaves, whatever goes wrong around it."""

from __future__ import annotations

import asyncio
import logging
import os
import subprocess
import sys
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from pipecat.frames.frames import TTSSpeakFrame

from tuner_core.testing import ScriptedTuner

CALL_ID = "2jf9wCCXfwgxKkTOfLcEsA5LD6f"
CORRELATION = "0123456789abcdef0123456789abcdef"


async def greet_and_end(call: Any) -> None:
    await call.worker.queue_frame(TTSSpeakFrame("Hello, front desk."))
    await call.worker.stop_when_done()


async def test_the_identity_is_posted(pipecat_call: Any) -> None:
    headers = {"X-Correlation-ID": CORRELATION, "From": "<sip:alice@example.com>"}
    call = pipecat_call({}, sip_call_id=CALL_ID, sip_headers=headers, caller_phone_number="+15550100")
    posted = await call.run(greet_and_end)
    assert (posted["sip_call_id"], posted["sip_headers"]) == (CALL_ID, {"X-Correlation-Id": CORRELATION})
    assert (posted["call_type"], posted["caller_phone_number"]) == ("phone_call", "+15550100")
    assert posted["transcript"] == "Agent: Hello, front desk."


async def test_an_identity_that_comes_late_replaces_a_carriers_id(pipecat_call: Any) -> None:
    call = pipecat_call({}, sip_call_id="CA" + "0" * 32)

    async def talk(call: Any) -> None:
        call.observer.identify(sip_headers={"CALL-ID": CALL_ID})
        await greet_and_end(call)

    posted = await call.run(talk)
    assert (posted["sip_call_id"], posted["call_type"]) == (CALL_ID, "phone_call")


async def test_a_carriers_id_alone_is_not_posted(pipecat_call: Any) -> None:
    posted = await pipecat_call({}, sip_call_id="CA" + "0" * 32).run(greet_and_end)
    assert "sip_call_id" not in posted


async def test_a_web_call_is_one(pipecat_call: Any) -> None:
    assert (await pipecat_call({}).run(greet_and_end))["call_type"] == "web_call"


async def test_failing_functions_and_odd_values_lose_nothing(pipecat_call: Any) -> None:
    def failing(*_: Any) -> Any:
        raise ValueError("no")

    async def hanging() -> str:
        await asyncio.sleep(60)
        return ""

    told: list[Exception] = []
    call = pipecat_call(
        {},
        call_cost=failing,
        recording_url=hanging,
        disconnection_reason=failing,
        metadata={"when": datetime(2026, 1, 1), "ai_models": "mine", "usage_token": 3, "set": {1}},
        on_error=told.append,
    )
    posted = await call.run(greet_and_end)
    assert posted.texts("agent") == ["Hello, front desk."]
    assert call.observer.failures == len(told) == 3
    assert posted["disconnection_reason"] == "agent_hangup"


async def test_what_the_application_tells_at_the_end_is_posted(pipecat_call: Any) -> None:
    async def url() -> str:
        return "https://example.com/recording.wav"

    call = pipecat_call(
        {},
        recording_url=url,
        disconnection_reason=lambda: "timeout",
        call_cost=lambda usage: float(usage.tts_characters),
        recipient="sip:sim-1@example.com",
    )
    posted = await call.run(greet_and_end)
    assert posted["recording_url"] == "https://example.com/recording.wav"
    assert posted["disconnection_reason"] == "timeout"
    assert posted["call_cost"] == len("Hello, front desk.")
    assert posted["recipient"] == "sip:sim-1@example.com"


async def test_a_sink_that_raises_does_not_disturb_the_pipeline(pipecat_call: Any) -> None:
    class Broken:
        async def deliver(self, record: Any, *, deadline_s: float = 8.0) -> Any:
            raise RuntimeError("broken")

    call = pipecat_call({}, sink=Broken())
    from pipecat.workers.runner import WorkerRunner

    runner = WorkerRunner(handle_sigint=False)
    await runner.add_workers(call.worker)
    await call.worker.stop_when_done()
    await runner.run()
    assert call.observer.failures == 1


async def test_a_frame_that_breaks_the_translation_does_not_end_the_observation(
    pipecat_call: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    call = pipecat_call({})
    translator = call.observer._translator
    take = translator.take
    monkeypatch.setattr(
        translator,
        "take",
        lambda frame, **how: 1 / 0 if isinstance(frame, TTSSpeakFrame) else take(frame, **how),
    )
    posted = await call.run(greet_and_end)
    assert posted.texts("agent") == ["Hello, front desk."]
    assert call.observer.failures == 1


async def test_nothing_that_was_said_is_logged_or_printed(
    pipecat_call: Any, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    await pipecat_call({}, call_cost=lambda _: 1 / 0, caller_phone_number="+15550100").run(greet_and_end)
    ours = [record.getMessage() for record in caplog.records if record.name.startswith("tuner")]
    assert ours
    assert not any("front desk" in line or "+1555" in line for line in ours)
    assert "front desk" not in capsys.readouterr().out


async def test_the_record_of_a_worker_that_is_cleaned_up_twice_is_posted_once(pipecat_call: Any) -> None:
    call = pipecat_call({})
    await call.run(greet_and_end)
    await call.observer.cleanup()
    assert len(call.sink.records) == 1


ONE_CALL_PROCESS = """
import asyncio, sys
sys.path.insert(0, sys.argv[1])
import conftest
from pipecat.frames.frames import TTSSpeakFrame
from pipecat.workers.runner import WorkerRunner
from tuner_core.delivery import default_sink

async def main():
    call = conftest.PipecatCall({}, sink=default_sink(), sip_call_id=sys.argv[2])
    runner = WorkerRunner(handle_sigint=False)
    await runner.add_workers(call.worker)
    await call.worker.queue_frame(TTSSpeakFrame("Hello."))
    await call.worker.stop_when_done()
    await runner.run()

asyncio.run(main())
"""


def test_the_call_is_delivered_although_the_process_ends_with_the_pipeline(tmp_path: Path) -> None:
    with ScriptedTuner(503) as tuner:
        environment = {
            **os.environ,
            "TUNER_BASE_URL": tuner.base_url,
            "TUNER_API_KEY": "key",
            "TUNER_WORKSPACE_ID": "1",
            "TUNER_AGENT_ID": "agent",
            "TUNER_OUTBOX": str(tmp_path / "outbox.sqlite3"),
        }
        command = [sys.executable, "-c", ONE_CALL_PROCESS, str(Path(__file__).parent), CALL_ID]
        subprocess.run(command, env=environment, check=True, timeout=60, capture_output=True)
        assert list(tuner.stored.values()) == [1]
        assert tuner.received[-1].body["sip_call_id"] == CALL_ID
