"""Simulated humans who pick up: our dialer stands for the agent that places the calls."""

from __future__ import annotations

import asyncio
import json
import socket
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from tuner_sipbridge.agents.echo import echo
from tuner_sipbridge.answered_line import AnsweredLine
from tuner_sipbridge.answerer import Answerer
from tuner_sipbridge.answering.results import Results
from tuner_sipbridge.answering.run import answer_by_plan
from tuner_sipbridge.call.allowed import AllowList
from tuner_sipbridge.caller.answering_plan import AnsweringPlan
from tuner_sipbridge.caller.scenario import Scenario
from tuner_sipbridge.cli.answer_plan import plan_for_agent
from tuner_sipbridge.dialer.dialer import Dialer
from tuner_sipbridge.dialer.run import CallRun
from tuner_sipbridge.report.result import CallResult, RunResult
from tuner_sipbridge.trace import Trace

BIN = str(Path(sys.executable).parent)
HUMAN = """name: human
persona: {voice: tone}
steps:
  - say: one
  - listen: {settle_s: 0.2, patience_s: 3}
"""
RULES = """name: outbound
rules:
  - {called: human, agent: sales, scenario: human.yaml}
  - {called: slow, ring_s: 0.3, early_media: {for_s: 0.3}, scenario: human.yaml}
  - {called: mail, voicemail: {greeting: hi, persona: {voice: tone}, silence_s: 0.3}}
  - {called: busy, busy: true}
  - {called: away, no_answer: {give_up_s: 0.2}}
  - {called: never, no_answer: {}}
  - {called: {regex: "6.*"}, reject: {status: 603, reason: Not today, headers: {Retry-After: "7"}}}
  - {called: hosted, host: echo}
"""


def agent_says(*steps: object) -> Scenario:
    return Scenario.model_validate({"name": "agent", "persona": {"voice": "tone"}, "steps": list(steps)})


BRIEF = agent_says({"pause_s": 0.1})
TALK = agent_says({"pause_s": 0.1}, {"say": "two"}, {"pause_s": 0.6})


@dataclass
class Answering:
    """An answering side that runs until so many calls are over."""

    task: asyncio.Task[RunResult]
    answerer: Answerer

    def uri(self, user: str) -> str:
        host, port = self.answerer.local
        return f"sip:{user}@{host}:{port}"

    async def result(self) -> RunResult:
        async with asyncio.timeout(10):
            return await self.task


@asynccontextmanager
async def answering(
    folder: Path, rules: str, *, calls: int, out: Path | None = None, **settings: object
) -> AsyncGenerator[Answering]:
    (folder / "human.yaml").write_text(HUMAN)
    (folder / "answering.yaml").write_text(rules)
    ready: asyncio.Future[Answerer] = asyncio.get_running_loop().create_future()
    task = asyncio.ensure_future(
        answer_by_plan(
            AnsweringPlan.load(folder / "answering.yaml"),
            partial(Answerer, port=0, **settings),
            Results(out=out),
            agents={"echo": echo},
            until=asyncio.get_running_loop().create_future(),
            calls=calls,
            on_ready=ready.set_result,
        )
    )
    try:
        yield Answering(task, await ready)
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_humans_pick_up_at_once_late_and_as_a_voicemail(tmp_path: Path):
    out = tmp_path / "out"
    message = agent_says({"pause_s": 1.0}, {"say": "two three"}, "listen")
    async with answering(tmp_path, RULES, calls=3, out=out) as side, Dialer(at_once=3) as agent:
        _, late, mail = await asyncio.gather(
            agent.run(side.uri("human"), TALK, sip_call_id="at-once", correlation_id="ab12"),
            agent.run(side.uri("slow"), TALK, sip_call_id="late"),
            agent.run(side.uri("mail"), message, sip_call_id="mail"),
        )
        result = await side.result()
    assert result.passed, result
    calls = {call.sip_call_id: call for call in result.calls}
    assert_evidence(calls["at-once"], out)
    assert_early_media(late, calls["late"], out)
    assert calls["mail"].detail == "voicemail: a message was left"
    ended = mail.trace.first("call.ended")
    assert ended is not None
    assert ended.fields["by"] == "agent", "the voicemail hangs up after silence"


def assert_evidence(call: CallResult, out: Path) -> None:
    assert (call.agent, call.scenario, call.correlation_id) == ("sales", "human", "ab12")
    assert call.trace is not None
    assert call.recording is not None
    assert (out / call.recording).stat().st_size > 8000
    kinds = [event.kind for event in Trace.read(out / call.trace).events]
    assert kinds.index("call.received") < kinds.index("call.answered") < kinds.index("call.ended")
    assert {"caller.speech_started", "agent.speech_started", "agent.speech_stopped"} <= set(kinds)
    assert call.measures["signalling"]["setup_time_ms"] is not None


