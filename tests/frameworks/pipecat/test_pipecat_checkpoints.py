"""What is on disk of a call that is still going on."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pipecat.frames.frames import TTSSpeakFrame

from tuner_core.delivery import DeliveryOutcome
from tuner_core.events import AgentTurn, CallEvent, CallStarted, UserTurn
from tuner_core.testing import ScriptedTuner

CALL_ID = "2jf9wCCXfwgxKkTOfLcEsA5LD6f"


class Keeping:
    """A sink that keeps checkpoints, in the order in which they came."""

    def __init__(self) -> None:
        self.events: list[CallEvent] = []
        self.facts: dict[str, Any] = {}
        self.told: list[dict[str, Any]] = []
        self.records: list[Any] = []

    def checkpoint(self, call_id: str, events: Sequence[CallEvent] = (), **facts: Any) -> None:
        assert not self.records
        self.events.extend(events)
        self.facts.update(facts)
        self.told.append(facts)

    async def deliver(self, record: Any, *, deadline_s: float = 8.0) -> DeliveryOutcome:
        self.records.append(record)
        return DeliveryOutcome("delivered")


async def test_each_finished_turn_is_handed_over_while_the_call_runs(pipecat_call: Any) -> None:
    sink = Keeping()
    call = pipecat_call({"order": "It is on its way."}, sink=sink, sip_call_id=CALL_ID, metadata={"desk": 7})
    seen: list[list[str]] = []

    def texts() -> list[str]:
        return [event.text for event in sink.events if isinstance(event, UserTurn | AgentTurn)]

    async def talk(call: Any) -> None:
        await call.worker.queue_frame(TTSSpeakFrame("Front desk."))
        await call.agent_ends()
        seen.append(texts())
        call.stage.speaking.clear()
        await call.say("Where is my order?")
        await call.agent_ends()
        seen.append(texts())
        await call.worker.stop_when_done()

    await call.run(talk)
    assert seen[0] == ["Front desk."]
    assert seen[1] == ["Front desk.", "Where is my order?", "It is on its way."]
    assert sum(isinstance(event, CallStarted) for event in sink.events) == 1
    assert (sink.facts["identity"].sip_call_id, sink.facts["call_type"]) == (CALL_ID, "phone_call")
    assert sink.facts["metadata"] == {"desk": 7}
    assert sum(bool(facts) for facts in sink.told) == 1


async def test_what_is_told_of_the_call_is_kept_and_posted(pipecat_call: Any) -> None:
    sink = Keeping()
    call = pipecat_call({}, sink=sink)

    async def talk(call: Any) -> None:
        call.observer.describe(in_voicemail=True, call_analysis={"intent": "refund"})
        call.observer.describe(user_sentiment="negative", recipient="sip:sim-1@example.com")
        await call.worker.queue_frame(TTSSpeakFrame("Hello."))
        await call.worker.stop_when_done()

    posted = await call.run(talk)
    assert (sink.facts["in_voicemail"], sink.facts["user_sentiment"]) == (True, "negative")
    assert (posted["in_voicemail"], posted["user_sentiment"]) == (True, "negative")
    assert (posted["call_analysis"], posted["call_type"]) == ({"intent": "refund"}, "phone_call")


KILLED_IN_MID_CALL = """
import asyncio, os, signal, sys
sys.path.insert(0, sys.argv[1])
import conftest
from pipecat.frames.frames import TTSSpeakFrame
from tuner_core.delivery import default_sink

async def main():
    call = conftest.PipecatCall({"order": "It is on its way."}, sink=default_sink(), sip_call_id=sys.argv[2])

    async def talk(call):
        await call.worker.queue_frame(TTSSpeakFrame("Front desk."))
        await call.agent_ends()
        call.stage.speaking.clear()
        await call.say("Where is my order?")
        await call.agent_ends()
        await asyncio.sleep(0.2)
        os.kill(os.getpid(), signal.SIGKILL)

    await call.run(talk)

asyncio.run(main())
"""


def test_a_process_that_is_killed_in_mid_call_leaves_the_call_to_the_next(tmp_path: Path) -> None:
    with ScriptedTuner() as tuner:
        environment = {
            **os.environ,
            "TUNER_BASE_URL": tuner.base_url,
            "TUNER_API_KEY": "key",
            "TUNER_WORKSPACE_ID": "1",
            "TUNER_AGENT_ID": "agent",
            "TUNER_OUTBOX": str(tmp_path / "outbox.sqlite3"),
        }
        command = [sys.executable, "-c", KILLED_IN_MID_CALL, str(Path(__file__).parent), CALL_ID]
        killed = subprocess.run(command, env=environment, check=False, timeout=60, capture_output=True)
        assert killed.returncode == -signal.SIGKILL, killed.stderr.decode()
        assert tuner.received == []
        drain = [Path(sys.executable).with_name("tuner"), "outbox", "drain"]
        subprocess.run(drain, env=environment, check=True, timeout=60, capture_output=True)
        (body,) = (received.body for received in tuner.received)
    assert body["sip_call_id"] == CALL_ID
    spoken = [row["text"] for row in body["transcript_with_tool_calls"] if row["role"] in ("agent", "user")]
    assert spoken == ["Front desk.", "Where is my order?", "It is on its way."]
    assert body["general_meta_data_raw"]["tuner_sdk"]["cut_short"] is True
