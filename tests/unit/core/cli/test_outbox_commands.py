"""`tuner outbox`: what each command says, changes and returns."""

import json
import os
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from tuner_core.cli import app
from tuner_core.outbox import Outbox
from tuner_core.outbox.parcels import Checkpoint, Destination
from tuner_core.testing import ScriptedTuner

NOW = time.time()
TO = Destination("https://api.example", 1, "agent")
CALL: dict[str, Any] = {
    "call_id": "c-81",
    "call_type": "phone_call",
    "start_timestamp": 1_790_000_000_000,
    "end_timestamp": 1_790_000_042_000,
    "sip_call_id": "3mCpYwe7pQkTlUdhVJnyMIBP9q4",
    "sip_headers": {"X-Correlation-Id": "0a" * 16, "X-Customer": "swordfish"},
    "caller_phone_number": "+4930123456",
    "recording_url": "https://bucket.example/swordfish.wav?sig=swordfish",
    "recipient": "sip:swordfish@example.org",
    "transcript": "agent: swordfish",
    "transcript_with_tool_calls": [
        {
            "role": "agent",
            "text": "swordfish",
            "start_ms": 600,
            "end_ms": 1400,
            "words": [{"word": "swordfish", "start_ms": 600, "end_ms": 1400}],
            "metadata": {"e2e_latency": 420, "intended_text": "swordfish"},
        },
        {
            "role": "agent_function",
            "tool": {"name": "refund", "params": {"card": "swordfish", "n": [4111, None]}},
        },
    ],
    "metadata": {"customer": "swordfish"},
}


KEY = {"TUNER_API_KEY": "k", "TUNER_WORKSPACE_ID": "1", "TUNER_BASE_URL": "http://127.0.0.1:9"}


def run(path: Path, *arguments: str, **environment: str) -> Result:
    command, *rest = arguments
    return CliRunner().invoke(app, ["outbox", command, "--path", str(path), *rest], env=environment)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """One refused, one pending, one delivered record, and a call that runs."""
    file = tmp_path / "outbox.sqlite3"
    box = Outbox(file)
    for call_id in ("c-81", "c-82", "c-83"):
        body = json.dumps({**CALL, "call_id": call_id}).encode()
        parcel = box.put(TO, call_id, body, repairs=["text: cut"], now=NOW).parcel
        assert parcel is not None
        if call_id == "c-81":
            box.mark_refused(parcel, detail="422 said the API", now=NOW)
        elif call_id == "c-82":
            box.postpone(parcel, until=NOW, detail="503")
        else:
            box.mark_delivered(parcel, tuner_id=1, is_new=True, now=NOW)
    box.calls.checkpoint([Checkpoint(TO, "c-84", ('{"kind": "call_started", "at": 1}',))], now=NOW)
    box.close()
    return file


def account(path: Path) -> dict[str, Any]:
    return json.loads(run(path, "status", "--json").stdout)


def test_status_shows_open_calls_beside_the_account(path: Path) -> None:
    shown = account(path)
    assert (shown["accepted"], shown["open_calls"], shown["abandoned_calls"]) == (3, 1, 1)
    text = run(path, "status").output
    assert "accepted 3 = delivered 1 + pending 1 + refused 1 + dropped 0" in text
    assert "1 of a process that is gone" in text
    assert "tuner outbox retry" in text


def test_json_stays_json_where_there_is_no_outbox_yet(tmp_path: Path) -> None:
    none = tmp_path / "none"
    assert account(none)["accepted"] == 0
    assert json.loads(run(none, "list", "--json").stdout) == []
    assert json.loads(run(none, "retry", "--json").stdout) == {"pending_again": 0}
    assert json.loads(run(none, "purge", "--pending", "--json").stdout) == {"removed": {"pending": 0}}
    assert json.loads(run(none, "drain", "--json", **KEY).stdout)["pending"] == 0
    assert not none.exists()


def test_list_shows_each_state_and_no_content(path: Path) -> None:
    listed = json.loads(run(path, "list", "--json").stdout)
    assert [(one["call_id"], one["state"]) for one in listed] == [
        ("c-84", "open"),
        ("c-83", "delivered"),
        ("c-82", "pending"),
        ("c-81", "refused"),
    ]
    assert "swordfish" not in json.dumps(listed)
    assert [one["call_id"] for one in json.loads(run(path, "list", "--json", "--state", "open").stdout)] == [
        "c-84"
    ]
    assert "c-84" in run(path, "list").output
    assert run(path, "list", "--state", "lost").exit_code == 2


def test_show_has_everything_but_the_content(path: Path) -> None:
    text = run(path, "show", "c-81").output
    for told in ("refused", "422 said the API", "text: cut", "+4930123456", "0a" * 16, CALL["sip_call_id"]):
        assert (told in text) == (told != "+4930123456"), told
    assert "swordfish" not in text
    [shown] = json.loads(run(path, "show", "c-81", "--json").stdout)
    record = shown["record"]
    assert record["caller_phone_number"] == "<phone number, 11 characters>"
    assert record["recording_url"] == "https://bucket.example/<27 characters>"
    agent, tool = record["transcript_with_tool_calls"]
    assert (agent["text"], agent["start_ms"], agent["words"]) == ("<9 characters>", 600, "<1 words>")
    assert agent["metadata"] == {"e2e_latency": 420, "intended_text": "<9 characters>"}
    assert tool["tool"] == {"name": "refund", "params": {"card": "<9 characters>", "n": ["<number>", None]}}


