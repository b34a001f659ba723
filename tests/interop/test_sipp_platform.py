"""SIPp as an agent platform: it registers at our answering side and calls a simulated human there."""

from __future__ import annotations

import asyncio
from functools import partial
from pathlib import Path

from tuner_sipbridge.answerer import Answerer
from tuner_sipbridge.answering.results import Results
from tuner_sipbridge.answering.run import answer_by_plan
from tuner_sipbridge.caller.answering_plan import AnsweringPlan

SCENARIO = Path(__file__).parent / "sipp" / "platform.xml"
PLAN = """name: outbound
registrations: {}
rules:
  - {called: human, ring_s: 0.1, agent: sipp, scenario: human.yaml}
"""
HUMAN = """name: human
persona: {voice: tone}
steps:
  - say: hello
  - hang_up
"""


async def test_a_platform_registers_and_then_calls(tmp_path: Path):
    (tmp_path / "human.yaml").write_text(HUMAN)
    (tmp_path / "answering.yaml").write_text(PLAN)
    ready: asyncio.Future[Answerer] = asyncio.get_running_loop().create_future()
    answering = asyncio.ensure_future(
        answer_by_plan(
            AnsweringPlan.load(tmp_path / "answering.yaml"),
            partial(Answerer, port=0, username="trunk", password="s3cret", algorithm="MD5"),
            Results(),
            agents={},
            until=asyncio.get_running_loop().create_future(),
            calls=1,
            on_ready=ready.set_result,
        )
    )
    answerer = await ready
    host, port = answerer.local
    process = await asyncio.create_subprocess_exec(
        *("sipp", f"{host}:{port}", "-sf", str(SCENARIO), "-i", "127.0.0.1", "-mi", "127.0.0.1", "-m", "1"),
        *("-nostdin", "-timeout", "15s", "-timeout_error", "-trace_err", "-error_file", "errors.log"),
        cwd=tmp_path,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    async with asyncio.timeout(15):
        code = await process.wait()
        (binding,) = answerer.contacts
        result = await answering
    assert code == 0, (tmp_path / "errors.log").read_text()
    assert (binding.address, binding.contact.user) == ("sip:platform@127.0.0.1", "platform")
    (call,) = result.calls
    assert (call.agent, call.outcome) == ("sipp", "success")
