"""SIP messages over real TCP and TLS connections: framing, keep-alive, certificates, limits."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import AsyncGenerator, Callable, Collection
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Protocol

import pytest

from tuner_sipbridge.net.connection import StreamLimits
from tuner_sipbridge.net.tls import TlsSettings
from tuner_sipbridge.net.transports import UDP_AND_TCP, Transports
from tuner_sipbridge.sip.message import Message, Request, response_to
from tuner_sipbridge.sip.parser import parse_datagram
from tuner_sipbridge.sip.routing import Hop, Transport, way_back

from ..nat import StunServer


class Issued(Protocol):
    certificate: Path
    key: Path
    fingerprint: str


class Ca(Protocol):
    file: Path

    def issue(self, name: str, *, expired: bool = False) -> Issued: ...


class End:
    """One user agent's sockets, and what came to them."""

    def __init__(self, tls: TlsSettings | None, limits: StreamLimits) -> None:
        self.came: asyncio.Queue[tuple[Message, Hop]] = asyncio.Queue()
        self.lost: asyncio.Queue[tuple[Hop, str, bool]] = asyncio.Queue()
        self.live: set[str] = set()
        self.transports = Transports(
            receive=lambda message, source: self.came.put_nowait((message, source)),
            unreachable=lambda hop, why, again: self.lost.put_nowait((hop, why, again)),
            is_live=self.live.__contains__,
            tls=tls or TlsSettings(),
            limits=limits,
        )

    def hop(self, transport: Transport, name: str | None = None) -> Hop:
        return Hop(transport, *self.transports.local, name=name)

    async def next(self) -> tuple[Message, Hop]:
        return await asyncio.wait_for(self.came.get(), 5)

    async def why_lost(self) -> str:
        return (await asyncio.wait_for(self.lost.get(), 10))[1]


@asynccontextmanager
async def end(
    listen: Collection[Transport] = UDP_AND_TCP,
    *,
    tls: TlsSettings | None = None,
    limits: StreamLimits | None = None,
) -> AsyncGenerator[End]:
    opened = End(tls, limits or StreamLimits())
    await opened.transports.open(host="127.0.0.1", listen=listen)
    try:
        yield opened
    finally:
        await opened.transports.close()


def octets(number: int = 1, call_id: str = "c1", body: str = "") -> bytes:
    return (
        "MESSAGE sip:agent@127.0.0.1 SIP/2.0\r\n"
        f"Via: SIP/2.0/TCP 127.0.0.1:5060;branch=z9hG4bK-{number}\r\n"
        "From: <sip:caller@127.0.0.1>;tag=a\r\n"
        "To: <sip:agent@127.0.0.1>\r\n"
        f"Call-ID: {call_id}\r\n"
        f"CSeq: {number} MESSAGE\r\n"
        f"Content-Length: {len(body)}\r\n\r\n{body}"
    ).encode()


def message(number: int = 1, **fields: str) -> Request:
    read = parse_datagram(octets(number, **fields))
    assert isinstance(read, Request)
    return read


async def test_split_and_coalesced_messages_come_whole_and_in_order():
    async with end() as far:
        _, writer = await asyncio.open_connection(*far.transports.local)
        stream = octets(1, body="one") + octets(2) + octets(3, body="MESSAGE sip:x SIP/2.0\r\n\r\n")
        for cut in (stream[:50], stream[50:330], stream[330:331], stream[331:]):
            writer.write(cut)
            await writer.drain()
            await asyncio.sleep(0.01)
        assert [(await far.next())[0].cseq.number for _ in range(3)] == [1, 2, 3]
        writer.close()


async def test_requests_and_responses_both_ways_share_a_connection():
    async with end() as near, end() as far:
        sent = [message(number) for number in (1, 2, 3)]
        for one in sent:
            near.transports.send(one, far.hop("tcp"))
        sources = {(await far.next())[1] for _ in sent}
        (source,) = sources
        assert source.address == near.transports.local
        far.transports.send(response_to(sent[0], 200), way_back(sent[0], source))
        _, back = await near.next()
        assert back == far.hop("tcp")
        far.transports.send(message(9), source)
        _, back = await near.next()
        assert back == far.hop("tcp")


async def test_a_second_connection_to_one_address_leaves_from_another_port():
    async with end() as near, end() as far:
        near.transports.send(message(1), far.hop("tcp"))
        _, first = await far.next()
        near.transports.send(message(2), replace(far.hop("tcp"), name="far.example"))
        _, second = await far.next()
        assert first.address == near.transports.local != second.address


async def test_a_response_finds_its_way_when_its_connection_is_gone():
    async with end() as near, end() as far:
        request = message()
        host, port = near.transports.local
        request.headers.set("Via", f"SIP/2.0/TCP {host}:{port};branch=z9hG4bK-1")
        gone = Hop("tcp", host, 9)
        far.transports.send(response_to(request, 200), way_back(request, gone))
        answer, _ = await near.next()
        assert answer.start_line == "SIP/2.0 200 OK"


