"""Ways that change under a call or a registration: other address families, other registrars; dnsmasq names them."""

from __future__ import annotations

import asyncio
import re
import socket
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack

import pytest
import pytest_asyncio

from tuner_sipbridge.agents.echo import echo
from tuner_sipbridge.agents.line import Line
from tuner_sipbridge.answerer import Answerer
from tuner_sipbridge.call.registrar import Registered, Removed, Terms
from tuner_sipbridge.caller.scenario import Scenario
from tuner_sipbridge.dialer.dialer import Dialer
from tuner_sipbridge.dialer.run import CallRun
from tuner_sipbridge.media.engine import MediaStream
from tuner_sipbridge.net.media_engine import PyMediaEngine
from tuner_sipbridge.sip.timers import Timers

from .conftest import dnsmasq

pytestmark = pytest.mark.asyncio(loop_scope="module")

Serve = Callable[..., Awaitable[tuple[str, int]]]
QUICK = Timers(t1=0.05, t2=0.2, t4=0.2)
BEEP = Scenario.model_validate({"name": "beep", "persona": {"voice": "tone"}, "steps": [{"say": "one"}]})


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def engine():
    async with PyMediaEngine() as started:
        yield started


@pytest_asyncio.fixture(loop_scope="module")
async def name_server():
    async with AsyncExitStack() as servers:

        async def serve(*records: str) -> tuple[str, int]:
            return await servers.enter_async_context(dnsmasq(*records))

        yield serve


