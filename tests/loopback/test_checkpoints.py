"""Checkpoints of running calls, with real processes that are killed in the middle of one."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tuner_core.config import TunerConfig
from tuner_core.delivery import Delivery
from tuner_core.events import AgentTurn, CallEnded, CallEvent, CallStarted, ToolCalled, UserTurn
from tuner_core.http import RetryPolicy
from tuner_core.identity.model import SipIdentity
from tuner_core.outbox import Outbox
from tuner_core.records import CallRecord, Segment
from tuner_core.testing import ScriptedTuner
from tuner_core.timeline import CallTimeline

T0 = 1_790_000_000.0
QUICK = RetryPolicy(max_attempts=6, base_s=0.01, cap_s=0.05)
IDENTITY = SipIdentity(sip_call_id="3mCpYwe7pQkTlUdhVJnyMIBP9q4", correlation_id="0a" * 16, provider="sip")

AGENT = """
    import sys, time
    from tuner_core.delivery import Delivery
    from tuner_core.events import AgentTurn, CallStarted, ToolCalled, UserTurn
    from tuner_core.identity.model import SipIdentity
    from tuner_core.timeline import CallTimeline

    delivery = Delivery()
    call = CallTimeline(call_id="killed", journal=delivery)
    delivery.checkpoint("killed", identity=SipIdentity(sip_call_id="3mCpYwe7pQkTlUdhVJnyMIBP9q4", provider="sip"))
    call.apply(CallStarted(1_790_000_000.0))
    call.apply(AgentTurn("Hello!", 1_790_000_000.6, 1_790_000_001.4))
    call.apply(UserTurn("A refund, please.", 1_790_000_002.0, 1_790_000_003.0, id="u1"))
    call.apply(ToolCalled(1_790_000_003.5, "t1", "refund", {"order": 17}))
    END
"""


def environment(outbox: Path, base_url: str) -> dict[str, str]:
    return {
        **os.environ,
        "TUNER_API_KEY": "tr_api_k",
        "TUNER_WORKSPACE_ID": "1",
        "TUNER_AGENT_ID": "a",
        "TUNER_BASE_URL": base_url,
        "TUNER_OUTBOX": str(outbox),
    }


def run_agent(end: str, outbox: Path, base_url: str) -> subprocess.Popen[bytes]:
    script = textwrap.dedent(AGENT).replace("END", end)
    return subprocess.Popen([sys.executable, "-c", script], env=environment(outbox, base_url))


def events_in(outbox: Path) -> int:
    if not outbox.exists():
        return 0
    box = Outbox(outbox)
    try:
        return sum(box.calls.length(call.to, call.call_id) for call in box.calls.listed(now=time.time()))
    finally:
        box.close()


def wait_until(holds: Any, within_s: float = 10.0) -> None:
    give_up_at = time.monotonic() + within_s
    while not holds():
        assert time.monotonic() < give_up_at
        time.sleep(0.02)


def kill_mid_call(outbox: Path, base_url: str) -> None:
    agent = run_agent("time.sleep(60)", outbox, base_url)
    wait_until(lambda: events_in(outbox) == 4)
    agent.send_signal(signal.SIGKILL)
    agent.wait()


def config(outbox: Path, base_url: str) -> TunerConfig:
    return TunerConfig(api_key="tr_api_k", workspace_id=1, agent_id="a", base_url=base_url, outbox=outbox)


@pytest.fixture
def outbox(tmp_path: Path) -> Path:
    return tmp_path / "outbox.sqlite3"


@pytest.fixture
def tuner() -> Iterator[ScriptedTuner]:
    with ScriptedTuner() as running:
        yield running


def assert_cut_short(tuner: ScriptedTuner) -> None:
    assert tuner.stored == {"killed": 1}
    [received] = tuner.received
    body = received.body
    rows = body["transcript_with_tool_calls"]
    assert [(row["role"], row.get("text")) for row in rows] == [
        ("agent", "Hello!"),
        ("user", "A refund, please."),
        ("agent_function", None),
    ]
    assert rows[2]["tool"]["params"] == {"order": 17}
    assert (body["start_timestamp"], body["sip_call_id"]) == (1_790_000_000_000, IDENTITY.sip_call_id)
    assert (body["call_status"], body["disconnection_reason"]) == ("error", "error")
    notes = body["general_meta_data_raw"]["tuner_sdk"]
    assert notes["cut_short"] is True
    assert "process ended" in notes["recovered"]


def test_the_next_start_delivers_a_call_whose_process_was_killed(outbox: Path, tuner: ScriptedTuner) -> None:
    kill_mid_call(outbox, tuner.base_url)
    with Delivery(config(outbox, tuner.base_url)) as delivery:
        status = delivery.drain_sync(deadline_s=10)
    assert status is not None
    assert (status.accepted, status.delivered, status.open_calls) == (1, 1, 0)
    assert_cut_short(tuner)


def test_the_drain_command_delivers_a_call_whose_process_was_killed(
    outbox: Path, tuner: ScriptedTuner
) -> None:
    kill_mid_call(outbox, tuner.base_url)
    command = [str(Path(sys.executable).with_name("tuner")), "outbox", "drain"]
    drained = subprocess.run(command, env=environment(outbox, tuner.base_url), capture_output=True, text=True)
    assert drained.returncode == 0, drained.stderr
    assert_cut_short(tuner)