def assert_early_media(run: CallRun, call: CallResult, out: Path) -> None:
    """183 with a ring-back tone that the agent hears, and 200 when both times are over."""
    assert call.trace is not None
    for trace in (run.trace, Trace.read(out / call.trace)):
        assert [event.fields["status"] for event in trace.of("call.ringing")] == [180, 183]
    dialled, answered = run.trace.first("call.dialled"), run.trace.first("call.answered")
    heard = run.trace.first("agent.speech_started")
    assert dialled is not None
    assert answered is not None
    assert heard is not None
    assert heard.at < answered.at
    assert 0.55 < answered.at - dialled.at < 2.5


async def test_who_is_named_in_the_invite_stands_in_the_trace(tmp_path: Path):
    async with answering(tmp_path, RULES, calls=2, out=tmp_path / "out") as side, Dialer() as dialer:
        for user in ("busy", "hosted"):
            await dialer.run(
                side.uri(user),
                BRIEF,
                headers={"P-Asserted-Identity": "<sip:desk@a.example>", "Privacy": "id"},
            )
        calls = (await side.result()).calls
    assert len(calls) == 2
    for call in calls:
        assert call.trace is not None
        [named] = Trace.read(tmp_path / "out" / call.trace).of("call.parties")
        assert named.fields == {"asserted": ["sip:desk@a.example"], "privacy": ["id"]}


async def test_a_human_lets_the_agent_transfer_it(tmp_path: Path):
    out = tmp_path / "out"
    async with (
        Answerer(echo, port=0) as desk,
        answering(tmp_path, f"transfers: follow\n{RULES}", calls=1, out=out) as side,
        Dialer() as agent,
    ):
        async with agent.dial(side.uri("human")) as call:
            assert await call.transfer(desk.uri) == 200
        result = await side.result()
        assert desk.calls_served == 1
    [taken] = result.calls
    assert taken.passed, taken.detail
    assert taken.trace is not None
    trace = Trace.read(out / taken.trace)
    [moved] = trace.of("call.transferred")
    assert moved.fields["target"] == desk.uri
    # The scenario went on with the desk, and the human hung up at its end.
    assert any(event.at > moved.at for event in trace.of("agent.speech_started"))
    assert [event.fields["by"] for event in trace.of("call.ended")] == ["caller"]


async def test_a_human_declines_transfers_where_the_plan_says_nothing(tmp_path: Path):
    async with answering(tmp_path, RULES, calls=1) as side, Dialer() as agent:
        async with agent.dial(side.uri("human")) as call:
            assert await call.transfer("sip:desk@127.0.0.1:9") == 603
        await side.result()


async def test_refusals_are_as_planned_and_pass(tmp_path: Path):
    async with answering(tmp_path, RULES, calls=5) as side, Dialer() as agent:
        busy, away, rejected, never, nobody = await asyncio.gather(
            *(agent.run(side.uri(user), TALK) for user in ("busy", "away", "66")),
            agent.run(side.uri("never"), TALK, ring_timeout=0.4),
            agent.run(side.uri("stranger"), TALK),
        )
        result = await side.result()
    assert status_of(busy) == (486, "Busy Here")
    assert status_of(away) == (480, "Temporarily Unavailable")
    assert status_of(rejected) == (603, "Not today")
    assert "Retry-After: 7" in last_response(rejected)
    assert never.trace.first("call.timed_out") is not None
    assert status_of(nobody)[0] == 404
    outcomes = {call.scenario: (call.outcome, call.detail) for call in result.calls}
    assert {name for name, (kind, _) in outcomes.items() if kind == "success"} == {
        "busy",
        "no-answer",
        "reject",
    }
    assert outcomes["no-rule"][0] == "agent_error"
    assert not result.passed


def status_of(run: CallRun) -> tuple[int, str]:
    rejected = run.trace.first("call.rejected")
    assert rejected is not None, run.outcome
    return rejected.fields["status"], rejected.fields["reason"]


def last_response(run: CallRun) -> str:
    return str([event for event in run.trace.of("sip.received")][-1].fields["message"])


async def test_an_agent_is_hosted_and_calls_beyond_the_last_are_turned_away(tmp_path: Path):
    async with answering(tmp_path, RULES, calls=1) as side, Dialer() as agent:
        async with agent.dial(side.uri("hosted")):
            turned_away = await agent.run(side.uri("human"), TALK)
        await side.result()
    assert status_of(turned_away)[0] == 503


async def test_a_hosted_call_leaves_what_a_dialled_one_leaves(tmp_path: Path):
    out = tmp_path / "out"
    async with answering(tmp_path, RULES, calls=1, out=out) as side, Dialer() as caller:
        dialled = await caller.run(side.uri("hosted"), TALK, sip_call_id="hosted", correlation_id="ab12")
        (call,) = (await side.result()).calls
    assert (call.agent, call.outcome, call.sip_call_id) == ("echo", "success", "hosted")
    assert (call.correlation_id, call.failure, call.linked) == ("ab12", None, None)
    assert call.detail == "the agent served the call; the caller hung up"
    assert call.duration_s > 0.5
    assert call.trace is not None
    assert call.recording is not None
    assert (out / call.recording).stat().st_size > 8000
    assert call.measures["media"]["received"] > 20
    assert call.measures["speech_ms"]["caller"], "the caller's words are on the caller's side"
    trace = Trace.read(out / call.trace)
    kinds = [event.kind for event in trace.events]
    order = ("call.received", "call.ringing", "call.answered", "media.started", "call.ended", "media.report")
    assert [kinds.index(kind) for kind in order] == sorted(kinds.index(kind) for kind in order)
    theirs = [event.fields["summary"] for event in dialled.trace.of("sip.sent")]
    assert [event.fields["summary"] for event in trace.of("sip.received")] == theirs


