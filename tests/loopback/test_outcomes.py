"""What each kind of failure is called, and what is told of it: real calls against far ends that fail on purpose."""

from __future__ import annotations

import asyncio
import json
import socket
import struct
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
from tests.certificates import Authority

from tuner_sipbridge.agents.line import Line
from tuner_sipbridge.answerer import Answerer
from tuner_sipbridge.caller.scenario import Scenario
from tuner_sipbridge.dialer.dialer import Dialer
from tuner_sipbridge.dialer.run import CallRun
from tuner_sipbridge.media.engine import MediaEngine
from tuner_sipbridge.net.media_engine import PyMediaEngine
from tuner_sipbridge.net.tls import TlsSettings
from tuner_sipbridge.report.failure import failure_of_outcome
from tuner_sipbridge.sip.message import Message, Request, Response, response_to
from tuner_sipbridge.sip.parser import parse_datagram
from tuner_sipbridge.sip.timers import Timers

SDP = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio {port} RTP/AVP 0\r\n"
DIGEST = 'Digest realm="r", nonce="n", algorithm={}'
FAST = Timers(t1=0.01, t2=0.04, t4=0.05)


def scenario(*steps: Any, patience_s: float = 0.4) -> Scenario:
    given = {"name": "s", "persona": {"voice": "tone"}, "patience_s": patience_s, "steps": list(steps)}
    return Scenario.model_validate(given)


LISTEN = scenario("listen", {"say": "one"})


@dataclass
class Edge(asyncio.DatagramProtocol):
    """A far end on UDP that answers as the user part of the called URI says."""

    refusals: dict[str, tuple[int, tuple[tuple[str, str], ...]]] = field(default_factory=dict)
    transport: Any = None
    dead_port: int = 9
    to_changes: int = 481
    asked: dict[str, Request] = field(default_factory=dict)

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        message = parse_datagram(data)
        if not isinstance(message, Request) or message.method == "ACK":
            return
        for answer in self.answers(message):
            self.transport.sendto(answer.to_bytes(), addr)

    def answers(self, request: Request) -> list[Message]:
        user = request.uri.user or ""
        if request.method == "CANCEL":
            return [
                response_to(request, 200, to_tag="far"),
                response_to(self.asked[request.call_id], 487, to_tag="far"),
            ]
        if request.method != "INVITE":
            return [response_to(request, 200)]
        if request.to.tag is not None:
            return [response_to(request, self.to_changes, headers=[("Server", "edge/1")])]
        self.asked[request.call_id] = request
        match user:
            case "silent":
                return []
            case "ringing":
                return [response_to(request, 180, to_tag="far", headers=[self.contact])]
            case _ if user in self.refusals:
                status, headers = self.refusals[user]
                return [response_to(request, status, to_tag="far", headers=headers)]
            case _:
                return [self.accepted(request), *self.bye(request, user)]

    @property
    def contact(self) -> tuple[str, str]:
        host, port = self.transport.get_extra_info("sockname")
        return "Contact", f"<sip:edge@{host}:{port}>"

    def accepted(self, invite: Request) -> Response:
        body = SDP.format(port=self.dead_port).encode()
        return response_to(
            invite, 200, to_tag="far", headers=[self.contact], body=body, content_type="application/sdp"
        )

    def bye(self, invite: Request, user: str) -> list[Message]:
        """BYE right behind the 200, with the Reason that the called URI names."""
        if not user.startswith("bye"):
            return []
        host, port = self.transport.get_extra_info("sockname")
        assert invite.contact is not None
        lines = (
            f"BYE {invite.contact.uri} SIP/2.0",
            f"Via: SIP/2.0/UDP {host}:{port};branch=z9hG4bK{invite.call_id}",
            f"From: {invite.to};tag=far",
            f"To: {invite.from_}",
            f"Call-ID: {invite.call_id}",
            "CSeq: 1 BYE",
            "Max-Forwards: 70",
            "User-Agent: edge/1",
            *([f"Reason: Q.850;cause={user.removeprefix('bye')}"] if user != "bye" else []),
            "Content-Length: 0",
        )
        request = parse_datagram(("\r\n".join(lines) + "\r\n\r\n").encode())
        return [request]


@pytest.fixture
async def engine() -> AsyncGenerator[MediaEngine]:
    async with PyMediaEngine(streams=40) as engine:
        yield engine


