"""Contacts that register at our answering side are called over the flow that they opened (RFC 5626 §5.3)."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import pytest

from tuner_sipbridge import TlsSettings
from tuner_sipbridge.agents.echo import echo
from tuner_sipbridge.answerer import Answerer
from tuner_sipbridge.answering.results import Results
from tuner_sipbridge.answering.run import answer_by_plan
from tuner_sipbridge.caller.answering_plan import AnsweringPlan
from tuner_sipbridge.net.connection import StreamLimits
from tuner_sipbridge.net.driver import SipDriver
from tuner_sipbridge.net.media_engine import PyMediaEngine
from tuner_sipbridge.report.result import CallResult
from tuner_sipbridge.sdp.negotiation import make_offer
from tuner_sipbridge.sip.framing import StreamFramer
from tuner_sipbridge.sip.message import Message, Request, response_to
from tuner_sipbridge.sip.parser import parse_datagram
from tuner_sipbridge.sip.routing import Transport

REGISTER = """\
REGISTER sip:127.0.0.1 SIP/2.0\r
Via: SIP/2.0/{via} phone.invalid:5062;rport;branch=z9hG4bK1\r
From: <sip:desk@127.0.0.1>;tag=1\r
To: <sip:desk@127.0.0.1>\r
Call-ID: registration\r
CSeq: 1 REGISTER\r
Contact: <{contact}>;expires=300\r
Max-Forwards: 70\r
Content-Length: 0\r
\r
"""
PLAN = """registrations: {{scenario: human.yaml, agent: desk, after_s: {after_s}}}
rules: [{{busy: true}}]
"""
HUMAN = """name: human
persona: {voice: tone}
steps: [say: one]
"""


class Ca(Protocol):
    file: Path

    def issue(self, name: str, *, expired: bool = False) -> Issued: ...


class Issued(Protocol):
    certificate: Path
    key: Path


class Phone(asyncio.Protocol):
    """A telephone behind something that lets nobody in: it answers what comes on the way it opened."""

    def __init__(self, contact: str) -> None:
        self.came: list[Message] = []
        self.registered, self.over = asyncio.Event(), asyncio.Event()
        self._contact, self._framer = contact, StreamFramer()
        self._write: Callable[[bytes], None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Send through whatever was opened."""
        # Not by type: the transport of a datagram socket is no `DatagramTransport` before Python 3.12.
        self._write = getattr(transport, "sendto", None) or getattr(transport, "write", None)

    def register(self, via: str) -> None:
        """Send REGISTER."""
        self._say(REGISTER.format(via=via, contact=self._contact).encode())

    def datagram_received(self, data: bytes, address: object) -> None:
        """One message over UDP."""
        self._hear(parse_datagram(data))

    def data_received(self, data: bytes) -> None:
        """Octets of a stream."""
        for frame in self._framer.receive(data):
            if isinstance(frame, Message):
                self._hear(frame)

    def _hear(self, message: Message) -> None:
        self.came.append(message)
        if not isinstance(message, Request):
            self.registered.set()
        elif message.method == "INVITE":
            body = make_offer("127.0.0.1", 9, 1).to_bytes()
            # The Contact of the dialog is another one than that of the registration, and as unreachable.
            contact = ("Contact", "<sip:desk@127.0.0.9:9>")
            answer = response_to(
                message, 200, to_tag="t", headers=[contact], body=body, content_type="application/sdp"
            )
            self._say(answer.to_bytes())
        elif message.method == "BYE":
            self._say(response_to(message, 200).to_bytes())
            self.over.set()

    def _say(self, data: bytes) -> None:
        assert self._write is not None
        self._write(data)

    @property
    def requests(self) -> list[str]:
        return [message.method for message in self.came if isinstance(message, Request)]


