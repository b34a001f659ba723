"""What a pasted SIP URI becomes on the wire: Request-URI, To, headers and the place it goes to."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import pytest
import pytest_asyncio

from tuner_sipbridge import CallRejected, Dialer, LocalProtocolError
from tuner_sipbridge.net.media_engine import PyMediaEngine
from tuner_sipbridge.sip.framing import StreamFramer
from tuner_sipbridge.sip.message import Message, Request, response_to
from tuner_sipbridge.sip.parser import parse_datagram

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def engine() -> AsyncGenerator[PyMediaEngine]:
    """The media of all calls of this file."""
    async with PyMediaEngine() as started:
        yield started


class Busy(asyncio.Protocol):
    """Refuses each INVITE with 486, over UDP or TCP, and keeps it as it came."""

    def __init__(self) -> None:
        self.first_lines: list[str] = []
        self.invites: list[Request] = []
        self._framer = StreamFramer()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the socket."""
        self.transport = transport

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        """One message over UDP."""
        self.first_lines.append(data.split(b"\r\n")[0].decode())
        if answer := self._answer(parse_datagram(data)):
            self.transport.sendto(answer, addr)  # type: ignore[attr-defined]

    def data_received(self, data: bytes) -> None:
        """Octets of a stream, a whole message at a time on loopback."""
        self.first_lines.append(data.split(b"\r\n")[0].decode())
        for frame in self._framer.receive(data):
            if isinstance(frame, Message) and (answer := self._answer(frame)):
                self.transport.write(answer)  # type: ignore[attr-defined]

    def _answer(self, message: Message) -> bytes | None:
        if not isinstance(message, Request) or message.method != "INVITE":
            return None
        self.invites.append(message)
        return response_to(message, 486, to_tag="far").to_bytes()


@asynccontextmanager
async def busy(host: str, transport: str) -> AsyncGenerator[tuple[Busy, int]]:
    """A far end at any free port."""
    loop, far = asyncio.get_running_loop(), Busy()
    if transport == "udp":
        opened, _ = await loop.create_datagram_endpoint(lambda: far, local_addr=(host, 0))  # type: ignore[arg-type,return-value]
        port = opened.get_extra_info("sockname")[1]
    else:
        opened = await loop.create_server(lambda: far, host, 0)
        port = opened.sockets[0].getsockname()[1]
    try:
        yield far, port
    finally:
        opened.close()


async def dialled(engine: PyMediaEngine, far: Busy, uri: str) -> Request:
    """The INVITE that a URI leads to."""
    async with Dialer(engine=engine) as dialer:
        with pytest.raises(CallRejected, match="486"):
            async with asyncio.timeout(5), dialer.dial(uri):
                pass
    return far.invites[0]


@pytest.mark.parametrize(
    "uri",
    [
        "sip:127.0.0.1:{port}",
        "sip:agent@127.0.0.1:{port}",
        "sip:Agent%20One%2f%3B@127.0.0.1:{port}",
        "sip:+1-555-0100;phone-context=%2B1;ext=7@127.0.0.1:{port};user=phone",
        "sip:31#;npdi;rn=+1555@127.0.0.1:{port}",
        "sip:agent:pass%3Aword@127.0.0.1:{port}",
        "sip:agent@127.0.0.1:{port};Transport=UDP;x-flag;X-Value=%41b~1",
        "sip:agent@ElseWhere.Invalid:{port};maddr=127.0.0.1;ttl=1",
        "sip:a.b_c!~*'()&=+$,;?/@127.0.0.1:{port}",
        "SIP:agent@127.0.0.1:{port}",
    ],
)
async def test_a_uri_goes_out_letter_by_letter(engine: PyMediaEngine, uri: str):
    async with busy("127.0.0.1", "udp") as (far, port):
        written = uri.format(port=port)
        invite = await dialled(engine, far, written)
    # The scheme compares without case and is written in lower case (RFC 3261 §19.1.4); all else is as it was pasted.
    written = "sip" + written[3:]
    assert far.first_lines[0] == f"INVITE {written} SIP/2.0"
    assert invite.headers.get("To") == f"<{written}>"


@pytest.mark.parametrize("transport", ["udp", "tcp"])
async def test_an_ipv6_literal_with_port_and_transport(engine: PyMediaEngine, transport: str):
    async with busy("::1", transport) as (far, port):
        uri = f"sip:agent@[::1]:{port};transport={transport}"
        invite = await dialled(engine, far, uri)
    assert far.first_lines[0] == f"INVITE {uri} SIP/2.0"
    assert (invite.via.host, invite.via.transport) == ("::1", transport.upper())
    assert invite.contact is not None
    assert invite.contact.uri.host == "::1"
    assert b"c=IN IP6 ::1\r\n" in invite.body


async def test_headers_behind_the_question_mark_are_headers_of_the_invite(engine: PyMediaEngine):
    async with busy("127.0.0.1", "udp") as (far, port):
        uri = f"sip:agent@127.0.0.1:{port};x=1?X-Tenant=a%20%26%20b&Subject=&x-%6eame=J%C3%B8rn"
        invite = await dialled(engine, far, uri)
    assert far.first_lines[0] == f"INVITE sip:agent@127.0.0.1:{port};x=1 SIP/2.0"
    assert invite.headers.get("To") == f"<sip:agent@127.0.0.1:{port};x=1>"
    assert [invite.headers.get(name) for name in ("X-Tenant", "Subject", "X-Name")] == ["a & b", "", "Jørn"]


@pytest.mark.parametrize(
    ("uri", "says"),
    [
        ("sip:agent@[::1:5060", "position 10: not an IPv6 address"),
        ("sip:agent@::1", r"position 10: an IPv6 address stands in .*\[::1\]"),
        ("sip:my agent@127.0.0.1", 'position 6: " " in the user must be escaped'),
        ("sip:agent%2@127.0.0.1", 'position 9: "%" in the user is no escape'),
        ("sip:agent@127.0.0.1:70000", "position 20: not a port"),
        ("sip:agent@127.0.0.1;", "position 20: the name of a parameter is empty"),
        ("sip:agent@127.0.0.1?X-A", "position 20: a header"),
        ("agent@127.0.0.1", "position 0: no scheme"),
        ("sip:agent@127.0.0.1?Via=x", "Via is written by the call itself"),
        ("sip:agent@127.0.0.1?X-A=%0d%0aVia:%20x", "line break"),
        ("sip:agent@127.0.0.1;transport=sctp", "transport=sctp is not spoken"),
        ("sips:agent@127.0.0.1;transport=udp", "take one away"),
        ("tel:+15550100", "only sip and sips"),
    ],
)
async def test_what_cannot_be_dialled_is_refused_with_position_and_reason(
    engine: PyMediaEngine, uri: str, says: str
):
    async with Dialer(engine=engine) as dialer:
        with pytest.raises(LocalProtocolError, match=says):
            async with dialer.dial(uri):
                pass