@asynccontextmanager
async def edge_of(edge: Edge) -> AsyncGenerator[Callable[[str], str]]:
    """The edge at a port of its own; gives the URI of a user there."""
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(lambda: edge, local_addr=("127.0.0.1", 0))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as deaf:
        # Bound and never read: packets that the caller sends there are no error, and none come back.
        deaf.bind(("127.0.0.1", 0))
        edge.dead_port = deaf.getsockname()[1]
        try:
            yield lambda user: f"sip:{user}@127.0.0.1:{transport.get_extra_info('sockname')[1]}"
        finally:
            transport.close()


def told(run: CallRun) -> tuple[str, int | None, str | None]:
    """Class, status and stage, as `result.json` has them."""
    failure = failure_of_outcome(run.outcome)
    return run.outcome.kind, failure and failure.status, failure and failure.stage


REFUSALS: dict[str, tuple[int, tuple[tuple[str, str], ...], str]] = {
    "moved": (302, (), "upstream_error"),
    "forbidden": (403, (), "client_error"),
    "unknown": (404, (), "client_error"),
    "waited": (408, (), "upstream_error"),
    "away": (480, (), "agent_error"),
    "away-for-the-network": (480, (("Reason", "Q.850;cause=27"),), "upstream_error"),
    "loop": (482, (), "upstream_error"),
    "busy": (486, (("Reason", "Q.850;cause=17"),), "agent_error"),
    "given-up": (487, (), "upstream_error"),
    "codecs": (488, (("Warning", '304 edge.example "no codec"'),), "client_error"),
    "failed": (500, (), "upstream_error"),
    "down": (
        503,
        (("Retry-After", "30"), ("Warning", '399 edge.example "no channel"'), ("Server", "edge/1")),
        "upstream_error",
    ),
    "busy-behind-a-gateway": (503, (("Reason", 'Q.850;cause=17;text="User busy"'),), "agent_error"),
    "declined": (603, (), "agent_error"),
    "nowhere": (604, (), "client_error"),
    "unwanted": (607, (), "agent_error"),
    "filtered": (608, (), "upstream_error"),
    "asks": (401, (("WWW-Authenticate", DIGEST.format("MD5")),), "client_error"),
    "asks-oddly": (407, (("Proxy-Authenticate", DIGEST.format("X-9")),), "client_error"),
    "asks-for-a-token": (401, (("WWW-Authenticate", 'Bearer realm="r"'),), "upstream_error"),
}


async def test_every_refusal_has_its_class_and_its_hop(engine: MediaEngine):
    edge = Edge({user: (status, headers) for user, (status, headers, _) in REFUSALS.items()})
    async with edge_of(edge) as uri, Dialer(engine=engine) as dialer:
        runs = await asyncio.gather(*(dialer.run(uri(user), LISTEN) for user in REFUSALS))
        hop = uri("x").partition("@")[2] + " over UDP"
        async with Dialer(engine=engine, username="probe", password="wrong") as known:
            wrong = await known.run(uri("asks"), LISTEN)
            oddly = await known.run(uri("asks-oddly"), LISTEN)
    found = {user: told(run) for user, run in zip(REFUSALS, runs, strict=True)}
    assert found == {user: (kind, status, "set-up") for user, (status, _, kind) in REFUSALS.items()}
    assert {run.outcome.hop for run in runs} == {hop}
    unanswered = next(run for user, run in zip(REFUSALS, runs, strict=True) if user == "asks")
    assert told(wrong) == told(unanswered)
    assert told(oddly) == ("upstream_error", 407, "set-up"), "nobody can mend that by other credentials"
    assert "does not accept" in wrong.outcome.detail
    assert "does not accept" not in unanswered.outcome.detail
    (down,) = (run for run in runs if run.outcome.status == 503 and run.outcome.failure.said_by)
    assert failure_json(down) == {
        "stage": "set-up",
        "cause": down.outcome.detail,
        "status": 503,
        "phrase": "Service Unavailable",
        "q850": None,
        "reasons": [],
        "warnings": [{"code": 399, "agent": "edge.example", "text": "no channel"}],
        "retry_after_s": 30,
        "hop": hop,
        "server": "edge/1",
    }


def failure_json(run: CallRun) -> dict[str, Any]:
    failure = failure_of_outcome(run.outcome)
    assert failure is not None
    return json.loads(failure.model_dump_json())


