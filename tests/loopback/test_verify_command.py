"""The command `verify`: what it prints, and its exit codes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import get_args

import pytest
from typer.main import get_command
from typer.testing import CliRunner

from tuner_sipbridge.cli import app
from tuner_sipbridge.cli.livekit_options import LIVEKIT_ONLY
from tuner_sipbridge.verify.facts import STEPS, Verdict

PAGE = Path(__file__).resolve().parents[2] / "docs/reference/verify.md"
KEYS = [
    "target",
    "dialled",
    "provider",
    "provider_known_by",
    "sip_call_id",
    "status",
    "passed",
    "failed",
    "warnings",
    "steps",
]

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
    assert list(result) == KEYS
    assert [list(one) for one in result["steps"]] == [["step", "verdict", "detail", "change"]] * len(STEPS)
    assert (result["failed"], result["status"]) == (["connection"], None)


def test_each_key_step_and_verdict_is_documented() -> None:
    page = PAGE.read_text("utf-8")
    words = [*KEYS, *STEPS, *get_args(Verdict), "step", "verdict", "detail", "change"]
    assert [word for word in words if f"`{word}`" not in page] == []


def test_nothing_is_known_of_the_agent_when_our_own_side_fails() -> None:
    arguments = ["verify", "sip:agent@127.0.0.1:9", "--public-address=stun:nowhere.invalid", "--json"]
    done = CliRunner().invoke(app, arguments)
    assert (done.exit_code, done.stdout) == (3, "")
    assert "nowhere.invalid" in done.stderr


def test_no_password_and_no_colour_is_printed() -> None:
    secret = REFUSED.replace("agent@", "agent:hidden@")
    text = CliRunner().invoke(app, ["verify", secret])
    as_json = CliRunner().invoke(app, ["verify", secret, "--json"])
    for done in (text, as_json):
        assert done.exit_code == 1
        assert "hidden" not in done.output
        assert "agent:removed@127.0.0.1" in done.output
        assert "\x1b" not in done.output


def test_the_options_of_dial_that_shape_a_call_are_those_of_verify() -> None:
    commands = get_command(app).commands  # pyright: ignore[reportAttributeAccessIssue]
    dial, verify = ({one.name for one in commands[name].params} for name in ("dial", "verify"))
    of_a_played_call = {"scenario", "call_id", "follow_transfers", "out", "tuner", "link_wait", "via"}
    of_livekit = set(LIVEKIT_ONLY)
    assert dial - verify == of_a_played_call | of_livekit


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
