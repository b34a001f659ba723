"""What is fuzzed: each function takes any octets, and fails only when the code under it does.

A refusal is an answer like others. Anything else that is raised is a fault, and so is reading one thing twice
and getting two.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import dns.exception
import dns.message
import dns.rdataclass
import dns.rdatatype
import dns.resolver
from tests.fuzz.in_calls import receive_everywhere

from tuner_sipbridge.call.causes import failure_of
from tuner_sipbridge.call.info import take_info
from tuner_sipbridge.call.offer_answer import OfferAnswer
from tuner_sipbridge.call.parties import parties_of
from tuner_sipbridge.errors import LocalProtocolError, NegotiationFailed, RemoteProtocolError
from tuner_sipbridge.net.resolver import answer_in
from tuner_sipbridge.net.stun import TRANSACTION_ID_OCTETS, mapped_address
from tuner_sipbridge.rtp.dtmf import EventReceiver
from tuner_sipbridge.rtp.packet import HEADER_SIZE, is_rtcp, parse_header
from tuner_sipbridge.rtp.srtp import Opener
from tuner_sipbridge.sdp.codecs import CODECS
from tuner_sipbridge.sdp.crypto import KEY_OCTETS, Crypto, Srtp, SrtpPolicy
from tuner_sipbridge.sdp.negotiation import accept_answer, answer, make_offer
from tuner_sipbridge.sdp.session import SessionDescription
from tuner_sipbridge.sip.digest import (
    Challenge,
    authorization,
    authorization_fields,
    challenges_of,
    next_nonce,
    strongest,
    verify,
)
from tuner_sipbridge.sip.framing import StreamFramer
from tuner_sipbridge.sip.headers import Headers, NameAddr
from tuner_sipbridge.sip.locating import Asks, locate
from tuner_sipbridge.sip.message import Message, Request, Response
from tuner_sipbridge.sip.parser import Limits, parse_datagram
from tuner_sipbridge.sip.records import Answer, Question
from tuner_sipbridge.sip.refusal import refusal_of, way_back_of
from tuner_sipbridge.sip.replaces import Replaces
from tuner_sipbridge.sip.uri import Uri
from tuner_sipbridge.sip.uri_comparison import same_uri

CORPUS = Path(__file__).parent / "corpus"
SOURCE = ("192.0.2.7", 5060)
LISTS = ("Supported", "Require", "Allow", "Accept", "Alert-Info", "P-Asserted-Identity", "History-Info")
ADDRESSES = ("Refer-To", "Referred-By", "P-Asserted-Identity", "Diversion", "History-Info", "Alert-Info")
KEYS = tuple(Crypto(tag, suite, bytes(size)) for tag, (suite, size) in enumerate(KEY_OCTETS.items(), start=1))
POLICIES: tuple[SrtpPolicy, ...] = ("off", "optional", "required")
MOST_REFUSAL = 4000
"""Characters of the longest refusal of a description, whatever that holds."""
MOST_QUESTIONS = 2 * 64 * 64


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
        take_info(read)
    else:
        strongest(challenges_of(read))
    _headers(read)


def _headers(read: Message) -> None:
    """Each header that says more than a text, read as far as it can be."""
    parties_of(read).to_fields()
    failure = failure_of(read)
    _ = [one.words for one in failure.reasons], [one.words for one in failure.warnings]
    for name in LISTS:
        with suppress(RemoteProtocolError):
            read.headers.elements(name)
    for name in ADDRESSES:
        for value in read.headers.get_all(name):
            _address(value)
    for value in read.headers.get_all("Replaces"):
        with suppress(RemoteProtocolError):
            replaces = Replaces.parse(value)
            assert Replaces.parse(str(replaces)) == replaces


def _address(text: str) -> None:
    try:
        address = NameAddr.parse(text)
    except RemoteProtocolError:
        return
    assert NameAddr.parse(str(address)) == address


def call(data: bytes) -> None:
    """A well-formed message, in whatever call or registration its like can come."""
    try:
        parse_datagram(data)
    except RemoteProtocolError:
        return
    receive_everywhere(data)


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
    """A session description: read, written, read again; taken or refused as first and later offer, and as answer."""
    try:
        read = SessionDescription.parse(data)
    except (RemoteProtocolError, NegotiationFailed):
        return
    assert SessionDescription.parse(read.to_bytes()) == read
    _ = read.bandwidths, read.version, [(one.rtcp, one.ptime_ms, one.bandwidths) for one in read.media]
    for policy in POLICIES:
        srtp = Srtp(policy, () if policy == "off" else KEYS)
        offer = make_offer("192.0.2.1", 40000, 7, tuple(CODECS), srtp=srtp)
        _negotiated(accept_answer, offer, read)
        with suppress(NegotiationFailed):
            answer(read, "192.0.2.1", 40000, 7, tuple(CODECS), srtp=srtp)
        _session(OfferAnswer(offer), data)


def _session(session: OfferAnswer, data: bytes) -> None:
    """The description as first offer, as answer to a hold of ours, and as a later offer."""
    session.decline(data)
    if not _negotiated(session.answer, data):
        return
    SessionDescription.parse(session.offer_again("sendonly"))
    _negotiated(session.take_answer, data)
    session.withdraw()
    _negotiated(session.answer, data)
    SessionDescription.parse(session.offer_again("sendrecv", by_address=True))
    SessionDescription.parse(session.told)


def _negotiated(take: Callable[..., object], *values: object) -> bool:
    try:
        take(*values)
    except NegotiationFailed as problem:
        refused = str(problem)
    else:
        return True
    assert len(refused) < MOST_REFUSAL
    return False


def challenge(data: bytes) -> None:
    """A challenge, and the same octets as credentials that must not open anything."""
    text = data.decode("utf-8", "surrogateescape").replace("\r", " ").replace("\n", " ")
    assert not verify(text, username="u", password="p", method="INVITE", nonce="n")
    with suppress(RemoteProtocolError):
        authorization_fields(text)
    with suppress(RemoteProtocolError):
        Challenge.parse(text)
    names = ("WWW-Authenticate", "Proxy-Authenticate", "Authentication-Info")
    response = Response(401, "Unauthorized", Headers((name, text) for name in names))
    next_nonce(response, proxy=False)
    found = challenges_of(response)
    strongest(found)
    for one in found:
        if one.is_answerable:
            _answer_to(one)


def _answer_to(asked: Challenge) -> None:
    """The credentials that answer a challenge can be read, and open the door that it stands before."""
    given = authorization(
        asked, username="u", password="p", method="BYE", uri="sip:a@b", cnonce="c", nc=1, body=b"x"
    )
    fields = authorization_fields(given)
    assert (fields["realm"], fields["nonce"]) == (asked.realm, asked.nonce)
    opens = verify(given, username="u", password="p", method="BYE", nonce=asked.nonce)
    assert opens == (asked.quality == "auth" and not asked.userhash)


def uri(data: bytes) -> None:
    """Two URIs with a line break between: written and read again, compared, and what is made of them."""
    first, _, second = data.decode("utf-8", "surrogateescape").partition("\n")
    _address(first)
    read: list[Uri] = []
    for text in (first, second or first):
        try:
            one = Uri.parse(text)
        except RemoteProtocolError:
            return
        assert Uri.parse(str(one)) == one
        assert same_uri(one, one)
        Uri.parse(str(one.as_request_uri()))
        with suppress(LocalProtocolError):
            one.request_headers()
        read.append(one)
    assert same_uri(*read) == same_uri(*reversed(read))


def packet(data: bytes) -> None:
    """A datagram at a media port, or at one that asked a STUN server: RTP, RTCP, SRTP, a STUN answer, or none."""
    is_rtcp(data)
    mapped_address(data, data[8 : 8 + TRANSACTION_ID_OCTETS])
    for key in KEYS:
        Opener(key.suite, key.key).open(data)
    header = parse_header(data)
    if header is None:
        return
    end = header.offset + header.length
    assert HEADER_SIZE <= header.offset <= end <= len(data)
    EventReceiver().receive(data[header.offset : end], ssrc=header.ssrc, timestamp=header.timestamp)


def records(data: bytes) -> None:
    """A name server's replies, each behind its length in two octets as over TCP, wherever they fit a question."""
    replies: dict[str, dns.resolver.Answer] = {}
    while len(data) > 2:
        [length] = struct.unpack_from("!H", data)
        piece, data = data[2 : 2 + length], data[2 + length :]
        with suppress(dns.exception.DNSException, ValueError, IndexError):
            reply = dns.message.from_wire(piece, ignore_trailing=True)
            if not isinstance(reply, dns.message.QueryMessage):
                continue
            [asked] = reply.question
            kind = dns.rdatatype.to_text(asked.rdtype)
            found = dns.resolver.Answer(asked.name, asked.rdtype, dns.rdataclass.IN, reply)
            replies[f"{kind} {asked.name.to_text(omit_final_dot=True).lower()}"] = found
    known: dict[Question, Answer] = {}
    while isinstance(step := locate(Uri(host="far.example"), known, draw=lambda most: most // 2), Asks):
        assert len(step.questions) <= MOST_QUESTIONS
        for question in step.questions:
            reply = replies.get(str(question))
            known[question] = Answer() if reply is None else answer_in(question, reply)


TARGETS: dict[str, Callable[[bytes], None]] = {
    "message": message,
    "call": call,
    "stream": stream,
    "description": description,
    "challenge": challenge,
    "uri": uri,
    "packet": packet,
    "records": records,
}


def corpus_of(target: str) -> list[bytes]:
    """The saved inputs of a target."""
    return [path.read_bytes() for path in sorted((CORPUS / target).iterdir())]