def test_show_prints_the_content_on_request_only(path: Path) -> None:
    [shown] = json.loads(run(path, "show", "c-81", "--json", "--full").stdout)
    assert shown["record"] == CALL


def test_show_knows_running_and_delivered_calls_and_says_what_it_does_not_know(path: Path) -> None:
    assert "gone" in run(path, "show", "c-84").output
    assert "delivered" in run(path, "show", "c-83").output
    unknown = run(path, "show", "c-99")
    assert (unknown.exit_code, "does not know" in unknown.output) == (1, True)


def test_retry_of_one_call_says_when_there_is_nothing_to_retry(path: Path) -> None:
    assert run(path, "retry", "c-82").exit_code == 1
    assert json.loads(run(path, "retry", "c-81", "--json").stdout) == {"pending_again": 1}
    assert account(path)["pending"] == 2


def test_export_writes_whole_bodies_for_their_owner_only(path: Path, tmp_path: Path) -> None:
    out = tmp_path / "calls.jsonl"
    result = run(path, "export", "--out", str(out))
    assert (result.exit_code, result.stderr) == (0, "2 records written\n")
    assert [json.loads(line)["call_id"] for line in out.read_text().splitlines()] == ["c-81", "c-82"]
    assert json.loads(out.read_text().splitlines()[0]) == CALL
    assert stat.S_IMODE(out.stat().st_mode) == 0o600
    again = run(path, "export", "--out", str(out))
    assert (again.exit_code, "File exists" in again.output) == (3, True)
    printed = run(path, "export", "--state", "refused").stdout
    assert [json.loads(line)["call_id"] for line in printed.splitlines()] == ["c-81"]


def test_purge_loses_nothing_undelivered_without_being_told_twice(path: Path) -> None:
    assert run(path, "purge").exit_code == 2
    refused = run(path, "purge", "--refused", "--pending")
    assert (refused.exit_code, "2 undelivered records would be lost" in refused.output) == (2, True)
    assert account(path)["dropped"] == 0
    assert run(path, "purge", "--refused", "--pending", "--older-than-days", "1", "--yes").exit_code == 0
    assert account(path)["dropped"] == 0
    done = run(path, "purge", "--refused", "--pending", "--yes")
    assert "accepted 3 = delivered 1 + pending 0 + refused 0 + dropped 2" in done.output
    gone = run(path, "purge", "--delivered", "--dropped", "--json")
    assert json.loads(gone.stdout) == {"removed": {"delivered": 1, "dropped": 2}}
    assert (account(path)["accepted"], account(path)["delivered"]) == (3, 1)
    assert json.loads(run(path, "list", "--json", "--state", "all").stdout)[1:] == []


def environment(tuner: ScriptedTuner) -> dict[str, str]:
    return {"TUNER_API_KEY": "k", "TUNER_WORKSPACE_ID": "1", "TUNER_BASE_URL": tuner.base_url}


def test_drain_needs_no_agent_and_says_what_needs_another_key(path: Path) -> None:
    with ScriptedTuner() as tuner:
        box = Outbox(path)
        for workspace in (1, 7):
            to = Destination(tuner.base_url, workspace, "agent")
            parcel = box.put(to, f"of {workspace}", b'{"call_id": "w"}', now=NOW).parcel
            assert parcel is not None
            box.postpone(parcel, until=0, detail="")
        box.close()
        result = run(path, "drain", TUNER_AGENT_ID="", **environment(tuner))
    assert result.exit_code == 1
    assert "1 of workspace 7" in result.output
    assert "workspace 1 at https://api.example" in result.output
    assert len(tuner.received) == 1


def test_the_watching_drain_sends_what_comes_in_until_it_is_told_to_stop(tmp_path: Path) -> None:
    path = tmp_path / "later" / "outbox.sqlite3"
    with ScriptedTuner() as tuner:
        command = [
            str(Path(sys.executable).with_name("tuner")),
            "outbox",
            "drain",
            "--watch",
            "--every",
            "0.1",
        ]
        sidecar = subprocess.Popen(
            [*command, "--path", str(path)],
            env={**os.environ, **environment(tuner)},
            stdout=subprocess.PIPE,
            text=True,
        )
        assert sidecar.stdout is not None
        assert "accepted 0" in sidecar.stdout.readline()
        box = Outbox(path)
        parcel = box.put(
            Destination(tuner.base_url, 1, "a"), "later", b'{"call_id": "later"}', now=NOW
        ).parcel
        assert parcel is not None
        box.close()
        assert tuner.wait_for_requests(1)
        while "delivered 1" not in sidecar.stdout.readline():
            pass
        sidecar.send_signal(signal.SIGTERM)
        assert sidecar.wait(timeout=10) == 0
    assert tuner.stored == {"later": 1}
