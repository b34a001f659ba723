"""A message as calls of either side and a registrar get it, made to fit so that it is not dropped."""

from __future__ import annotations

from contextlib import suppress

from tuner_sipbridge.call.challenge import Challenger
from tuner_sipbridge.call.ids import Credentials
from tuner_sipbridge.call.inbound import InboundCall
from tuner_sipbridge.call.outbound import OutboundCall
from tuner_sipbridge.call.registrar import Registrar
from tuner_sipbridge.errors import LocalProtocolError
from tuner_sipbridge.sdp.negotiation import make_offer
from tuner_sipbridge.sip.message import Message, Request, Response
from tuner_sipbridge.sip.parser import parse_datagram
from tuner_sipbridge.sip.routing import Hop
from tuner_sipbridge.sip.uri import Uri
from tuner_sipbridge.testing.network import CountedIds

FAR = Hop("udp", "192.0.2.7", 5060)
GOOD = Credentials("probe", "s3cret")
OFFER = make_offer("192.0.2.1", 40000, 7)
INVITE = (
    b"INVITE sip:agent@192.0.2.1 SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.7;branch=z9hG4bKfirst;rport\r\n"
    b"From: <sip:far@192.0.2.7>;tag=far\r\nTo: <sip:agent@192.0.2.1>\r\nCall-ID: fuzzed\r\nCSeq: 1 INVITE\r\n"
    b"Contact: <sip:far@192.0.2.7>\r\nSupported: timer, 100rel, replaces\r\nContent-Type: application/sdp\r\n\r\n"
)
MOST_DEADLINES = 40


def receive_everywhere(data: bytes) -> None:
    """Give one message, which must be well formed, to each machine that may get its like."""
    message = parse_datagram(data)
    if isinstance(message, Response):
        for answered in (False, True):
            _to_the_caller(parse_datagram(data), answered)
        return
    for stage in ("rung", "answered"):
        _to_the_answerer(parse_datagram(data), stage)
    asks = lambda: Challenger(GOOD, realm="fuzz")  # noqa: E731
    for registrar in (Registrar(), Registrar(challenger=asks)):
        registrar.receive(message, now=0.0, nonce="n", source=FAR).to(message).to_bytes()
    if message.method == "INVITE":
        _to_a_new_call(message)


def _to_a_new_call(invite: Request) -> None:
    call = InboundCall(
        invite, now=0.0, local=("192.0.2.1", 5060), ids=CountedIds("fuzz"), source=FAR, credentials=GOOD
    )
    _drain(call)
    with suppress(LocalProtocolError):
        call.accept(now=0.1, address="192.0.2.1", port=40000)
    _run(call, 0.2)


def _to_the_answerer(request: Message, stage: str) -> None:
    invite = parse_datagram(INVITE + OFFER.to_bytes())
    assert isinstance(invite, Request)
    call = InboundCall(
        invite, now=0.0, local=("192.0.2.1", 5060), ids=CountedIds("fuzz"), source=FAR, credentials=GOOD
    )
    if stage == "answered":
        call.accept(now=0.1, address="192.0.2.1", port=40000)
    else:
        call.begin_media(now=0.1, address="192.0.2.1", port=40000)
    [response, *_] = [one for one, _ in call.outgoing() if isinstance(one, Response) and one.status > 100]
    call.events()
    for name in ("From", "To", "Call-ID"):
        request.headers.set(name, response.headers.get(name) or "")
    call.receive(request, now=0.2, source=FAR)
    _run(call, 0.3)


def _to_the_caller(response: Message, answered: bool) -> None:
    call = OutboundCall(
        Uri.parse("sip:far@192.0.2.7"),
        local=("192.0.2.1", 5060),
        offer=OFFER,
        sip_call_id="fuzzed",
        from_uri=Uri.parse("sip:probe@192.0.2.1"),
        ids=CountedIds("fuzz"),
        credentials=GOOD,
    )
    call.start(now=0.0)
    asked = [one for one, _ in call.outgoing() if isinstance(one, Request)][-1]
    if answered:
        # The second of two answers, from another branch of a fork.
        _answer(call, asked)
    for name in ("Via", "From", "Call-ID", "CSeq"):
        response.headers.set(name, asked.headers.get(name) or "")
    call.receive(response, now=0.2, source=FAR)
    _run(call, 0.3)


def _answer(call: OutboundCall, asked: Request) -> None:
    head = "\r\n".join(
        f"{name}: {asked.headers.get(name)}" for name in ("Via", "From", "To", "Call-ID", "CSeq")
    )
    kind = "Contact: <sip:far@192.0.2.7>\r\nContent-Type: application/sdp"
    answer = f"SIP/2.0 200 OK\r\n{head};\r\n{kind}\r\n\r\n".replace("\r\nCall-ID", ";tag=far\r\nCall-ID")
    call.receive(
        parse_datagram(answer.replace("INVITE;", "INVITE").encode() + OFFER.to_bytes()), now=0.1, source=FAR
    )
    _drain(call)


def _run(call: InboundCall | OutboundCall, now: float) -> None:
    """Let the call go on until its repeats are over, hang up, and let it end."""
    for _ in range(2):
        for _ in range(MOST_DEADLINES):
            _drain(call)
            due = call.next_deadline()
            if due is None or due > now + 64.0:
                break
            now = max(now, due)
            call.handle_timer(now=now)
        call.hang_up(now=now)
    _drain(call)


def _drain(call: InboundCall | OutboundCall) -> None:
    for message, _ in call.outgoing():
        parse_datagram(message.to_bytes())
        message.redacted()
    for event in call.events():
        repr(event)
