"""What comes to our Contact on a connection that the far end opens, and what becomes of one to a registrar."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager

import pytest
import pytest_asyncio

from tuner_sipbridge import Dialer, Scenario, TlsSettings
from tuner_sipbridge.agents.echo import echo
from tuner_sipbridge.answerer import Answerer
from tuner_sipbridge.net.media_engine import PyMediaEngine
from tuner_sipbridge.sdp.negotiation import make_offer
from tuner_sipbridge.sip.framing import StreamFramer
from tuner_sipbridge.sip.headers import Headers
from tuner_sipbridge.sip.message import Message, Request, Response, response_to
from tuner_sipbridge.sip.parser import parse_datagram

from ..certificates import Authority

pytestmark = pytest.mark.asyncio(loop_scope="module")

WAIT = Scenario.model_validate({"name": "wait", "persona": {"voice": "tone"}, "steps": [{"pause_s": 5.0}]})
BEEP = Scenario.model_validate({"name": "beep", "persona": {"voice": "tone"}, "steps": [{"say": "one"}]})

Answer = Callable[[Request, asyncio.StreamWriter], Response | None]


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def engine():
    async with PyMediaEngine() as started:
        yield started


async def messages(reader: asyncio.StreamReader) -> AsyncGenerator[Message]:
    framer = StreamFramer()
    while data := await reader.read(65536):
        for frame in framer.receive(data):
            if isinstance(frame, Request | Response):
                yield frame


@asynccontextmanager
async def far_end(answer: Answer, context: ssl.SSLContext | None = None) -> AsyncGenerator[int]:
    """A server that answers each request of a connection as `answer` says; gives its port."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        async for message in messages(reader):
            if isinstance(message, Request) and (response := answer(message, writer)) is not None:
                writer.write(response.to_bytes())
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


def picked_up(request: Request, port: int, transport: str) -> Response:
    body = make_offer("127.0.0.1", 9, 1, ("PCMU",)).to_bytes()
    contact = f"<sip:agent@127.0.0.1:{port};transport={transport}>"
    headers = [("Contact", contact), ("Content-Type", "application/sdp")]
    return response_to(request, 200, to_tag="agent", headers=headers, body=body)


def bye_to(invite: Request, transport: str) -> Request:
    contact = invite.contact
    assert contact is not None
    fields = [
        ("Via", f"SIP/2.0/{transport.upper()} 127.0.0.1:5999;branch=z9hG4bK-bye"),
        ("Max-Forwards", "70"),
        ("From", str(invite.to.with_tag("agent"))),
        ("To", str(invite.from_)),
        ("Call-ID", invite.call_id),
        ("CSeq", "1 BYE"),
    ]
    return Request("BYE", contact.uri, Headers(fields))


@pytest.mark.parametrize("transport", ["tcp", "tls"])
async def test_a_bye_on_a_connection_of_the_far_ends_own_reaches_the_call(
    transport: str, authority: Authority, engine: PyMediaEngine
):
    theirs, ours = authority.issue("127.0.0.1"), authority.issue("127.0.0.1")
    server_context = client_context = None
    if transport == "tls":
        theirs_settings = TlsSettings(ca_file=authority.file, certificate=theirs.certificate, key=theirs.key)
        server_context, client_context = theirs_settings.server_context(), theirs_settings.client_context()
    invites: asyncio.Queue[Request] = asyncio.Queue()

    def answer(request: Request, writer: asyncio.StreamWriter) -> Response | None:
        if request.method != "INVITE":
            return None
        invites.put_nowait(request)
        port = writer.get_extra_info("sockname")[1]
        return picked_up(request, port, transport)

    async def hang_up() -> Message:
        invite = await invites.get()
        assert invite.contact is not None
        host, port = invite.contact.uri.host_port
        reader, writer = await asyncio.open_connection(
            host, port, ssl=client_context, server_hostname=host if client_context else None
        )
        writer.write(bye_to(invite, transport).to_bytes())
        try:
            return await anext(messages(reader))
        finally:
            writer.close()

    tls = TlsSettings(ca_file=authority.file, certificate=ours.certificate, key=ours.key)
    async with (
        far_end(answer, server_context) as port,
        Dialer(tls=tls, engine=engine) as dialer,
        asyncio.timeout(4),
    ):
        hanging_up = asyncio.create_task(hang_up())
        run = await dialer.run(f"sip:agent@127.0.0.1:{port};transport={transport}", WAIT)
        response = await hanging_up
    assert isinstance(response, Response)
    assert response.status == 200
    ended = run.trace.last("call.ended")
    assert ended is not None
    assert ended.fields["by"] == "agent"


async def test_a_lost_connection_to_the_registrar_is_made_anew_by_registering(engine: PyMediaEngine):
    registered: asyncio.Queue[tuple[str, int]] = asyncio.Queue()

    def answer(request: Request, writer: asyncio.StreamWriter) -> Response | None:
        contact = request.headers.get("Contact") or ""
        expires = int(request.headers.get("Expires") or 0)
        registered.put_nowait((request.method, expires))
        if registered.qsize() == 1 and expires:
            asyncio.get_running_loop().call_later(0.05, writer.close)
        return response_to(request, 200, to_tag="r", headers=[("Contact", f"{contact};expires={expires}")])

    async with (
        far_end(answer) as port,
        Answerer(echo, port=0, engine=engine) as answerer,
        Dialer(engine=engine, register=f"sip:127.0.0.1:{port};transport=tcp") as dialer,
    ):
        await dialer.run(answerer.uri, BEEP)
        async with asyncio.timeout(3):
            seen = [await registered.get() for _ in range(2)]
    assert seen == [("REGISTER", 3600)] * 2


async def test_where_tcp_was_refused_long_requests_go_over_udp_at_once_also_in_the_next_call(
    engine: PyMediaEngine,
):
    long = {"Subject": "x" * 1400}

    class Deaf(asyncio.DatagramProtocol):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            self.transport = transport

        def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
            request = parse_datagram(data)
            if isinstance(request, Request) and request.method == "INVITE":
                self.transport.sendto(response_to(request, 486).to_bytes(), addr)  # type: ignore[attr-defined]

    transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(
        Deaf, local_addr=("127.0.0.1", 0)
    )
    port = transport.get_extra_info("sockname")[1]
    try:
        async with Dialer(engine=engine) as dialer:
            runs = [await dialer.run(f"sip:agent@127.0.0.1:{port}", BEEP, headers=long) for _ in range(2)]
    finally:
        transport.close()
    assert [run.outcome.status for run in runs] == [486, 486]
    over = [
        [
            event.fields["transport"]
            for event in run.trace.of("sip.sent")
            if event.fields["summary"].startswith("INVITE ")
        ]
        for run in runs
    ]
    assert over == [["tcp", "udp"], ["udp"]]
