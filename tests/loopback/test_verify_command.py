"""The command `verify`: what it prints, and its exit codes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tuner_sipbridge.cli import app
from tuner_sipbridge.verify.facts import STEPS

REFUSED = "sip:agent@127.0.0.1:9;transport=tcp"


def test_verdicts_are_printed_for_eighty_columns_with_what_was_not_reached() -> None:
    done = CliRunner().invoke(app, ["verify", REFUSED, "--provider=exotel"], env={"COLUMNS": "80"})
    assert done.exit_code == 1, done.output
    lines = done.stdout.splitlines()
    assert max(map(len, lines)) <= 80
    assert lines == [line.rstrip() for line in lines]
    assert lines[0] == REFUSED
    assert any(line.startswith("✗ connection") for line in lines)
    assert "Exotel takes tcp at port 5070, tls at port 443" in " ".join(done.stdout.split())
    assert any(line.startswith("– not reached OPTIONS, INVITE, challenge") for line in lines)
    assert lines[-1].startswith("failed: connection")


def test_json_holds_every_step_and_nothing_else_is_printed() -> None:
    done = CliRunner().invoke(app, ["verify", REFUSED, "--json"])
    result = json.loads(done.stdout)
    assert (done.exit_code, result["passed"], result["target"]) == (1, False, REFUSED)
    assert [one["step"] for one in result["steps"]] == list(STEPS)
    assert [one["verdict"] for one in result["steps"][:3]] == ["ok", "ok", "failed"]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["agent@edge.example"], "a SIP URI looks like"),
        ([REFUSED, "--provider=nobody"], "known are asterisk"),
        ([REFUSED, "--insecure", "--tls-pin=" + "0" * 64], "leave one of them out"),
        ([], "Missing argument"),
    ],
)
def test_wrong_usage_is_exit_code_2(arguments: list[str], says: str) -> None:
    done = CliRunner().invoke(app, ["verify", *arguments])
    assert done.exit_code == 2
    assert says in " ".join(done.output.split())


def test_a_capture_is_left_also_of_what_failed(tmp_path: Path) -> None:
    capture = tmp_path / "calls.pcap"
    done = CliRunner().invoke(app, ["verify", REFUSED, f"--pcap={capture}"])
    assert done.exit_code == 1
    assert capture.stat().st_size > 0
