"""What is fuzzed: each function takes any octets, and fails only when the code under it does.

A refusal is an answer like others. Anything else that is raised is a fault, and so is reading one thing twice
and getting two.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from tuner_sipbridge.errors import NegotiationFailed, RemoteProtocolError
from tuner_sipbridge.sdp.negotiation import accept_answer, answer, make_offer
from tuner_sipbridge.sdp.session import SessionDescription
from tuner_sipbridge.sip.digest import Challenge, challenges_of, strongest, verify
from tuner_sipbridge.sip.framing import StreamFramer
from tuner_sipbridge.sip.headers import Headers
from tuner_sipbridge.sip.message import Request, Response
from tuner_sipbridge.sip.parser import Limits, parse_datagram
from tuner_sipbridge.sip.refusal import refusal_of, way_back_of

CORPUS = Path(__file__).parent / "corpus"
SOURCE = ("192.0.2.7", 5060)


def message(data: bytes) -> None:
    """A datagram: read, asked for all it has, and read again; or refused with an answer that can be read."""
    try:
        read = parse_datagram(data)
    except RemoteProtocolError as fault:
        refusal = refusal_of(data, fault, source=SOURCE, to_tag="t")
        if refusal is not None:
            refusal.to_bytes()
            way_back_of(refusal, SOURCE)
        return
    again = parse_datagram(read.to_bytes())
    assert again == read
    _ = read.call_id, read.cseq, read.via.response_address, read.from_, read.to, read.content_type
    read.redacted().encode()
    if isinstance(read, Request):
        _ = read.contact, read.routes, read.record_routes
    else:
        strongest(challenges_of(read))


def stream(data: bytes) -> None:
    """A stream: the same frames whole and in pieces, whose length the first octet says."""
    limits = Limits(message_octets=4000, head_octets=2000)
    whole, pieces = StreamFramer(limits), StreamFramer(limits)
    size = (data[0] if data else 0) + 1
    frames = whole.receive(data)
    cut = [frame for at in range(0, len(data), size) for frame in pieces.receive(data[at : at + size])]
    assert frames == cut
    assert whole.broken == pieces.broken


def description(data: bytes) -> None:
    """A session description: read, written, read again, and answered or refused."""
    try:
        read = SessionDescription.parse(data)
    except (RemoteProtocolError, NegotiationFailed):
        return
    assert SessionDescription.parse(read.to_bytes()) == read
    try:
        answer(read, "192.0.2.1", 40000, 7)
        accept_answer(make_offer("192.0.2.1", 40000, 7), read)
    except NegotiationFailed:
        return


def challenge(data: bytes) -> None:
    """A challenge, and the same octets as credentials that must not open anything."""
    text = data.decode("utf-8", "surrogateescape").replace("\r", " ").replace("\n", " ")
    assert not verify(text, username="u", password="p", method="INVITE", nonce="n")
    try:
        Challenge.parse(text)
    except RemoteProtocolError:
        pass
    headers = Headers([("WWW-Authenticate", text), ("Proxy-Authenticate", text)])
    strongest(challenges_of(Response(401, "Unauthorized", headers)))


TARGETS: dict[str, Callable[[bytes], None]] = {
    "message": message,
    "stream": stream,
    "description": description,
    "challenge": challenge,
}


def corpus_of(target: str) -> list[bytes]:
    """The saved inputs of a target."""
    return [path.read_bytes() for path in sorted((CORPUS / target).iterdir())]
