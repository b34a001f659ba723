from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from tuner_sipbridge.call.extensions import DEFAULT_EXTENSIONS, Extensions
from tuner_sipbridge.cli import app
from tuner_sipbridge.cli.extension_options import Refresher, ReliableChoice, extensions_of


def merged(terms: Extensions = DEFAULT_EXTENSIONS, **given: Any) -> Extensions:
    nothing = {"interval_s": None, "refresher": None, "least_s": None, "reliable": None}
    return extensions_of(terms, **{**nothing, **given})


def test_what_is_not_given_stays_as_it_is():
    preset = Extensions(600, refresher="us", reliable="required")
    assert merged(preset) == preset
    assert merged(preset, interval_s=900) == Extensions(900, refresher="us", reliable="required")
    assert merged(preset, reliable=ReliableChoice.no).reliable == "no"
    assert merged(preset, refresher=Refresher.peer).refresher == "peer"


def test_zero_is_no_session_timer_and_leaves_nobody_to_refresh():
    assert merged(Extensions(600, refresher="us"), interval_s=0) == Extensions(None)


def test_an_interval_that_nobody_gave_follows_the_least_one():
    assert merged(least_s=3600) == Extensions(3600, least_session_interval_s=3600)


@pytest.fixture
def scenario(tmp_path: Path) -> Path:
    path = tmp_path / "tones.yaml"
    path.write_text("name: tones\npersona: {voice: tone}\nsteps: [{say: one}]\n")
    return path


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (["--session-interval", "60"], "interval is 60 s: give 90 s"),
        (["--session-interval", "200", "--min-se", "300"], "interval is 200 s: give 300 s"),
        (["--min-se", "30"], "least session interval is 30 s"),
        (["--session-interval", "0", "--refresher", "us"], "without a session timer"),
        (["--100rel", "maybe"], "maybe"),
    ],
)
def test_terms_that_cannot_be_are_exit_code_2(scenario: Path, options: list[str], reason: str):
    commands = (
        ["dial", "sip:agent@127.0.0.1:9", "--scenario", str(scenario)],
        ["answer", "--agent", "echo", "--port", "0"],
    )
    for command in commands:
        result = CliRunner().invoke(app, [*command, *options])
        assert result.exit_code == 2
        assert reason in result.stderr


def test_an_agent_that_is_hosted_follows_no_transfers():
    result = CliRunner().invoke(app, ["answer", "--agent", "echo", "--port", "0", "--follow-transfers"])
    assert result.exit_code == 2
    assert "goes with --plan" in result.stderr
