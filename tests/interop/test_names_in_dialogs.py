"""Requests of a call whose Contact is a name: dnsmasq names the targets, and the first of them may be dead."""

from __future__ import annotations

import asyncio
import re
import socket
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager

import pytest
import pytest_asyncio

from tuner_sipbridge.caller.scenario import Scenario
from tuner_sipbridge.dialer.dialer import Dialer
from tuner_sipbridge.net.media_engine import PyMediaEngine
from tuner_sipbridge.sdp.negotiation import make_offer
from tuner_sipbridge.sip.message import Request, Response, response_to
from tuner_sipbridge.sip.parser import parse_datagram

from .conftest import dnsmasq

pytestmark = pytest.mark.asyncio(loop_scope="module")

Serve = Callable[..., Awaitable[tuple[str, int]]]
PAUSE = Scenario.model_validate({"name": "pause", "persona": {"voice": "tone"}, "steps": [{"pause_s": 0.1}]})


class Agent(asyncio.DatagramProtocol):
    """Picks up at once and shows a Contact that the test wants; keeps what comes."""

    def __init__(self, contact: str, *, bye: int = 200) -> None:
        self._contact, self._bye = contact, bye
        self.requests: list[Request] = []
        self.port = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        self.port = transport.get_extra_info("sockname")[1]

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        message = parse_datagram(data)
        assert isinstance(message, Request)
        self.requests.append(message)
        if message.method != "ACK":
            self._transport.sendto(self._answer(message).to_bytes(), addr)  # type: ignore[attr-defined]

    def _answer(self, request: Request) -> Response:
        if request.method != "INVITE":
            return response_to(request, self._bye)
        body = make_offer("127.0.0.1", 9, 1, ("PCMU",)).to_bytes()
        headers = [("Contact", f"<{self._contact}>"), ("Content-Type", "application/sdp")]
        return response_to(request, 200, to_tag="agent", headers=headers, body=body)

    def methods(self) -> list[str]:
        return list(dict.fromkeys(request.method for request in self.requests))


@asynccontextmanager
async def agent(contact: str = "sip:agent@far.example", **options: int) -> AsyncGenerator[Agent]:
    loop = asyncio.get_running_loop()
    transport, answering = await loop.create_datagram_endpoint(
        lambda: Agent(contact, **options), local_addr=("127.0.0.1", 0)
    )
    try:
        yield answering
    finally:
        transport.close()


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


@pytest.fixture
def dead_port():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind(("127.0.0.1", 0))
        yield silent.getsockname()[1]


def zone(*ports: int) -> list[str]:
    return ["host-record=edge.example,127.0.0.1"] + [
        f"srv-host=_sip._udp.far.example,edge.example,{port},{priority},10"
        for priority, port in enumerate(ports, start=1)
    ]


async def test_ack_and_bye_go_by_srv_and_bye_passes_a_silent_target(
    name_server: Serve, engine: PyMediaEngine, dead_port: int
):
    async with agent() as first, agent() as second:
        server = await name_server(*zone(dead_port, second.port))
        async with Dialer(
            engine=engine, name_server="{}:{}".format(*server), next_target_after=0.3
        ) as dialer:
            run = await dialer.run(f"sip:agent@127.0.0.1:{first.port}", PAUSE)
            again = await dialer.run(f"sip:agent@127.0.0.1:{first.port}", PAUSE)
    assert run.outcome.kind == again.outcome.kind == "success", run.outcome.detail
    assert first.methods() == ["INVITE"]
    # The first ACK had no answer to miss; by the second call the dead target is known, to ACKs too.
    assert second.methods() == ["BYE", "ACK"]
    branches = [
        re.findall(r"z9hG4bK\w+(\.1)?", str(one.via)) for one in second.requests if one.method == "BYE"
    ]
    assert branches == [[".1"], [""]]
    assert {call.call_id for call in second.requests} == {run.sip_call_id, again.sip_call_id}


async def test_a_dialer_that_is_left_at_once_still_lets_a_bye_pass_a_silent_target(
    name_server: Serve, engine: PyMediaEngine, dead_port: int
):
    """The next target has its turn after the time that closing a call takes."""
    async with agent() as first, agent() as second:
        server = await name_server(*zone(dead_port, second.port))
        async with Dialer(
            engine=engine, name_server="{}:{}".format(*server), next_target_after=2.2
        ) as dialer:
            run = await dialer.run(f"sip:agent@127.0.0.1:{first.port}", PAUSE)
            assert second.methods() == []
    assert second.methods() == ["BYE"]
    assert run.trace.first("call.bye_unanswered") is None


async def test_a_bye_that_a_target_answers_503_goes_to_the_next(name_server: Serve, engine: PyMediaEngine):
    async with agent() as first, agent(bye=503) as busy, agent() as third:
        server = await name_server(*zone(busy.port, third.port))
        async with Dialer(engine=engine, name_server="{}:{}".format(*server)) as dialer:
            run = await dialer.run(f"sip:agent@127.0.0.1:{first.port}", PAUSE)
    assert run.outcome.kind == "success", run.outcome.detail
    assert (busy.methods(), third.methods()) == (["ACK", "BYE"], ["BYE"])