@asynccontextmanager
async def answering(
    folder: Path, *, after_s: float = 0.0, **settings: Any
) -> AsyncGenerator[tuple[Answerer, asyncio.Task[CallResult]]]:
    """An answering side that calls the first contact that registers, and the result of that call."""
    (folder / "human.yaml").write_text(HUMAN)
    (folder / "answering.yaml").write_text(PLAN.format(after_s=after_s))
    ready: asyncio.Future[Answerer] = asyncio.get_running_loop().create_future()

    async def run() -> CallResult:
        result = await answer_by_plan(
            AnsweringPlan.load(folder / "answering.yaml"),
            partial(Answerer, port=0, **settings),
            Results(),
            agents={},
            until=asyncio.get_running_loop().create_future(),
            calls=1,
            on_ready=ready.set_result,
        )
        return result.calls[0]

    task = asyncio.ensure_future(run())
    try:
        yield await ready, task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def connected(phone: Phone, transport: Transport, address: tuple[str, int]) -> asyncio.BaseTransport:
    loop = asyncio.get_running_loop()
    if transport == "udp":
        opened, _ = await loop.create_datagram_endpoint(lambda: phone, remote_addr=address)  # type: ignore[arg-type,return-value]
        return opened
    context = None
    if transport == "tls":
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    opened, _ = await loop.create_connection(lambda: phone, *address, ssl=context)
    return opened


@pytest.mark.parametrize(
    ("transport", "host", "contact"),
    [
        ("udp", "127.0.0.1", "sip:desk@127.0.0.9:9"),
        ("udp", "0.0.0.0", "sip:desk@127.0.0.9:9"),
        ("tcp", "127.0.0.1", "sip:desk@phone.invalid;transport=tcp"),
        ("tcp", "127.0.0.1", "sip:desk@127.0.0.9:9"),
        ("tls", "127.0.0.1", "sips:desk@phone.invalid"),
    ],
)
async def test_a_contact_is_called_over_the_way_it_registered(
    tmp_path: Path, authority: Ca, transport: Transport, host: str, contact: str
):
    issued = authority.issue("127.0.0.1")
    settings: dict[str, Any] = {"host": host}
    if transport == "tls":
        settings |= {
            "transport": "tls",
            "tls": TlsSettings(certificate=issued.certificate, key=issued.key),
        }
    async with answering(tmp_path, **settings) as (answerer, called):
        phone = Phone(contact)
        way = await connected(phone, transport, ("127.0.0.1", answerer.local[1]))
        phone.register(transport.upper())
        async with asyncio.timeout(10):
            call = await called
        way.close()
    assert (call.outcome, call.target) == ("success", contact), call.detail
    assert phone.requests == ["INVITE", "ACK", "BYE"]
    invite = next(message for message in phone.came if isinstance(message, Request))
    assert str(invite.uri) == contact
    assert invite.via.transport == transport.upper()
    assert invite.contact is not None
    assert invite.contact.uri.host == "127.0.0.1"


async def test_when_the_connection_is_gone_the_contact_is_called_where_it_says(tmp_path: Path):
    async with (
        PyMediaEngine() as engine,
        Answerer(echo, port=0, transport="tcp", engine=engine) as contact,
        answering(tmp_path, after_s=0.2, engine=engine) as (answerer, called),
    ):
        phone = Phone(contact.uri)
        way = await connected(phone, "tcp", answerer.local)
        phone.register("TCP")
        await phone.registered.wait()
        way.close()
        async with asyncio.timeout(10):
            call = await called
    assert call.outcome == "success", call.detail
    assert (phone.requests, contact.calls_served) == ([], 1)


async def test_the_connection_of_a_registration_is_kept_and_no_other():
    held = {"held"}
    limits = StreamLimits(idle_s=0.1, look_after_s=0.02)
    driver = SipDriver(limits=limits, keeps=held.__contains__)
    await driver.open(host="127.0.0.1", listen=("tcp",))
    try:
        ends = {name: await asyncio.open_connection(*driver.local) for name in ("held", "other")}
        for name, (_, writer) in ends.items():
            request = REGISTER.format(via="TCP", contact="sip:x@127.0.0.1")
            writer.write(request.replace("Call-ID: registration", f"Call-ID: {name}").encode())
        async with asyncio.timeout(5):
            await ends["other"][0].read()
        assert not ends["held"][0].at_eof()
        held.clear()
        async with asyncio.timeout(5):
            await ends["held"][0].read()
        for _, writer in ends.values():
            writer.close()
    finally:
        await driver.close()
