"""What somebody who calls for the first time stumbles on: options, places that cannot be written, secrets."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from tuner_sipbridge.agents.echo import echo
from tuner_sipbridge.answerer import Answerer
from tuner_sipbridge.cli import app

TONES = "name: tones\npersona: {voice: tone}\nsteps: [{say: one}]\n"
NOBODY = "sip:agent@127.0.0.1:9"


@pytest.fixture
def scenario(tmp_path: Path) -> Path:
    path = tmp_path / "tones.yaml"
    path.write_text(TONES)
    return path


async def bridge_beside(*arguments: str) -> subprocess.CompletedProcess[str]:
    """The command in a process of its own, run while this one answers."""
    import asyncio

    command = [sys.executable, "-c", "from tuner_sipbridge.cli import main; main()", *arguments]
    return await asyncio.to_thread(
        subprocess.run, command, capture_output=True, text=True, timeout=60, check=False
    )


def bridge(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, [str(one) for one in arguments])


async def test_a_plan_is_run_with_the_codecs_and_the_caller_of_the_options_and_passwords_stay_away(
    scenario: Path, tmp_path: Path
):
    out, plan = tmp_path / "out", tmp_path / "plan.yaml"
    async with Answerer(echo, port=0, codecs=("PCMA", "opus"), srtp="optional") as answerer:
        host, port = answerer.local
        plan.write_text(
            f"targets: [{{agent: desk, uri: 'sip:desk:hunter2secret@{host}:{port}'}}]\nscenarios: [tones.yaml]\n"
        )
        done = await bridge_beside(
            *("run", str(plan), "--codec=opus", "--srtp=required", "--late-offer", "--from=+4930123456"),
            *("--out", str(out), "--pcap", str(out / "calls.pcap"), "--json"),
        )
    assert done.returncode == 0, done.stderr
    (call,) = json.loads(done.stdout)["calls"]
    trace = (out / call["trace"]).read_text()
    assert call["target"] == f"sip:desk:removed@{host}:{port}"
    assert "sip:+4930123456@" in trace
    assert '"codec": "opus"' in trace
    assert "AES_CM_128_HMAC_SHA1_80" in trace
    left = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    assert {path.name for path in left} >= {"result.json", "report.html", "trace.jsonl", "calls.pcap"}
    assert [path for path, octets in left.items() if b"hunter2secret" in octets] == []
    assert "hunter2secret" not in done.stdout + done.stderr


async def test_a_user_name_without_a_password_is_told(scenario: Path):
    async with Answerer(echo, port=0, username="probe", password="s3cret") as answerer:
        done = await bridge_beside(
            "dial", answerer.uri, f"--scenario={scenario}", "--username=probe", "--json"
        )
    assert done.returncode == 1
    assert "without a password: give one" in json.loads(done.stdout)["calls"][0]["detail"]
    assert "waiting for posts" not in done.stderr


@pytest.mark.parametrize("command", ["dial", "run", "answer", "verify"])
def test_what_cannot_be_written_is_told_before_anybody_is_called(
    command: str, scenario: Path, tmp_path: Path
):
    taken, plan = tmp_path / "taken", tmp_path / "plan.yaml"
    taken.touch()
    plan.write_text(f"targets: [{{agent: desk, uri: '{NOBODY}'}}]\nscenarios: [tones.yaml]\n")
    given = {
        "dial": [NOBODY, "--scenario", scenario],
        "run": [plan],
        "answer": ["--agent", "echo", "--port", "0"],
        "verify": [NOBODY],
    }[command]
    places = [["--pcap", taken / "x.pcap"], *([["--out", taken]] if command != "verify" else [])]
    for place in places:
        refused = bridge(command, *given, *place)
        assert refused.exit_code == 2, refused.output
        assert f"{place[1]}: " in refused.stderr
        assert "cannot be written" in refused.stderr


def test_a_file_that_is_no_trace_is_refused(tmp_path: Path):
    sound = tmp_path / "call.wav"
    sound.write_bytes(b"RIFF\xe4\xff")
    refused = bridge("trace", sound)
    assert refused.exit_code == 2
    assert "not a trace" in refused.stderr


def test_a_number_without_a_trunk_says_what_it_needs(scenario: Path):
    refused = bridge("dial", "tel:+15550100", "--scenario", scenario)
    assert refused.exit_code == 2
    assert "--trunk" in refused.stderr
