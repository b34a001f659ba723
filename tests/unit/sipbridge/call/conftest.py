"""One half of a call on the bench, and a far end that says exactly what a test wants."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from tuner_sipbridge.call.challenge import Challenger
from tuner_sipbridge.call.events import CallEvent
from tuner_sipbridge.call.ids import Credentials
from tuner_sipbridge.call.inbound import InboundCall
from tuner_sipbridge.call.outbound import OutboundCall
from tuner_sipbridge.sdp.negotiation import make_offer
from tuner_sipbridge.sip.headers import Headers
from tuner_sipbridge.sip.message import Message, Request, Response, response_to
from tuner_sipbridge.sip.routing import Address, Hop
from tuner_sipbridge.sip.uri import Uri
from tuner_sipbridge.testing.network import CountedIds

TARGET = Uri.parse("sip:agent@far.example")
CONTACT = "Contact: <sip:caller@198.51.100.7:5062>"
FAR = Hop("udp", "198.51.100.7", 5060)


def sdp(
    port: int = 50000, *, codecs: tuple[str, ...] = ("PCMU",), hold: bool = False, version: int = 1
) -> bytes:
    return make_offer(
        "198.51.100.7", port, 99, codecs, version=version, direction="sendonly" if hold else "sendrecv"
    ).to_bytes()


def say(*lines: str, body: bytes = b"") -> Request:
    """A request out of its start line and headers."""
    method, uri, _ = lines[0].split(" ")
    headers = Headers(tuple(line.split(": ", 1)) for line in lines[1:])  # type: ignore[misc]
    if body and "Content-Type" not in headers:
        headers.add("Content-Type", "application/sdp")
    return Request(method, Uri.parse(uri), headers, body)


@dataclass
class Bench:
    """Runs one machine by hand at a clock of its own, and keeps what comes out."""

    call: OutboundCall | InboundCall
    now: float = 0.0
    sent: list[tuple[Message, Address]] = field(default_factory=list[tuple[Message, Address]])
    hops: list[Hop] = field(default_factory=list[Hop])
    happened: list[CallEvent] = field(default_factory=list[CallEvent])

    def collect(self) -> None:
        for message, hop in self.call.outgoing():
            self.sent.append((message, hop.address))
            self.hops.append(hop)
        self.happened += self.call.events()

    def hear(self, message: Message) -> Message:
        """Let the machine receive a message."""
        self.call.receive(message, now=self.now, source=FAR)
        self.collect()
        return message

    def wait(self, seconds: float) -> None:
        """Let time pass, with every deadline at its moment."""
        end = self.now + seconds
        while (deadline := self.call.next_deadline()) is not None and deadline <= end:
            self.now = max(self.now, deadline)
            self.call.handle_timer(now=self.now)
            self.collect()
        self.now = end

    def answer_to(self, request: Request, status: int, tag: str, *headers: tuple[str, str]) -> Response:
        """A response of the far end to a request of ours."""
        return response_to(request, status, to_tag=tag, headers=headers)

    @property
    def requests(self) -> list[Request]:
        return [message for message, _ in self.sent if isinstance(message, Request)]

    @property
    def responses(self) -> list[Response]:
        return [message for message, _ in self.sent if isinstance(message, Response)]

    @property
    def last(self) -> Message:
        return self.sent[-1][0]

    @property
    def names(self) -> list[str]:
        """Methods and statuses that were sent, in order."""
        return [
            message.method if isinstance(message, Request) else str(message.status)
            for message, _ in self.sent
        ]

    def assert_at_rest(self) -> None:
        """After all repeats are over nothing is left."""
        self.wait(200.0)
        assert self.call.finished
        assert self.call.next_deadline() is None


@dataclass
class Dialled(Bench):
    """An outbound call, and the far end's replies."""

    number: int = 100

    @property
    def invite(self) -> Request:
        """The last INVITE that was sent."""
        return [request for request in self.requests if request.method == "INVITE"][-1]

    def reply(
        self,
        status: int,
        *headers: tuple[str, str],
        to: Request | None = None,
        tag: str | None = "far",
        body: bytes = b"",
    ) -> Message:
        """Answer a request, by default the last INVITE."""
        kind = "application/sdp" if body else None
        return self.hear(
            response_to(to or self.invite, status, to_tag=tag, headers=headers, body=body, content_type=kind)
        )

    def answer(self, *headers: tuple[str, str], tag: str = "far", body: bytes | None = None) -> Message:
        """Answer the INVITE with 200 and a session description."""
        contact = ("Contact", "<sip:bot@198.51.100.7:5080>")
        return self.reply(200, contact, *headers, tag=tag, body=sdp() if body is None else body)

    def ask(
        self, method: str, *headers: str, tag: str = "far", number: int | None = None, body: bytes = b""
    ) -> Request:
        """A request of the far end within the dialog."""
        self.number = number or self.number + 1
        ours = self.invite.from_
        request = say(
            f"{method} sip:caller@10.0.0.1:5060 SIP/2.0",
            f"Via: SIP/2.0/UDP 198.51.100.7:5060;rport;branch=z9hG4bK-far-{self.number}-{method}",
            f"From: <sip:agent@far.example>;tag={tag}",
            f"To: <{ours.uri}>;tag={ours.tag}",
            f"Call-ID: {self.invite.call_id}",
            f"CSeq: {self.number} {method}",
            *headers,
            body=body,
        )
        self.hear(request)
        return request


