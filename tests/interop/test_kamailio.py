"""Our two ends with Kamailio between them: a proxy that challenges, records its route and changes the transport."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator
from typing import Literal

import pytest
import pytest_asyncio

from tuner_sipbridge.agents.line import Line
from tuner_sipbridge.answerer import Answerer, Pick
from tuner_sipbridge.caller.scenario import Scenario
from tuner_sipbridge.dialer.dialer import Dialer
from tuner_sipbridge.dialer.run import CallRun
from tuner_sipbridge.net.media_engine import PyMediaEngine
from tuner_sipbridge.net.tls import TlsSettings

from ..certificates import Authority
from .peers.flow import expect, flow
from .peers.flow import reply as answer
from .peers.kamailio import Kamailio
from .peers.ports import Transport
from .peers.sipp import Sipp

pytestmark = pytest.mark.asyncio(loop_scope="module")

BEEP = Scenario.model_validate({"name": "beep", "persona": {"voice": "tone"}, "steps": [{"say": "one"}]})
HEARD = Scenario.model_validate(
    {
        "name": "heard",
        "persona": {"voice": "tone"},
        "steps": [{"say": "one"}, {"listen": {"patience_s": 5.0}}, {"say": "two"}],
    }
)


class Edge:
    """Our two ends on one media engine, and the proxy that the answering one is registered at."""

    def __init__(self, proxy: Kamailio, authority: Authority, sipp: Sipp, engine: PyMediaEngine) -> None:
        self.proxy, self._authority, self._sipp, self._engine = proxy, authority, sipp, engine

    @contextlib.asynccontextmanager
    async def agent(
        self, user: str, transport: Transport = "udp", pick: Pick = "answer"
    ) -> AsyncGenerator[Answerer]:
        issued = self._authority.issue("127.0.0.1")
        tls = TlsSettings(certificate=issued.certificate, key=issued.key)
        async with Answerer(
            obey, port=0, transport=transport, pick=pick, tls=tls, engine=self._engine
        ) as answerer:
            await self.proxy.register(self._sipp, user, answerer.uri)
            yield answerer

    def dialer(
        self,
        *,
        password: str | None = None,
        public_address: str | None = None,
        register: bool = False,
        transport: Transport = "udp",
    ) -> Dialer:
        return Dialer(
            username=self.proxy.username,
            password=password or self.proxy.password,
            tls=TlsSettings(ca_file=self._authority.file),
            engine=self._engine,
            public_address=public_address,
            register=register,
            transport=transport,
        )


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def engine() -> AsyncGenerator[PyMediaEngine]:
    """The media of all calls of this file."""
    async with PyMediaEngine() as started:
        yield started


@pytest.fixture
def edge(kamailio: Kamailio, authority: Authority, sipp: Sipp, engine: PyMediaEngine) -> Edge:
    return Edge(kamailio, authority, sipp, engine)


async def obey(line: Line) -> None:
    """An agent that hangs up when the INVITE says so."""
    if line.headers.get("x-ends") == "agent":
        await asyncio.sleep(0.2)
    else:
        await line.ended()


def sent(run: CallRun, method: str) -> list[str]:
    return [
        event.fields["message"]
        for event in run.trace.of("sip.sent")
        if event.fields["summary"].startswith(method)
    ]


def received(run: CallRun) -> list[str]:
    return [event.fields["summary"].removeprefix("SIP/2.0 ") for event in run.trace.of("sip.received")]


@pytest.mark.parametrize(
    ("caller", "agent"),
    [("udp", "udp"), ("udp", "tcp"), ("tcp", "udp"), ("tls", "tcp"), ("tcp", "tls"), ("tls", "tls")],
)
async def test_either_side_ends_a_call_through_a_proxy(edge: Edge, caller: Transport, agent: Transport):
    """The proxy asks for credentials at INVITE and BYE, and shows two addresses where the transport changes."""
    async with edge.agent("agent", agent) as answerer, edge.dialer() as dialer:
        uri = edge.proxy.uri("agent", caller)
        ours, theirs = await asyncio.gather(
            dialer.run(uri, BEEP), dialer.run(uri, HEARD, headers={"X-Ends": "agent"})
        )
        assert answerer.calls_served == 2
    assert (ours.outcome.kind, theirs.outcome.kind) == ("success", "agent_error"), ours.outcome.detail
    assert {event.fields["transport"] for event in ours.trace.of("sip.sent", "sip.received")} == {caller}
    first, second = sent(ours, "INVITE ")
    assert "Proxy-Authorization:" not in first
    for request in (second, sent(ours, "BYE ")[-1]):
        assert "\r\nProxy-Authorization: Digest " in request
    target = f"sip:agent@127.0.0.1:{answerer.local[1]}"
    hops = 1 if caller == agent else 2
    for request in sent(ours, "BYE ") + sent(ours, "ACK ")[-1:]:
        assert request.partition(" ")[2].startswith(target)
        assert request.count(";lr") == hops
    port = edge.proxy.tls_port if caller == "tls" else edge.proxy.port
    assert {event.fields["peer"] for event in ours.trace.of("sip.sent")} == {f"127.0.0.1:{port}"}
    ended = theirs.trace.first("call.ended")
    assert ended is not None
    assert ended.fields["by"] == "agent"
    assert sent(theirs, "SIP/2.0 200")


@pytest.mark.parametrize("transport", ["udp", "tcp"])
async def test_a_dialer_registers_calls_and_is_gone_afterwards(edge: Edge, transport: Transport):
    """Its Contact is found by the proxy while it is open, where it takes no calls, and not after that."""
    user = edge.proxy.uri(edge.proxy.username, transport)
    async with edge.agent("agent", "tcp"), edge.dialer() as other:
        async with edge.dialer(register=True, transport=transport) as dialer:
            run = await dialer.run(edge.proxy.uri("agent", transport), BEEP)
            back = await other.run(user, BEEP)
        gone = await other.run(user, BEEP)
    assert run.outcome.kind == "success", run.outcome.detail
    assert f"From: <sip:{edge.proxy.username}@127.0.0.1>;" in sent(run, "INVITE ")[0]
    assert run.trace.first("call.registered") is not None
    assert (back.outcome.kind, back.outcome.status) == ("agent_error", 480)
    assert (gone.outcome.kind, gone.outcome.status) == ("client_error", 404)


async def test_a_user_who_is_not_registered(edge: Edge):
    async with edge.dialer() as dialer:
        run = await dialer.run(edge.proxy.uri("nobody"), BEEP)
    assert run.outcome.kind == "client_error"
    assert "404" in run.outcome.detail
    assert received(run)[-1] == "404 Not Found"
    assert len(sent(run, "ACK ")) == 2


async def test_a_wrong_password_is_told(edge: Edge):
    async with edge.dialer(password="guess") as dialer:
        run = await dialer.run(edge.proxy.uri("agent"), BEEP)
    assert run.outcome.kind == "client_error"
    assert len(sent(run, "INVITE ")) == 2


@pytest.mark.parametrize(("caller", "agent"), [("udp", "udp"), ("tls", "tcp")])
async def test_an_unanswered_call_is_cancelled_at_the_far_end(
    edge: Edge, caller: Transport, agent: Transport
):
    async with edge.agent("late", agent, pick="ring"), edge.dialer() as dialer:
        run = await dialer.run(edge.proxy.uri("late", caller), BEEP, ring_timeout=0.4)
        async with asyncio.timeout(5):
            while "487 Request Terminated" not in received(run):  # noqa: ASYNC110 - the run was over before
                await asyncio.sleep(0.01)
    assert "180 Ringing" in received(run)
    assert run.outcome.kind == "agent_error"
    assert len(sent(run, "CANCEL ")) == 1


async def test_a_busy_agent_is_told_through_the_proxy(edge: Edge):
    async with edge.agent("busy", "tcp", pick="busy"), edge.dialer() as dialer:
        run = await dialer.run(edge.proxy.uri("busy"), BEEP)
    assert run.outcome.kind == "agent_error"
    assert "486" in run.outcome.detail


async def test_a_caller_whose_own_address_is_wrong_is_reached_where_it_sends_from(edge: Edge):
    """As behind a NAT: Via and Contact name an address where nobody is (RFC 3581)."""
    async with edge.agent("agent"), edge.dialer(public_address="127.0.0.9:5999") as dialer:
        run = await dialer.run(edge.proxy.uri("agent"), HEARD, headers={"X-Ends": "agent"})
    assert "Via: SIP/2.0/UDP 127.0.0.9:5999;" in sent(run, "INVITE ")[0]
    answers = [event.fields["message"] for event in run.trace.of("sip.received")]
    assert ";received=127.0.0.1" in answers[0]
    assert ";rport=" in answers[0]
    assert received(run)[-1].startswith("BYE sip:tuner@127.0.0.9:5999")
    assert sent(run, "SIP/2.0 200")


async def test_sipp_calls_our_answering_side_through_the_proxy(edge: Edge, sipp: Sipp):
    async with edge.agent("agent", "tls") as answerer:
        await sipp.play(
            "caller_of_proxy",
            f"127.0.0.1:{edge.proxy.port}",
            *("-s", "agent", "-au", edge.proxy.username, "-ap", edge.proxy.password),
        )
        assert answerer.calls_served == 1


async def test_sipp_behind_the_proxy_hangs_up(edge: Edge, sipp: Sipp):
    async with sipp.playing("agent_bye") as (contact, process), edge.dialer() as dialer:
        await edge.proxy.register(sipp, "sipp", contact)
        run = await dialer.run(edge.proxy.uri("sipp", "tls"), HEARD)
        async with asyncio.timeout(10):
            assert await process.wait() == 0
    assert run.outcome.kind == "agent_error"
    ended = run.trace.first("call.ended")
    assert ended is not None
    assert ended.fields["by"] == "agent"


@pytest.mark.parametrize("transport", ["udp", "tcp"])
async def test_the_proxy_forks_to_two_agents_and_cancels_who_is_late(
    edge: Edge, sipp: Sipp, transport: Literal["udp", "tcp"]
):
    user = f"forked-{transport}"
    late = flow(
        "late",
        expect("INVITE"),
        answer("180 Ringing", tag="late", proxied=True),
        expect("CANCEL"),
        answer("200 OK", to="cancel", tag="late", proxied=True),
        answer("487 Request Terminated", tag="late", proxied=True),
        expect("ACK"),
    )
    async with (
        sipp.playing(late, transport) as (contact, process),
        edge.agent(user, transport) as answerer,
        edge.dialer() as dialer,
    ):
        await edge.proxy.register(sipp, user, contact)
        run = await dialer.run(edge.proxy.uri(user, transport), BEEP)
        async with asyncio.timeout(10):
            assert await process.wait() == 0
        assert answerer.calls_served == 1
    assert run.outcome.kind == "success", run.outcome.detail
