"""A run that is interrupted: the calls that stand get their BYE, and what is known of them is kept."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from pathlib import Path

import pytest

from tuner_sipbridge.agents.echo import echo
from tuner_sipbridge.agents.line import Line
from tuner_sipbridge.answerer import Answerer
from tuner_sipbridge.trace import Trace

COMMAND = (sys.executable, "-c", "from tuner_sipbridge.cli import main; main()")
STANDS = """name: stands
persona: {voice: tone}
steps:
  - pause_s: 60
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_calls_that_stand_are_hung_up_and_the_result_says_what_was_not_made(
    tmp_path: Path, number: int
):
    (tmp_path / "stands.yaml").write_text(STANDS)
    taken = asyncio.Event()

    async def agent(line: Line) -> None:
        taken.set()
        await echo(line)

    async with Answerer(agent, port=0) as answerer:
        plan, out = tmp_path / "plan.yaml", tmp_path / "out"
        plan.write_text(
            f"repeat: 3\ntargets:\n  - {{agent: desk, uri: '{answerer.uri}'}}\nscenarios: [stands.yaml]\n"
        )
        run = await asyncio.create_subprocess_exec(
            *COMMAND, "run", str(plan), "--out", str(out), stdout=asyncio.subprocess.PIPE
        )
        await taken.wait()
        run.send_signal(number)
        said, _ = await run.communicate()
    assert run.returncode == 128 + number
    assert b"interrupted: 2 more were not made" in said
    result = json.loads((out / "result.json").read_text())
    (call,) = result["calls"]
    assert (result["passed"], result["not_made"]) == (False, 2)
    assert call["outcome"] == "indeterminate"
    trace = Trace.read(out / call["trace"])
    sent = [str(event.fields["summary"]).partition(" ")[0] for event in trace.of("sip.sent")]

    assert sent[-1] == "BYE"
    assert (out / "report.html").exists()


async def test_a_call_that_rings_is_cancelled(tmp_path: Path):
    scenario, out = tmp_path / "stands.yaml", tmp_path / "out"
    scenario.write_text(STANDS)
    async with Answerer(echo, port=0, pick="ring") as answerer:
        dial = await asyncio.create_subprocess_exec(
            *(*COMMAND, "dial", answerer.uri, "--scenario", str(scenario), "--out", str(out)),
            stderr=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.DEVNULL,
        )
        assert dial.stderr is not None
        while b"dialling" not in await dial.stderr.readline():
            pass
        while not answerer.calls:  # noqa: ASYNC110 - the answering side tells of a call by its count alone
            await asyncio.sleep(0.02)
        dial.send_signal(signal.SIGINT)
        await dial.communicate()
    assert dial.returncode == 130
    (call,) = json.loads((out / "result.json").read_text())["calls"]
    assert (call["outcome"], call["failure"]["stage"]) == ("indeterminate", "set-up")