async def test_an_agent_that_breaks_is_told_as_the_agents_failure():
    async def broken(line: AnsweredLine) -> None:
        raise ValueError("a number 4930123 that nobody may read")

    plan = plan_for_agent("echo", "answer")
    ready: asyncio.Future[Answerer] = asyncio.get_running_loop().create_future()
    run = answer_by_plan(
        plan,
        partial(Answerer, port=0),
        Results(),
        agents={"echo": broken},
        until=asyncio.get_running_loop().create_future(),
        calls=1,
        on_ready=ready.set_result,
    )
    task = asyncio.ensure_future(run)
    async with Dialer() as caller:
        await caller.run((await ready).uri, TALK)
    (call,) = (await task).calls
    assert (call.outcome, call.detail) == ("agent_error", "the agent failed: ValueError")
    assert call.failure is not None
    assert call.failure.stage == "call"


async def test_who_is_not_allowed_gets_403_and_is_counted():
    allowed = AllowList.of(["198.51.100.0/24"])
    async with Answerer(echo, port=0, allow=allowed) as answerer, Dialer() as dialer:
        host, port = answerer.local
        run = await dialer.run(f"sip:a@{host}:{port}", TALK)
        assert status_of(run)[0] == 403
        assert answerer.refused == {"source": 1}


async def test_the_command_answers_so_many_calls_and_says_how_they_went(tmp_path: Path):
    (tmp_path / "human.yaml").write_text(HUMAN)
    (tmp_path / "answering.yaml").write_text(
        "username: trunk\npassword_env: TRUNK_PASSWORD\n" + RULES.replace("name: outbound\n", "")
    )
    out = tmp_path / "out"
    process = await asyncio.create_subprocess_exec(
        *("tuner-sipbridge", "answer", f"--plan={tmp_path / 'answering.yaml'}", "--port=0", "--calls=2"),
        *("--for=20", f"--out={out}", f"--pcap={tmp_path / 'calls.pcap'}", "--json"),
        env={"TRUNK_PASSWORD": "s3cret", "PATH": BIN, "HOME": str(tmp_path)},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    assert process.stderr is not None
    async with asyncio.timeout(20):
        first = (await process.stderr.readline()).decode()
        address = first.rpartition("@")[2].strip()
        async with Dialer(username="trunk", password="s3cret") as agent:
            await asyncio.gather(*(agent.run(f"sip:{user}@{address}", TALK) for user in ("human", "nobody")))
        stdout, _ = await process.communicate()
    assert process.returncode == 1
    calls = {call["scenario"]: call for call in json.loads(stdout)["calls"]}
    assert (calls["human"]["outcome"], calls["no-rule"]["outcome"]) == ("success", "agent_error")
    assert json.loads((out / "result.json").read_text())["passed"] is False
    assert "sales" in (out / "report.html").read_text()
    assert json.loads(stdout)["refused"] == {}
    captured = (tmp_path / "calls.pcap").read_bytes()
    assert captured.count(b"SIP/2.0 404 Not Found") == 1
    assert b"s3cret" not in captured
    assert b"\x00\x00\x00\x00\x00\x00\x00\x00" not in captured[24:], "both ends have an address"


REGISTER = """REGISTER sip:{host}:{port} SIP/2.0\r
Via: SIP/2.0/UDP 127.0.0.1:{own};branch=z9hG4bK1;rport\r
From: <sip:desk@{host}>;tag=1\r
To: <sip:desk@{host}>\r
Call-ID: registration\r
CSeq: 1 REGISTER\r
Contact: <sip:desk@127.0.0.1:{own}>;expires=300\r
Max-Forwards: 70\r
Content-Length: 0\r
\r
"""


async def test_a_contact_that_registers_is_called(tmp_path: Path):
    rules = "registrations: {scenario: human.yaml, agent: desk, after_s: 0}\nrules: [{busy: true}]\n"
    async with Answerer(echo, port=0) as contact, answering(tmp_path, rules, calls=1) as side:
        host, port = side.answerer.local
        register = REGISTER.format(host=host, port=port, own=contact.local[1])
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            sender.sendto(register.encode(), (host, port))
            (call,) = (await side.result()).calls
            answer = sender.recv(4096).decode()
    assert answer.startswith("SIP/2.0 200 OK")
    assert f"<sip:desk@127.0.0.1:{contact.local[1]}>;expires=300" in answer
    assert (call.agent, call.outcome, call.target) == (
        "desk",
        "success",
        f"sip:desk@127.0.0.1:{contact.local[1]}",
    )
    assert contact.calls_served == 1