async def test_a_ping_is_answered():
    async with end() as far:
        reader, writer = await asyncio.open_connection(*far.transports.local)
        writer.write(b"\r\n\r\n" + octets(1) + b"\r\n\r\n")
        assert await asyncio.wait_for(reader.readexactly(4), 5) == b"\r\n\r\n"
        writer.close()


@asynccontextmanager
async def listener(
    serve: Callable[[asyncio.StreamReader, asyncio.StreamWriter], object], tls: ssl.SSLContext | None = None
) -> AsyncGenerator[tuple[str, int]]:
    """A far end of a few lines."""

    async def run(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        done = serve(reader, writer)
        if asyncio.iscoroutine(done):
            await done

    server = await asyncio.start_server(run, "127.0.0.1", 0, ssl=tls)
    try:
        yield server.sockets[0].getsockname()
    finally:
        server.close()


QUICK = StreamLimits(keep_alive_s=0.1, pong_s=0.1, look_after_s=0.02)


async def test_a_far_end_that_answers_no_more_pings_is_given_up():
    pings: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        pings.append(await reader.readexactly(4))
        writer.write(b"\r\n")
        pings.append(await reader.readexactly(4))
        await reader.read()

    async with listener(serve) as address, end(limits=QUICK) as near:
        near.live.add("c1")
        near.transports.send(message(), Hop("tcp", *address))
        assert "did not answer a keep-alive" in await near.why_lost()
    assert pings == [b"\r\n\r\n"] * 2


async def test_a_far_end_that_knows_no_pings_is_left_alone():
    ended = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        ended.set()

    async with listener(serve) as address, end(limits=QUICK) as near:
        near.live.add("c1")
        near.transports.send(message(), Hop("tcp", *address))
        await asyncio.sleep(0.5)
        assert not ended.is_set()


async def test_a_connection_is_closed_when_it_is_idle_and_its_calls_are_over():
    async with end(limits=StreamLimits(idle_s=0.1, look_after_s=0.02)) as far:
        reader, writer = await asyncio.open_connection(*far.transports.local)
        far.live.add("c1")
        writer.write(octets())
        await far.next()
        await asyncio.sleep(0.3)
        assert not reader.at_eof()
        far.live.clear()
        assert await asyncio.wait_for(reader.read(), 5) == b""
        writer.close()


@pytest.mark.parametrize(
    ("stream", "limits"),
    [
        (octets() + octets().replace(b"Content-Length", b"X-Length"), StreamLimits()),
        (octets() + b"\x16\x03\x01\x02\x00", StreamLimits()),
        (octets() + b"MESSAGE ", StreamLimits(message_s=0.1, look_after_s=0.02)),
    ],
    ids=["no length", "not SIP", "never complete"],
)
async def test_what_cannot_be_read_on_closes_the_connection_and_no_other(stream: bytes, limits: StreamLimits):
    async with end(limits=limits) as far:
        reader, writer = await asyncio.open_connection(*far.transports.local)
        _, other = await asyncio.open_connection(*far.transports.local)
        writer.write(stream)
        assert (await far.next())[0].cseq.number == 1
        answered = await asyncio.wait_for(reader.read(), 5)
        assert answered == b"" or answered.startswith(b"SIP/2.0 400 ")
        other.write(octets(7))
        assert (await far.next())[0].cseq.number == 7
        for open_end in (writer, other):
            open_end.close()


async def test_connections_above_the_limit_are_closed_at_once():
    async with end(limits=StreamLimits(connections=2)) as far:
        ends = [await asyncio.open_connection(*far.transports.local) for _ in range(3)]
        assert await asyncio.wait_for(ends[2][0].read(), 5) == b""
        ends[0][1].write(octets())
        await far.next()
        assert far.transports.refused_connections == 1
        for _, writer in ends:
            writer.close()


async def test_a_lost_connection_tells_of_the_requests_on_it_and_a_new_one_is_opened():
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(octets(5))
        await reader.readuntil(b"\r\n\r\n")
        writer.close()

    async with listener(serve) as address, end() as near:
        for _ in range(2):
            near.transports.send(message(), Hop("tcp", *address))
            hop, why, again = await asyncio.wait_for(near.lost.get(), 5)
            assert (hop, again) == (Hop("tcp", *address), True)
            assert "the far end closed the connection" in why


async def test_the_public_address_is_asked_of_a_stun_server_by_the_sip_socket():
    async with StunServer() as server, end() as near:
        server.deaf_to = 1
        assert await near.transports.ask(server.local) == (near.transports.local, server.local)
        assert len(server.asked) == 2
        assert near.transports.malformed == 0


async def test_one_port_takes_udp_and_tcp():
    async with end() as near, end() as far:
        for transport in ("udp", "tcp"):
            near.transports.send(message(), far.hop(transport))
            assert (await far.next())[1].transport == transport


@pytest.mark.parametrize(
    ("served", "name", "trust", "why"),
    [
        ("127.0.0.1", None, "ca", ""),
        ("edge.example", "edge.example", "ca", ""),
        ("edge.example", None, "ca", "another name than 127.0.0.1"),
        ("edge.example", "other.example", "ca", "another name than other.example"),
        ("127.0.0.1", None, "system", "no CA that is known here"),
        ("expired", None, "ca", "has expired"),
        ("expired", None, "insecure", ""),
        ("expired", None, "pin", ""),
        ("127.0.0.1", None, "pin+ca", ""),
        ("expired", None, "pin+ca", "has expired"),
        ("127.0.0.1", None, "wrong pin", "not the pinned one"),
    ],
)
async def test_whom_a_tls_connection_trusts(
    authority: Ca, served: str, name: str | None, trust: str, why: str
):
    issued = authority.issue("127.0.0.1" if served == "expired" else served, expired=served == "expired")
    settings = {
        "system": TlsSettings(),
        "ca": TlsSettings(ca_file=authority.file),
        "pin": TlsSettings(pin=issued.fingerprint),
        "pin+ca": TlsSettings(pin=issued.fingerprint, ca_file=authority.file),
        "wrong pin": TlsSettings(pin="0" * 64),
        "insecure": TlsSettings(insecure=True),
    }
    ours = TlsSettings(certificate=issued.certificate, key=issued.key)
    async with end(["tls"], tls=ours) as far, end(tls=settings[trust]) as near:
        near.transports.send(message(), far.hop("tls", name))
        if why:
            assert why in await near.why_lost()
            assert far.came.empty()
        else:
            assert (await far.next())[1].transport == "tls"


async def test_the_name_is_asked_for_and_must_be_proved_again_on_the_next_connection(authority: Ca):
    asked: list[str | None] = []
    issued = authority.issue("edge.example")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(issued.certificate, issued.key)
    context.sni_callback = lambda _socket, name, _context: asked.append(name)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.close()

    async with listener(serve, context) as address, end(tls=TlsSettings(ca_file=authority.file)) as near:
        near.transports.send(message(), Hop("tls", *address, name="edge.example"))
        await near.why_lost()
        near.transports.send(message(), Hop("tls", *address))
        assert "closed the connection" in await near.why_lost()
    assert asked == ["edge.example"] * 2


async def test_an_edge_may_ask_callers_for_a_certificate(authority: Ca):
    issued, ours = authority.issue("127.0.0.1"), authority.issue("caller.example")
    asking = TlsSettings(certificate=issued.certificate, key=issued.key, ca_file=authority.file)
    known = TlsSettings(certificate=ours.certificate, key=ours.key, ca_file=authority.file)
    async with end(["tls"], tls=asking) as far:
        async with end(tls=known) as near:
            near.transports.send(message(), far.hop("tls"))
            await far.next()
        async with end(tls=TlsSettings(ca_file=authority.file)) as near:
            near.transports.send(message(), far.hop("tls"))
            assert "--tls-cert" in await near.why_lost()


async def test_a_caller_that_an_edge_asks_in_vain_for_a_certificate_says_so(authority: Ca):
    """OpenSSL tells it by an alert after the handshake; asyncio's own server end would close without a word."""
    issued = authority.issue("127.0.0.1")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=authority.file)
    context.load_cert_chain(issued.certificate, issued.key)
    context.verify_mode = ssl.CERT_REQUIRED
    with socket.create_server(("127.0.0.1", 0)) as server:

        def refuse() -> None:
            connection = context.wrap_socket(
                server.accept()[0], server_side=True, do_handshake_on_connect=False
            )
            with pytest.raises(ssl.SSLError):
                connection.do_handshake()
            with socket.socket(fileno=connection.detach()) as plain:
                plain.recv(65536)

        async with end(tls=TlsSettings(ca_file=authority.file)) as near:
            near.transports.send(message(), Hop("tls", *server.getsockname()))
            await asyncio.to_thread(refuse)
            # Its alert may be overtaken by the reset of the connection, which then is all that is known.
            assert "a certificate" in await near.why_lost()


async def test_a_port_without_tls_and_a_port_without_anything_are_told():
    async with end() as far, end() as near:
        near.transports.send(message(), far.hop("tls"))
        assert "check that this port speaks TLS" in await near.why_lost()
        near.transports.send(message(), Hop("tcp", "127.0.0.1", 9))
        assert "connection refused" in await near.why_lost()
        near.transports.send(message(), Hop("tcp", "nowhere.invalid", 5060))
        assert "cannot resolve nowhere.invalid" in await near.why_lost()
