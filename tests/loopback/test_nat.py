"""Calls through a NAT that changes addresses and ports: ours from behind it, and those of callers behind it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from functools import partial
from pathlib import Path

import pytest
import pytest_asyncio

from tuner_sipbridge import Dialer, Scenario
from tuner_sipbridge.agents.echo import echo
from tuner_sipbridge.agents.line import Line
from tuner_sipbridge.answered_line import AnsweredLine
from tuner_sipbridge.answerer import Answerer
from tuner_sipbridge.answering.results import Results
from tuner_sipbridge.answering.run import answer_by_plan
from tuner_sipbridge.call.events import Answered, CallEvent, Ended
from tuner_sipbridge.caller.answering_plan import AnsweringPlan
from tuner_sipbridge.dialer.run import CallRun
from tuner_sipbridge.net.media_engine import PyMediaEngine
from tuner_sipbridge.sdp.negotiation import make_offer
from tuner_sipbridge.sdp.session import SessionDescription
from tuner_sipbridge.sip.message import Message, Request, Response, response_to
from tuner_sipbridge.sip.parser import parse_datagram
from tuner_sipbridge.sip.routing import Hop
from tuner_sipbridge.sip.uri import Uri
from tuner_sipbridge.trace import Trace

from ..nat import DOOR, INSIDE, OUTSIDE, SHOWN, Nat, StunServer

pytestmark = pytest.mark.asyncio(loop_scope="module")

TALK = Scenario.model_validate(
    {"name": "talk", "persona": {"voice": "tone"}, "steps": [{"say": "one"}, {"pause_s": 0.6}]}
)


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def engine() -> AsyncGenerator[PyMediaEngine]:
    """The media of all calls of this file."""
    async with PyMediaEngine() as started:
        yield started


@pytest_asyncio.fixture(loop_scope="module")
async def nat() -> AsyncGenerator[Nat]:
    async with Nat() as strict:
        yield strict


@pytest_asyncio.fixture(loop_scope="module")
async def server(nat: Nat) -> AsyncGenerator[StunServer]:
    async with StunServer() as stun:
        nat.door(stun.local[1])
        yield stun


def asking(server: StunServer) -> str:
    return f"stun:{DOOR}:{server.local[1]}"


class FarAgent:
    """Sends back what it hears, strictly to the address of the SDP, and counts it."""

    def __init__(self, nat: Nat, *, leaves: bool = False) -> None:
        self._nat, self._leaves = nat, leaves
        self.heard = 0

    async def __call__(self, line: Line) -> None:
        assert isinstance(line, AnsweredLine)
        self._nat.door(line.stream.local[1])
        if self._leaves:
            await asyncio.sleep(0.2)
            return
        await echo(line)
        self.heard = (await line.stream.close()).statistics.received


def far_end(nat: Nat, agent: FarAgent, engine: PyMediaEngine) -> Answerer:
    return Answerer(agent, host=OUTSIDE, port=0, public_address=DOOR, engine=engine)


def told(run: CallRun, *, sent: bool = True) -> set[tuple[str | None, int]]:
    """Address and port of every description that we sent."""
    bodies = [
        event.fields["message"].partition("\r\n\r\n")[2]
        for event in run.trace.of("sip.sent" if sent else "sip.received")
    ]
    read = [SessionDescription.parse(body.encode()) for body in bodies if body.startswith("v=0")]
    return {(one.address_of(one.media[0]), one.media[0].port) for one in read}


def mapped(run: CallRun) -> str:
    started = run.trace.first("media.started")
    assert started is not None
    return started.fields["mapped"]


async def test_media_comes_through_a_nat_that_changes_ports_when_stun_is_asked(
    nat: Nat, server: StunServer, engine: PyMediaEngine
):
    agent = FarAgent(nat)
    async with far_end(nat, agent, engine) as far:
        nat.door(far.local[1])
        async with Dialer(public_address=asking(server), engine=engine) as dialer:
            run = await dialer.run(far.uri, TALK)
    assert run.outcome.passed, run.outcome.detail
    assert run.trace.first("agent.speech_started") is not None
    assert run.statistics.received > 10
    assert run.statistics.discarded == 0
    assert agent.heard > 10
    assert told(run) == {server.asked[-1]}
    assert mapped(run) == "{}:{}".format(*server.asked[-1])


async def test_a_given_address_does_for_nats_that_keep_ports_alone(nat: Nat, engine: PyMediaEngine):
    agent = FarAgent(nat)
    async with far_end(nat, agent, engine) as far:
        nat.door(far.local[1])
        async with Dialer(public_address=SHOWN, engine=engine) as dialer:
            run = await dialer.run(far.uri, TALK)
    assert run.trace.first("call.answered") is not None
    assert run.statistics.received == 0
    assert agent.heard > 10
    assert mapped(run) == ""


async def test_the_far_end_hangs_up_through_the_nat(nat: Nat, server: StunServer, engine: PyMediaEngine):
    async with far_end(nat, FarAgent(nat, leaves=True), engine) as far:
        nat.door(far.local[1])
        async with Dialer(public_address=asking(server), engine=engine) as dialer:
            run = await dialer.run(
                far.uri, Scenario.model_validate({"name": "listen", "steps": [{"pause_s": 3}]})
            )
    assert [event.fields["by"] for event in run.trace.of("call.ended")] == ["agent"]


async def test_holds_name_what_the_nat_shows(nat: Nat, server: StunServer, engine: PyMediaEngine):
    agent, trace = FarAgent(nat), Trace()
    async with far_end(nat, agent, engine) as far:
        nat.door(far.local[1])
        async with Dialer(public_address=asking(server), engine=engine) as dialer:
            async with dialer.dial(far.uri, trace=trace) as call:
                call.hold()
                await asyncio.sleep(0.1)
                call.resume()
                await asyncio.sleep(0.1)
            messages = [event.fields["message"] for event in trace.of("sip.sent")]
    offers = [message for message in messages if message.startswith("INVITE")]
    assert ["a=sendonly" in offer for offer in offers] == [False, True, False]
    host, port = server.asked[-1]
    assert all(f"c=IN IP4 {host}\r\n" in offer and f"m=audio {port} " in offer for offer in offers)


async def test_a_followed_transfer_goes_on_at_the_mapped_port(
    nat: Nat, server: StunServer, engine: PyMediaEngine
):
    class Operator:
        """Answers and transfers at once."""

        def __init__(self, target: Uri) -> None:
            self._target, self._events = target, asyncio.Queue[CallEvent]()

        async def __call__(self, line: AnsweredLine, answerer: Answerer) -> None:
            leg, machine = line.hand_over(self), line.machine
            media = await answerer.open_media(line)
            leg.act(lambda now: machine.accept(now=now, address=media.address, port=media.port))
            while not isinstance(event := await self._events.get(), Ended):
                if isinstance(event, Answered):
                    leg.act(lambda now: machine.transfer(self._target, now=now))
            await media.stream.close()

        def on_event(self, event: CallEvent, *, now: float) -> None:
            self._events.put_nowait(event)

        def on_message(self, message: Message, peer: Hop, *, sent: bool, now: float) -> None:
            pass

    async with far_end(nat, FarAgent(nat), engine) as desk:
        nat.door(desk.local[1])
        operator = Operator(Uri.parse(desk.uri))
        async with Answerer(
            reception=operator, host=OUTSIDE, port=0, public_address=DOOR, engine=engine
        ) as far:
            nat.door(far.local[1])
            async with Dialer(public_address=asking(server), engine=engine, transfers="follow") as dialer:
                talk = {**TALK.model_dump(), "steps": [{"say": "one"}, {"say": "two"}, {"pause_s": 0.3}]}
                run = await dialer.run(far.uri, Scenario.model_validate(talk))
    assert run.outcome.passed, run.outcome.detail
    [moved] = run.trace.of("call.transferred")
    assert any(event.at > moved.at for event in run.trace.of("agent.speech_started"))
    assert told(run) == {server.asked[-1]}


async def test_an_agent_behind_a_nat_is_called_by_what_the_nat_shows(engine: PyMediaEngine):
    async with Nat(strict=False) as nat, StunServer() as server:
        nat.door(server.local[1])
        async with (
            Answerer(echo, port=0, public_address=asking(server), engine=engine) as answerer,
            Dialer(host=OUTSIDE, public_address=DOOR, engine=engine) as dialer,
        ):
            assert answerer.uri == f"sip:agent@{SHOWN}:{server.asked[0][1]}"
            run = await dialer.run(answerer.uri, TALK)
    assert run.outcome.passed, run.outcome.detail
    assert run.trace.first("agent.speech_started") is not None
    assert told(run, sent=False) == {server.asked[-1]}
    assert len(server.asked) == 2


async def test_a_server_that_says_nothing_of_the_media_port_is_named(
    nat: Nat, server: StunServer, engine: PyMediaEngine
):
    server.refuses_after = 1
    async with Dialer(public_address=asking(server), engine=engine) as dialer:
        run = await dialer.run(f"sip:agent@{DOOR}:9", TALK)
    assert run.outcome.kind == "indeterminate"
    assert f"the STUN server {DOOR}:{server.local[1]} refuses to say the address: 500" in run.outcome.detail


CALL = """\
{method} sip:agent@{door}:{port} SIP/2.0\r
Via: SIP/2.0/UDP 192.168.7.7:5062;rport;branch=z9hG4bK{method}\r
From: <sip:phone@192.168.7.7>;tag=1\r
To: <sip:agent@{door}>{tag}\r
Call-ID: from-behind\r
CSeq: 1 {method}\r
Contact: <sip:phone@192.168.7.7:5062>\r
Max-Forwards: 70\r
{kind}Content-Length: {length}\r
\r
"""


async def test_a_caller_behind_a_nat_is_reached_where_it_came_from(
    nat: Nat, engine: PyMediaEngine, tmp_path: Path
):
    (tmp_path / "human.yaml").write_text("name: human\npersona: {voice: tone}\nsteps: [pause_s: 0.1]\n")
    (tmp_path / "plan.yaml").write_text("rules: [{scenario: human.yaml}]\n")
    ready: asyncio.Future[Answerer] = asyncio.get_running_loop().create_future()
    came = asyncio.Queue[Message]()

    class Phone(asyncio.DatagramProtocol):
        def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
            came.put_nowait(parse_datagram(data))

    answering = asyncio.ensure_future(
        answer_by_plan(
            AnsweringPlan.load(tmp_path / "plan.yaml"),
            partial(Answerer, host=OUTSIDE, port=0, engine=engine),
            Results(out=tmp_path),
            agents={},
            until=asyncio.get_running_loop().create_future(),
            calls=1,
            on_ready=ready.set_result,
        )
    )
    far = await ready
    nat.door(far.local[1])
    phone, _ = await asyncio.get_running_loop().create_datagram_endpoint(Phone, local_addr=(INSIDE, 0))

    def say(method: str, tag: str = "", body: bytes = b"") -> None:
        kind = "Content-Type: application/sdp\r\n" if body else ""
        head = CALL.format(method=method, door=DOOR, port=far.local[1], tag=tag, kind=kind, length=len(body))
        phone.sendto(head.encode() + body, (DOOR, far.local[1]))

    async with asyncio.timeout(5):
        say("INVITE", body=make_offer(INSIDE, 9, 1).to_bytes())
        while not isinstance(message := await came.get(), Response) or message.status != 200:
            pass
        assert (message.via.received, message.via.rport) == nat.shown(phone.get_extra_info("sockname"))
        say("ACK", f";tag={message.to.tag}")
        while not isinstance(message := await came.get(), Request):
            pass
        assert (message.method, str(message.uri)) == ("BYE", "sip:phone@192.168.7.7:5062")
        phone.sendto(response_to(message, 200).to_bytes(), (DOOR, far.local[1]))
        [call] = (await answering).calls
    shown = "{}:{}".format(*nat.shown(phone.get_extra_info("sockname")))
    phone.close()
    assert call.trace is not None
    trace = Trace.read(tmp_path / call.trace)
    [behind] = trace.of("call.behind_nat")
    assert behind.fields == {"contact": "192.168.7.7:5062", "source": shown}
    assert {event.fields["peer"] for event in trace.of("sip.sent")} == {shown}
