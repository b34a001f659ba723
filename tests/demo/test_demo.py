"""`make demo` does what it says: real calls into real agents, linked, recorded, measured, reported."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import wave
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest

from tuner_sipbridge.trace import Trace

SCHEMA = json.loads((Path(__file__).resolve().parents[1] / "data" / "create_call.schema.json").read_text())
CALLER = "+15550100"
DEMO = "from tuner_sipbridge.cli import main; main()"


def run_demo(out: Path, listening: Any, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the demo with every process logging at DEBUG, and `listening` to it."""
    command = [sys.executable, "-c", DEMO, "demo", f"--out={out}", *arguments]
    environment = listening.environment
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=240, check=False)


@pytest.fixture(scope="module")
def listening(listen: Callable[[], Any]) -> Any:
    """What the processes of the demo logged."""
    return listen()


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory, listening: Any) -> tuple[Path, list[dict[str, Any]]]:
    """The directory and the calls of one run of the demo."""
    out = tmp_path_factory.mktemp("demo")
    done = run_demo(out, listening)
    assert done.returncode == 0, done.stdout + done.stderr
    return out, json.loads((out / "result.json").read_text())["calls"]


pytestmark = pytest.mark.timeout(300)


def test_each_agent_is_called_four_times_and_every_call_links_by_its_call_id(demo):
    _, calls = demo
    assert [call["agent"] for call in calls].count("pipecat") == 4
    assert [call["agent"] for call in calls].count("livekit") == 4
    assert {(call["outcome"], call["linked"], call["linked_by"]) for call in calls} == {
        ("success", True, "sip_call_id")
    }
    assert len({call["sip_call_id"] for call in calls}) == 8


def test_every_call_was_challenged_and_several_stood_at_once(demo):
    _, calls = demo
    assert {call["measures"]["signalling"]["challenges"] for call in calls} == {1}
    spans = [(call["started_at"], call["started_at"] + call["duration_s"]) for call in calls]
    at_once = max(sum(begin <= moment < end for begin, end in spans) for moment, _ in spans)
    assert at_once >= 3


def test_each_recording_holds_both_voices(demo):
    out, calls = demo
    for call in calls:
        with wave.open(str(out / call["recording"])) as wav:
            assert (wav.getnchannels(), wav.getframerate()) == (2, 8000)
            samples = np.frombuffer(wav.readframes(wav.getnframes()), "<i2").reshape(-1, 2)
        for side in (0, 1):
            loud = np.abs(samples[:, side]) > 1000
            assert loud.sum() > 2000, (call["agent"], call["scenario"], side)


def test_each_posted_record_satisfies_the_contract(demo):
    out, calls = demo
    for call in calls:
        record = json.loads((out / call["record"]).read_text())
        jsonschema.validate(record, SCHEMA)
        assert record["end_timestamp"] >= record["start_timestamp"]
        assert record["sip_call_id"] == call["sip_call_id"]
        assert record["sip_headers"]["X-Correlation-Id"] == call["correlation_id"]


def segments(demo: tuple[Path, list[dict[str, Any]]], agent: str, scenario: str) -> list[dict[str, Any]]:
    out, calls = demo
    call = next(call for call in calls if (call["agent"], call["scenario"]) == (agent, scenario))
    return json.loads((out / call["record"]).read_text())["transcript_with_tool_calls"]


@pytest.mark.parametrize("agent", ["pipecat", "livekit"])
def test_order_status_has_heard_turns_and_a_tool_call_with_its_result(demo, agent):
    rows = segments(demo, agent, "order_status")
    heard = [row for row in rows if row["role"] == "user"]
    assert len(heard) >= 3
    # The recogniser writes lower case without marks; the scenario file has both.
    assert all(row["text"] == row["text"].lower() and "," not in row["text"] for row in heard)
    assert "order" in heard[0]["text"]
    called = next(row for row in rows if row["role"] == "agent_function")
    returned = next(row for row in rows if row["role"] == "agent_result")
    assert called["tool"]["name"] == returned["tool"]["name"] == "look_up_order"
    assert called["tool"]["params"]["order_number"]


@pytest.mark.parametrize("agent", ["pipecat", "livekit"])
def test_barge_in_stops_the_agent_and_is_marked(demo, agent):
    _, calls = demo
    call = next(call for call in calls if (call["agent"], call["scenario"]) == (agent, "barge_in"))
    stop = [turn["stop_time_ms"] for turn in call["measures"]["turns"] if turn["kind"] == "barge_in"]
    assert len(stop) == 1
    assert 0 < stop[0] < 2500
    cut = [row for row in segments(demo, agent, "barge_in") if row.get("metadata", {}).get("interrupted")]
    assert len(cut) == 1
    assert "Sunday" not in cut[0]["text"]