@pytest.fixture
def dial() -> Callable[..., Dialled]:
    """Starts an outbound call to sip:agent@far.example; keywords go to `OutboundCall`."""

    def start(
        *,
        target: Uri = TARGET,
        sip_call_id: str = "call-1",
        credentials: Credentials | None = None,
        **options: object,
    ) -> Dialled:
        call = OutboundCall(
            target,
            local=("10.0.0.1", 5060),
            offer=make_offer("10.0.0.1", 40000, 7),
            sip_call_id=sip_call_id,
            from_uri=Uri.parse("sip:caller@10.0.0.1"),
            ids=CountedIds("us"),
            credentials=credentials,
            **options,  # type: ignore[arg-type]
        )
        bench = Dialled(call)
        call.start(now=0.0)
        bench.collect()
        return bench

    return start


@dataclass
class Received(Bench):
    """An inbound call, and the caller's further requests."""

    def ask(
        self,
        method: str,
        *headers: str,
        number: int = 2,
        tag: str | None = None,
        branch: str = "",
        body: bytes = b"",
    ) -> Request:
        """A request of the caller within the dialog."""
        request = say(
            f"{method} sip:agent@10.0.0.1:5060 SIP/2.0",
            f"Via: SIP/2.0/UDP 198.51.100.7:5060;rport;branch={branch or f'z9hG4bK-far-{number}-{method}'}",
            "From: <sip:caller@far.example>;tag=far",
            f"To: <sip:agent@10.0.0.1>;tag={tag or self.our_tag}",
            "Call-ID: call-1",
            f"CSeq: {number} {method}",
            *headers,
            body=body,
        )
        self.hear(request)
        return request

    @property
    def our_tag(self) -> str:
        return next(response.to.tag for response in reversed(self.responses) if response.to.tag)


def an_invite(
    *headers: str, number: int = 1, branch: str = "z9hG4bK-far-1", body: bytes | None = None
) -> Request:
    return say(
        "INVITE sip:agent@10.0.0.1 SIP/2.0",
        f"Via: SIP/2.0/UDP 198.51.100.7:5060;rport;branch={branch}",
        "From: <sip:caller@far.example>;tag=far",
        "To: <sip:agent@10.0.0.1>",
        "Call-ID: call-1",
        f"CSeq: {number} INVITE",
        *([] if any(header.startswith("Contact") for header in headers) else [CONTACT]),
        "X-CID: call-1",
        *headers,
        body=sdp() if body is None else body,
    )


@pytest.fixture
def invite() -> Callable[..., Request]:
    """Makes the INVITE of a caller."""
    return an_invite


@pytest.fixture
def receive() -> Callable[..., Received]:
    """Takes an INVITE; keywords go to `InboundCall`."""

    def start(
        request: Request | None = None, *, challenger: Challenger | None = None, **options: object
    ) -> Received:
        call = InboundCall(
            request or an_invite(),
            now=0.0,
            local=("10.0.0.1", 5060),
            ids=CountedIds("us"),
            source=FAR,
            challenger=challenger,
            **options,  # type: ignore[arg-type]
        )
        bench = Received(call)
        bench.collect()
        return bench

    return start


@pytest.fixture
def their_sdp() -> Callable[..., bytes]:
    """Makes session descriptions of the far end."""
    return sdp