def silent(host: str, port: int = 0) -> socket.socket:
    """A UDP port that takes everything and says nothing; nobody listens on it for TCP."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    dead = socket.socket(family, socket.SOCK_DGRAM)
    dead.bind((host, port))
    return dead


def invite(run: CallRun) -> str:
    """The last INVITE."""
    return [
        event.fields["message"]
        for event in run.trace.of("sip.sent")
        if event.fields["summary"].startswith("INVITE ")
    ][-1]


def dialer_at(server: tuple[str, int], **options: object) -> Dialer:
    given = {"timers": QUICK, "next_target_after": 0.2, **options}
    return Dialer(name_server="{}:{}".format(*server), **given)  # type: ignore[arg-type]


def two_families(port: int, first: str, second: str) -> list[str]:
    return [
        "host-record=first.example," + first,
        "host-record=second.example," + second,
        f"srv-host=_sip._udp.far.example,first.example,{port},1,1",
        f"srv-host=_sip._udp.far.example,second.example,{port},2,1",
    ]


@pytest.mark.parametrize(("host", "dead", "version"), [("::1", "127.0.0.1", "6"), ("127.0.0.1", "::1", "4")])
async def test_a_call_fails_over_from_one_address_family_to_the_other(
    name_server: Serve, engine: PyMediaEngine, host: str, dead: str, version: str
):
    async with Answerer(echo, host=host, port=0, engine=engine) as answerer:
        port = answerer.local[1]
        server = await name_server(*two_families(port, dead, host))
        with silent(dead, port):
            async with dialer_at(server, engine=engine) as dialer:
                run = await dialer.run("sip:agent@far.example;transport=udp", BEEP)
    assert run.outcome.kind == "success", run.outcome.detail
    assert len(list(run.trace.of("call.target_failed"))) == 1
    shown = f"[{host}]" if ":" in host else host
    assert re.search(rf"^Via: SIP/2.0/UDP {re.escape(shown)}:", invite(run), re.MULTILINE)
    assert re.search(rf"^Contact: <sip:tuner@{re.escape(shown)}:", invite(run), re.MULTILINE)
    assert f"c=IN IP{version} {host}\r\n" in invite(run)
    started = run.trace.first("media.started")
    assert started is not None
    assert started.fields["local"].startswith(host)
    assert run.measures.media.received > 0


class SlowOverIpv6:
    """A media engine that takes until `go` to open a port on IPv6."""

    def __init__(self, engine: PyMediaEngine) -> None:
        self._engine = engine
        self.asked, self.go = asyncio.Event(), asyncio.Event()
        self.opened: list[MediaStream] = []

    async def open(
        self,
        *,
        host: str = "127.0.0.1",
        live: bool = False,
        record: bool = True,
        stun: tuple[str, int] | None = None,
    ) -> MediaStream:
        if host == "::1":
            self.asked.set()
            await self.go.wait()
        self.opened.append(await self._engine.open(host=host, live=live, record=record, stun=stun))
        return self.opened[-1]

    async def aclose(self) -> None:
        await self._engine.aclose()


async def test_a_caller_that_hangs_up_between_two_families_calls_nobody(
    name_server: Serve, engine: PyMediaEngine
):
    calls: list[str] = []

    async def note(line: Line) -> None:
        calls.append(line.called)

    async with Answerer(note, host="::1", port=0, engine=engine) as answerer:
        port = answerer.local[1]
        server = await name_server(*two_families(port, "127.0.0.1", "::1"))
        slow = SlowOverIpv6(engine)
        with silent("127.0.0.1", port):
            async with dialer_at(server, engine=slow) as dialer:
                call = asyncio.create_task(dialer.run("sip:agent@far.example;transport=udp", BEEP))
                await slow.asked.wait()
                call.cancel()
                slow.go.set()
                with pytest.raises(asyncio.CancelledError):
                    await call
    assert calls == []


class Registrar:
    """Our answering side with a registrar; keeps what changed at it."""

    def __init__(self, **options: object) -> None:
        self.changes: list[Registered | Removed] = []
        self.answerer = Answerer(
            echo,
            port=0,
            registrations=Terms(),
            on_registration=self.changes.append,
            **options,  # type: ignore[arg-type]
        )

    @property
    def port(self) -> int:
        return self.answerer.local[1]


def zone(*ports: int, transport: str = "udp") -> list[str]:
    return ["host-record=edge.example,127.0.0.1"] + [
        f"srv-host=_sip._{transport}.far.example,edge.example,{port},{priority},10"
        for priority, port in enumerate(ports, start=1)
    ]


async def test_a_silent_registrar_gives_way_to_the_next(name_server: Serve, engine: PyMediaEngine):
    live = Registrar(engine=engine)
    async with live.answerer:
        with silent("127.0.0.1") as dead:
            server = await name_server(*zone(dead.getsockname()[1], live.port))
            async with dialer_at(server, engine=engine, register="sip:far.example;transport=udp") as dialer:
                async with asyncio.timeout(3):
                    run = await dialer.run(live.answerer.uri, BEEP)
    assert run.outcome.kind == "success", run.outcome.detail
    assert [type(change) for change in live.changes] == [Registered, Removed]


async def test_a_registrar_that_takes_no_connection_gives_way_to_the_next(
    name_server: Serve, engine: PyMediaEngine
):
    live = Registrar(engine=engine)
    async with live.answerer:
        with silent("127.0.0.1") as dead:
            server = await name_server(*zone(dead.getsockname()[1], live.port, transport="tcp"))
            async with dialer_at(
                server, engine=engine, register="sip:far.example;transport=tcp", next_target_after=60.0
            ) as dialer:
                run = await dialer.run(live.answerer.uri, BEEP)
    assert run.outcome.kind == "success", run.outcome.detail
    assert live.changes


async def test_when_every_registrar_is_silent_the_call_is_told_soon(
    name_server: Serve, engine: PyMediaEngine
):
    with silent("127.0.0.1") as one, silent("127.0.0.1") as two:
        server = await name_server(*zone(one.getsockname()[1], two.getsockname()[1]))
        async with dialer_at(
            server, engine=engine, register="sip:far.example;transport=udp", timers=Timers(t1=0.01)
        ) as dialer:
            run = await dialer.run("sip:agent@127.0.0.1:9", BEEP)
    assert run.outcome.detail == "not registered at far.example: the registrar did not answer"
