"""Calls to domains of which a target is dead: dnsmasq names them, our dialer goes on to the next."""

from __future__ import annotations

import asyncio
import re
import socket
from collections.abc import Awaitable, Callable, Iterator

import pytest

from tuner_sipbridge.agents.line import Line
from tuner_sipbridge.answered_line import AnsweredLine
from tuner_sipbridge.answerer import Answerer
from tuner_sipbridge.call.events import Answered, CallEvent
from tuner_sipbridge.call.load import Load
from tuner_sipbridge.caller.scenario import Scenario
from tuner_sipbridge.dialer.dialer import Dialer
from tuner_sipbridge.dialer.run import CallRun
from tuner_sipbridge.sip.message import Message
from tuner_sipbridge.sip.routing import Hop
from tuner_sipbridge.sip.targets import Trunk
from tuner_sipbridge.sip.timers import Timers
from tuner_sipbridge.sip.uri import Uri

Serve = Callable[..., Awaitable[tuple[str, int]]]
QUICK = Timers(t1=0.05, t2=0.2, t4=0.2)
PAUSE = Scenario.model_validate({"name": "pause", "persona": {"voice": "tone"}, "steps": [{"pause_s": 0.1}]})


@pytest.fixture
def dead_port() -> Iterator[int]:
    """A UDP port that takes everything and says nothing; nobody listens on it for TCP."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind(("127.0.0.1", 0))
        yield silent.getsockname()[1]


async def wait(line: Line) -> None:
    await line.ended()


def zone(*ports: int, transport: str = "udp") -> list[str]:
    """SRV records with the first port at the best priority."""
    return ["host-record=edge.example,127.0.0.1"] + [
        f"srv-host=_sip._{transport}.far.example,edge.example,{port},{priority},10"
        for priority, port in enumerate(ports, start=1)
    ]


def dialer_at(server: tuple[str, int], **options: object) -> Dialer:
    given = {"timers": QUICK, "next_target_after": 0.3, **options}
    return Dialer(name_server="{}:{}".format(*server), **given)  # type: ignore[arg-type]


def failures(run: CallRun) -> list[tuple[str, str]]:
    return [(event.fields["target"], event.fields["next"]) for event in run.trace.of("call.target_failed")]


def invites(run: CallRun) -> list[tuple[str, str]]:
    """Where each INVITE went, and its branch; a repeat is the same again."""
    found = {
        (event.fields["peer"], re.findall(r"branch=([^;\r]+)", event.fields["message"])[0]): None
        for event in run.trace.of("sip.sent")
        if event.fields["summary"].startswith("INVITE ")
    }
    return list(found)


async def test_a_silent_target_is_passed_by_and_remembered(name_server: Serve, dead_port: int):
    async with Answerer(wait, port=0) as answerer:
        live = answerer.local[1]
        server = await name_server(*zone(dead_port, live))
        async with dialer_at(server) as dialer:
            run = await dialer.run("sip:agent@far.example;transport=udp", PAUSE)
            second = await dialer.run("sip:agent@far.example;transport=udp", PAUSE)
    assert run.outcome.kind == "success", run.outcome.detail
    dead, alive = f"udp 127.0.0.1:{dead_port}", f"udp 127.0.0.1:{live}"
    assert failures(run) == [(dead, alive)]
    (first_peer, first_branch), (second_peer, second_branch) = invites(run)
    assert (first_peer, second_peer) == (f"127.0.0.1:{dead_port}", f"127.0.0.1:{live}")
    assert first_branch != second_branch
    (why,) = [event.fields["why"] for event in run.trace.of("call.target_failed")]
    assert why == "no response came in 0.3 s"
    assert second.outcome.kind == "success"
    assert failures(second) == []


class Operator:
    """A reception that answers, and transfers the caller at once."""

    def __init__(self, target: str) -> None:
        self._target = Uri.parse(target)
        self._answered = asyncio.Event()

    async def __call__(self, line: AnsweredLine, answerer: Answerer) -> None:
        leg, machine = line.hand_over(self), line.machine
        media = await answerer.open_media(line)
        port = media.stream.local[1]
        leg.act(lambda now: machine.accept(now=now, address=media.address, port=port))
        await self._answered.wait()
        leg.act(lambda now: machine.transfer(self._target, now=now))
        await line.ended()
        await media.stream.close()

    def on_event(self, event: CallEvent, *, now: float) -> None:
        if isinstance(event, Answered):
            self._answered.set()

    def on_message(self, message: Message, peer: Hop, *, sent: bool, now: float) -> None:
        pass


async def test_a_transfer_passes_a_silent_target_by(name_server: Serve, dead_port: int):
    operator = Operator("sip:desk@far.example;transport=udp")
    long = Scenario.model_validate(
        {"name": "long", "persona": {"voice": "tone"}, "steps": [{"pause_s": 1.2}]}
    )
    async with Answerer(wait, port=0) as desk, Answerer(reception=operator, port=0) as agent:
        server = await name_server(*zone(dead_port, desk.local[1]))
        async with dialer_at(server, transfers="follow") as dialer:
            run = await dialer.run(agent.uri, long)
        assert desk.calls_served == 1
    assert run.outcome.kind == "success", run.outcome.detail
    assert failures(run) == [(f"udp 127.0.0.1:{dead_port}", f"udp 127.0.0.1:{desk.local[1]}")]
    assert run.trace.first("call.transferred") is not None


async def test_a_refused_connection_goes_on_at_once(name_server: Serve, dead_port: int):
    async with Answerer(wait, port=0) as answerer:
        server = await name_server(*zone(dead_port, answerer.local[1], transport="tcp"))
        async with dialer_at(server, next_target_after=60.0) as dialer:
            run = await dialer.run("sip:agent@far.example;transport=tcp", PAUSE)
    assert run.outcome.kind == "success", run.outcome.detail
    assert failures(run) == [(f"tcp 127.0.0.1:{dead_port}", f"tcp 127.0.0.1:{answerer.local[1]}")]


async def test_naptr_leads_from_a_dead_transport_to_one_that_lives(name_server: Serve, dead_port: int):
    async with Answerer(wait, port=0) as answerer:
        server = await name_server(
            "naptr-record=far.example,10,10,s,SIP+D2T,,_sip._tcp.far.example",
            "naptr-record=far.example,20,10,s,SIP+D2U,,_sip._udp.far.example",
            *zone(dead_port, transport="tcp"),
            *zone(answerer.local[1]),
        )
        async with dialer_at(server) as dialer:
            run = await dialer.run("sip:agent@far.example", PAUSE)
    assert run.outcome.kind == "success", run.outcome.detail
    assert failures(run) == [(f"tcp 127.0.0.1:{dead_port}", f"udp 127.0.0.1:{answerer.local[1]}")]
    sent = [event.fields["message"] for event in run.trace.of("sip.sent")]
    assert [re.findall(r"SIP/2.0/(\w+) ", message)[0] for message in sent][-1] == "UDP"


async def test_a_503_goes_on_and_its_server_is_left_alone(name_server: Serve):
    full = Load(calls=0, retry_after_s=60)
    async with Answerer(wait, port=0, load=full) as busy, Answerer(wait, port=0) as answerer:
        server = await name_server(*zone(busy.local[1], answerer.local[1]))
        async with dialer_at(server, next_target_after=60.0) as dialer:
            runs = [await dialer.run("sip:agent@far.example;transport=udp", PAUSE) for _ in range(2)]
        assert busy.refused == {"calls": 1}
    assert [run.outcome.kind for run in runs] == ["success", "success"]
    assert [len(failures(run)) for run in runs] == [1, 0]
    assert len({run.sip_call_id for run in runs}) == 2


async def test_when_all_targets_fail_each_is_named(name_server: Serve, dead_port: int):
    full = Load(calls=0)
    async with Answerer(wait, port=0, load=full) as busy:
        server = await name_server(*zone(dead_port, busy.local[1]))
        async with dialer_at(server) as dialer:
            run = await dialer.run("sip:agent@far.example;transport=udp", PAUSE)
    assert run.outcome.kind == "upstream_error"
    assert "503" in run.outcome.detail
    assert f"udp 127.0.0.1:{dead_port}: no response came in 0.3 s" in run.outcome.detail
    assert failures(run)[-1][1] == ""


async def test_a_trunk_that_is_dead_gives_way_to_the_next(name_server: Serve, dead_port: int):
    seen: list[tuple[str, str]] = []

    async def note(line: Line) -> None:
        seen.append((line.called, line.headers["route"]))

    async with Answerer(note, port=0) as answerer:
        server = await name_server("host-record=a.example,127.0.0.1", "host-record=b.example,127.0.0.1")
        trunks = [
            Trunk.parse(f"sip:b.example:{answerer.local[1]},20"),
            Trunk.parse(f"sip:a.example:{dead_port},10"),
        ]
        async with dialer_at(server, trunks=trunks) as dialer:
            run = await dialer.run("tel:+15550100", PAUSE)
    assert failures(run) == [
        (
            f"udp 127.0.0.1:{dead_port} (trunk a.example)",
            f"udp 127.0.0.1:{answerer.local[1]} (trunk b.example)",
        )
    ]
    assert seen == [("+15550100", f"<sip:b.example:{answerer.local[1]};lr>")]


async def test_a_name_that_leads_nowhere_is_told_before_anything_is_sent(name_server: Serve):
    async with dialer_at(await name_server()) as dialer:
        run = await dialer.run("sip:agent@nowhere.example", PAUSE)
    assert run.outcome.kind == "client_error"
    assert "cannot resolve nowhere.example: no such name" in run.outcome.detail
