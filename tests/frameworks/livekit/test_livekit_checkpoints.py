"""What is on disk of a session that is still going on."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tuner_core.delivery import DeliveryOutcome
from tuner_core.events import AgentTurn, CallEvent, CallStarted, ToolCalled, ToolReturned, UserTurn
from tuner_core.testing import ScriptedTuner

CALL_ID = "2jf9wCCXfwgxKkTOfLcEsA5LD6f"
SCRIPT = Path(__file__).with_name("job_process.py")


class Keeping:
    """A sink that keeps checkpoints, call by call, in the order in which they came."""

    def __init__(self) -> None:
        self.calls: dict[str, list[CallEvent]] = {}
        self.facts: dict[str, dict[str, Any]] = {}
        self.records: list[Any] = []

    def checkpoint(self, call_id: str, events: Sequence[CallEvent] = (), **facts: Any) -> None:
        assert call_id not in [record.call_id for record in self.records]
        self.calls.setdefault(call_id, []).extend(events)
        self.facts.setdefault(call_id, {}).update(facts)

    async def deliver(self, record: Any, *, deadline_s: float = 8.0) -> DeliveryOutcome:
        self.records.append(record)
        return DeliveryOutcome("delivered")

    def texts(self, call_id: str) -> list[str]:
        return [event.text for event in self.calls[call_id] if isinstance(event, UserTurn | AgentTurn)]


async def test_turns_and_tools_are_handed_over_while_the_session_runs(call: Any):
    sink = Keeping()
    call.joins()
    await call.start(sink=sink, metadata={"desk": 7})
    assert [type(event) for event in sink.calls["AJ_test"]] == [CallStarted]
    await call.writes("hello")
    assert sink.texts("AJ_test") == ["hello", "Hello, front desk."]
    call.shows_the_rest()
    await call.writes("book monday")
    events = sink.calls["AJ_test"]
    (called,) = [event for event in events if isinstance(event, ToolCalled)]
    (returned,) = [event for event in events if isinstance(event, ToolReturned)]
    assert (called.params, returned.result) == ({"day": "monday"}, {"day": "monday", "time": "10:30"})
    assert sink.texts("AJ_test") == ["hello", "Hello, front desk.", "book monday", "I have ten thirty."]
    facts = sink.facts["AJ_test"]
    assert (facts["identity"].sip_call_id, facts["call_type"]) == (CALL_ID, "phone_call")
    assert (facts["caller_phone_number"], facts["metadata"]) == ("+15550100", {"desk": 7})
    await call.shutdown()
    assert [record.call_id for record in sink.records] == ["AJ_test"]


async def test_a_closed_session_leaves_no_open_call_behind(call: Any):
    sink = Keeping()
    await call.start(sink=sink)
    await call.writes("hello")
    await call.shutdown()
    call.plugin._session.emit("agent_state_changed", _State("listening"))
    assert set(sink.calls) == {record.call_id for record in sink.records}


async def test_what_is_told_of_the_call_is_kept_and_posted(call: Any):
    await call.start(call_cost=lambda usage: 12.5 if usage.llm_tokens else None)
    call.plugin.describe(in_voicemail=True, call_analysis={"intent": "refund"})
    call.plugin.describe(user_sentiment="negative")
    await call.writes("hello")
    await call.shutdown()
    payload = call.payload
    assert (payload["in_voicemail"], payload["user_sentiment"]) == (True, "negative")
    assert (payload["call_analysis"], payload["call_cost"]) == ({"intent": "refund"}, 12.5)


async def test_a_cost_calculator_that_raises_costs_nothing_but_the_cost(call: Any):
    told: list[Exception] = []
    await call.start(call_cost=lambda _usage: 1 / 0, on_error=told.append)
    await call.writes("hello")
    await call.shutdown()
    assert "call_cost" not in call.payload
    assert [type(error) for error in told] == [ZeroDivisionError]


class _State:
    def __init__(self, state: str) -> None:
        self.new_state, self.created_at = state, 1.0


async def test_a_job_process_that_is_killed_leaves_its_call_to_the_next(tmp_path: Path):
    with ScriptedTuner() as tuner:
        settings = {
            "TUNER_API_KEY": "key",
            "TUNER_WORKSPACE_ID": "1",
            "TUNER_AGENT_ID": "desk",
            "TUNER_BASE_URL": tuner.base_url,
            "TUNER_OUTBOX": str(tmp_path / "outbox.sqlite3"),
        }
        environment = {**os.environ, **settings, "JOB_PID_FILE": str(tmp_path / "pid")}
        job = await asyncio.create_subprocess_exec(
            sys.executable, str(SCRIPT), "killed", env=environment, stderr=asyncio.subprocess.PIPE
        )
        async with asyncio.timeout(60):
            _, errors = await job.communicate()
        assert job.returncode == 0, errors.decode()
        assert int((tmp_path / "pid").read_text()) not in (0, job.pid)
        assert tuner.received == []
        tuner_command = Path(sys.executable).with_name("tuner")
        drain = await asyncio.create_subprocess_exec(tuner_command, "outbox", "drain", env=environment)
        assert await drain.wait() == 0
        (body,) = (received.body for received in tuner.received)
    assert (body["call_id"], body["sip_call_id"]) == ("job-killed", CALL_ID)
    assert [row["text"] for row in body["transcript_with_tool_calls"]] == ["Good day."]
    assert body["general_meta_data_raw"]["tuner_sdk"]["cut_short"] is True
