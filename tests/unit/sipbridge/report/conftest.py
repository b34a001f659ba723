from __future__ import annotations

import json
import wave
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tuner_sipbridge.audio import g711
from tuner_sipbridge.report.result import CallResult, RunResult

SIP = [
    ("sip.sent", 0.0, "INVITE sip:a@b SIP/2.0", "1 INVITE"),
    ("sip.received", 0.01, "SIP/2.0 407 Proxy Authentication Required", "1 INVITE"),
    ("sip.sent", 0.02, "INVITE sip:a@b SIP/2.0", "2 INVITE"),
    ("sip.received", 0.1, "SIP/2.0 200 OK", "2 INVITE"),
    ("sip.sent", 7.8, "BYE sip:a@b SIP/2.0", "3 BYE"),
]


def write_call(directory: Path, name: str, call: Any, **fields: Any) -> CallResult:
    """Write a painted call's files below `directory` and give its result."""
    for kind, at, line, cseq in SIP:
        call.note(
            kind, at - 0.2, summary=line, message=f"{line}\r\nCSeq: {cseq}\r\n<x>&", peer="192.0.2.1:5060"
        )
    call.note("call.answered", -0.1, status=200)
    call.note("media.started", -0.1, codec="PCMU", local="127.0.0.1:4000", remote="192.0.2.1:4002")
    call.note("call.ended", 7.5, by="caller", reason="")
    recording = call.recording()
    folder = directory / name
    folder.mkdir()
    call.trace.write(folder / "trace.jsonl")
    sides = [g711.decode(side, "PCMU") for side in (recording.caller, recording.agent)]
    with wave.open(str(folder / "call.wav"), "wb") as file:
        file.setnchannels(2)
        file.setsampwidth(2)
        file.setframerate(8000)
        file.writeframes(np.stack(sides, axis=1).astype("<i2").tobytes())
    record = {
        "start_timestamp": round(call.started_at * 1000),
        "transcript_with_tool_calls": [
            {"role": "agent", "text": "Hello <there>.", "start_ms": 500, "end_ms": 900},
            {"role": "user", "text": "where is my older", "start_ms": 1020, "end_ms": 2000},
            {"role": "agent_function", "start_ms": 2300, "tool": {"name": "look_up", "params": {"n": "427"}}},
            {"role": "agent_result", "tool": {"name": "look_up", "result": {"status": "sent"}}},
            {
                "role": "agent",
                "text": "It is sent.",
                "start_ms": 2700,
                "end_ms": 4000,
                "metadata": {"e2e_latency": 510},
            },
        ],
    }
    (folder / "record.json").write_text(json.dumps(record))
    given: dict[str, Any] = {
        "agent": "pipecat",
        "scenario": "order_status",
        "sip_call_id": f"id-{name}",
        "correlation_id": "c0ffee",
        "outcome": "success",
        "linked": True,
        "linked_by": "sip_call_id",
        "reason": "linked by Call-ID",
        "duration_s": 7.6,
        "recording": f"{name}/call.wav",
        "trace": f"{name}/trace.jsonl",
        "record": f"{name}/record.json",
        "measures": call.measures().to_json(),
    }
    return CallResult.model_validate({**given, **fields})


@pytest.fixture
def spoken_call(painted_call: Callable[..., Any]) -> Any:
    """A greeting, a question, an answer, a barge-in over a long answer."""
    call = painted_call(8.0)
    call.sound("agent", 0.5, 0.9)
    call.says(1.0, 2.0, step=1, text="Where is my order?")
    call.sound("agent", 2.7, 5.4)
    call.says(5.0, 6.0, step=2, text="Stop, please.", barge_in=True)
    call.note("caller.digits", 6.5, step=3, digits="42#")
    return call


@pytest.fixture
def run(tmp_path: Path, spoken_call: Any) -> RunResult:
    """One call that passed, with its files in `tmp_path`."""
    call = write_call(tmp_path, "001", spoken_call)
    return RunResult(name="nightly <run>", started_at=1_700_000_000.0, ended_at=1_700_000_009.0, calls=[call])