async def test_nobody_answers(engine: MediaEngine):
    async with edge_of(Edge()) as uri:
        async with Dialer(engine=engine, timers=FAST) as hasty:
            silent = await hasty.run(uri("silent"), LISTEN)
        async with Dialer(engine=engine) as dialer:
            ringing = await dialer.run(uri("ringing"), LISTEN, ring_timeout=0.3)
    assert told(silent) == ("upstream_error", None, "set-up")
    assert "no response came in 0.64 s" in silent.outcome.detail
    assert silent.outcome.hop == uri("x").partition("@")[2] + " over UDP"
    assert told(ringing) == ("agent_error", None, "set-up")
    assert "nobody answered in 0.3 s" in ringing.outcome.detail


async def test_the_way_there_is_wrong(engine: MediaEngine, tmp_path: Any):
    issued = Authority(tmp_path).issue("other.example")
    served = TlsSettings(certificate=issued.certificate, key=issued.key)
    authority = tmp_path / "Test CA.pem"
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
    async with (
        Answerer(never, port=0, transport="tls", tls=served, engine=engine) as secure,
        Dialer(engine=engine, tls=TlsSettings(ca_file=authority)) as dialer,
        name_server(rcode=3) as knows_no_name,
        name_server(rcode=2) as broken,
        Dialer(engine=engine, name_server=knows_no_name) as asking,
        Dialer(engine=engine, name_server=broken) as asking_in_vain,
    ):
        refused = await dialer.run(f"sip:agent@127.0.0.1:{port};transport=tcp", LISTEN)
        misnamed = await dialer.run(secure.uri, LISTEN)
        no_uri = await dialer.run("sip:agent@edge example", LISTEN)
        unknown = await asking.run("sip:agent@nowhere.example", LISTEN)
        unsure = await asking_in_vain.run("sip:agent@nowhere.example", LISTEN)
    assert told(refused) == told(misnamed) == ("upstream_error", None, "set-up")
    assert "connection refused" in refused.outcome.detail
    assert "certificate" in misnamed.outcome.detail
    assert misnamed.outcome.hop == f"127.0.0.1:{secure.local[1]} over TLS"
    assert told(no_uri) == told(unknown) == ("client_error", None, "set-up")
    assert "no such name" in unknown.outcome.detail
    assert (unknown.outcome.hop, told(unsure)) == ("", ("upstream_error", None, "set-up"))


async def never(line: Line) -> None:
    await line.ended()


@asynccontextmanager
async def name_server(*, rcode: int) -> AsyncGenerator[str]:
    """A name server that answers every question with one code and no record (RFC 1035 §4.1.1)."""

    class Server(asyncio.DatagramProtocol):
        def connection_made(self, transport: Any) -> None:
            self.transport = transport

        def datagram_received(self, data: bytes, addr: Any) -> None:
            end = data.index(b"\0", 12) + 5
            head = data[:2] + struct.pack("!HHHHH", 0x8180 | rcode, 1, 0, 0, 0)
            self.transport.sendto(head + data[12:end], addr)

    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(Server, local_addr=("127.0.0.1", 0))
    try:
        yield f"127.0.0.1:{transport.get_extra_info('sockname')[1]}"
    finally:
        transport.close()


async def test_a_call_that_stood_ends_too_early(engine: MediaEngine):
    async with edge_of(Edge()) as uri, Dialer(engine=engine) as dialer:
        plain, normal, network, deaf = await asyncio.gather(
            *(dialer.run(uri(user), LISTEN) for user in ("bye", "bye16", "bye38", "deaf"))
        )
        async with Answerer(never, port=0, engine=engine) as answerer:
            mute = await dialer.run(answerer.uri, LISTEN)
    assert told(plain) == told(normal) == ("agent_error", None, "call")
    assert told(network) == ("upstream_error", None, "call")
    assert failure_json(network)["q850"] == 38
    assert failure_json(network)["server"] == "edge/1"
    assert "out of order" in network.outcome.detail
    assert told(deaf) == ("upstream_error", None, "call")
    assert "not one RTP packet" in deaf.outcome.detail
    assert told(mute) == ("agent_error", None, "call")
    assert "said nothing for 0.4 s" in mute.outcome.detail


@pytest.mark.parametrize(("status", "kind"), [(481, "agent_error"), (408, "upstream_error")])
async def test_the_far_end_has_lost_the_call(engine: MediaEngine, status: int, kind: str):
    async with edge_of(Edge(to_changes=status)) as uri, Dialer(engine=engine) as dialer:
        async with dialer.dial(uri("agent")) as call:
            call.hold()
            run = await call.play(scenario("listen", {"say": "one"}, patience_s=5))
    assert told(run) == (kind, status, "call")
    assert f"answered INVITE with {status}" in run.outcome.detail
    assert failure_json(run)["server"] == "edge/1"