@pytest.mark.parametrize("agent", ["pipecat", "livekit"])
def test_keys_reach_the_tool(demo, agent):
    rows = segments(demo, agent, "keypad")
    assert [row["tool"]["params"] for row in rows if row["role"] == "agent_function"] == [
        {"order_number": "427"}
    ]


@pytest.mark.parametrize("agent", ["pipecat", "livekit"])
def test_early_hang_up_is_the_users(demo, agent):
    out, calls = demo
    call = next(call for call in calls if (call["agent"], call["scenario"]) == (agent, "early_hangup"))
    assert json.loads((out / call["record"]).read_text())["disconnection_reason"] == "user_hangup"
    ended = Trace.read(out / call["trace"]).last("call.ended")
    assert ended is not None
    assert ended.fields["by"] == "caller"


def test_the_report_is_one_page_that_plays_the_recordings(demo):
    out, calls = demo
    page = (out / "report.html").read_text()
    assert "http://" not in page.replace("http://www.w3.org", "")
    assert "https://" not in page
    for call in calls:
        assert f'src="{call["recording"]}"' in page
        assert call["sip_call_id"] in page


def test_no_credential_is_in_any_log_of_anybody(demo, listening):
    credentials, logged = listening.credentials() | listening.client_nonces(), listening.logged()
    # Key, password, and a response and a client nonce of each of eight calls: otherwise nothing was listened to.
    assert len(credentials) >= 2 + 8 + 8
    assert {entry.logger.split(".")[0] for entry in logged} >= {"tuner_core", "httpx", "pipecat", "livekit"}
    found = [entry.logger for entry in logged for secret in credentials if secret in entry.everything]
    assert found == []


def test_no_credential_is_in_anything_that_a_run_leaves(demo, listening):
    out, _ = demo
    credentials = [secret.encode() for secret in listening.credentials()]
    files = [path for path in out.rglob("*") if path.is_file()]
    assert {".json", ".html", ".log", ".wav"} <= {path.suffix for path in files}
    leaks = [path.name for path in files for secret in credentials if secret in path.read_bytes()]
    assert leaks == []


def test_our_logs_hold_nothing_that_was_said_no_tool_value_and_no_number(demo, listening, said_in):
    """Ours alone: Pipecat and LiveKit log transcripts of their own accord, which shows here that DEBUG was on."""
    out, calls = demo
    records = [json.loads((out / call["record"]).read_text()) for call in calls]
    traces = [Trace.read(out / call["trace"]) for call in calls]
    spoken = [event.fields["text"] for trace in traces for event in trace.of("caller.speech_started")]
    phrases = said_in(spoken + [record["transcript_with_tool_calls"] for record in records])
    assert {"where my order", "is out for", "i help you"} & phrases
    assert {record["caller_phone_number"] for record in records} == {CALLER}
    logged = listening.logged()
    ours = [entry for entry in logged if entry.is_ours]
    theirs = " ".join(entry.said.lower() for entry in logged if entry.logger.startswith("pipecat"))
    assert "front desk of harbour books" in theirs
    assert len(ours) >= 16
    for entry in ours:
        text = " ".join(re.findall(r"[a-z0-9']+", entry.everything.lower()))
        assert [phrase for phrase in phrases if phrase in text] == []
        assert CALLER.removeprefix("+") not in entry.everything


FAULTS = {
    "no-call-id": "came without sip_call_id and without X-Correlation-Id",
    "carrier-id": "a provider's own id, not the SIP Call-ID",
    "no-post": "no call was posted",
    "wrong-password": "407 again after credentials were sent",
    "no-answer": "nobody answered in 4 s",
    "busy": "486 Busy Here",
}


@pytest.mark.faults
@pytest.mark.parametrize("fault", FAULTS)
def test_fault_ends_with_exit_code_1_and_says_what_broke(fault, tmp_path, listen):
    listening = listen()
    done = run_demo(tmp_path, listening, f"--fault={fault}")
    assert done.returncode == 1, done.stdout + done.stderr
    said = " ".join(done.stdout.split())
    assert said.count(FAULTS[fault]) >= 2, said
    reasons = [call["reason"] for call in json.loads((tmp_path / "result.json").read_text())["calls"]]
    assert len(reasons) == 2
    assert all(FAULTS[fault] in reason for reason in reasons)
    said = done.stdout + done.stderr + "".join(entry.everything for entry in listening.logged())
    assert [secret for secret in listening.credentials() if secret in said] == []
