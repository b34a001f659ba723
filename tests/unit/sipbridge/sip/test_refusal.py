from __future__ import annotations

import pytest

from tuner_sipbridge.errors import RemoteProtocolError
from tuner_sipbridge.sip.framing import Malformed, StreamFramer
from tuner_sipbridge.sip.message import Response
from tuner_sipbridge.sip.parser import Limits, parse_datagram
from tuner_sipbridge.sip.refusal import refusal_of, way_back_of

SOURCE = ("198.51.100.7", 5099)
REQUEST = b"""\
OPTIONS sip:agent@bridge.example SIP/2.0\r
Via: SIP/2.0/UDP 192.0.2.9:5062;rport;branch=z9hG4bKt1\r
Via: SIP/2.0/UDP far.example;branch=z9hG4bKt0\r
From: <sip:probe@far.example>;tag=p1\r
To: <sip:agent@bridge.example>\r
Call-ID: c1\r
CSeq: 7 OPTIONS\r
Content-Length: 0\r
\r
"""


def refuse(data: bytes, limits: Limits = Limits()) -> Response | None:
    with pytest.raises(RemoteProtocolError) as fault:
        parse_datagram(data, limits)
    return refusal_of(data, fault.value, source=SOURCE, to_tag="t1")


def refused(data: bytes, limits: Limits = Limits()) -> Response:
    answer = refuse(data, limits)
    assert answer is not None
    return answer


def test_a_refusal_finds_its_way_back_and_its_transaction():
    answer = refused(REQUEST.replace(b"Content-Length: 0", b"Content-Length: x"))
    assert answer.start_line == "SIP/2.0 400 Bad Request: Content-Length is not a number of octets"
    assert parse_datagram(answer.to_bytes()) == answer
    assert (answer.via.received, answer.via.rport) == SOURCE
    assert way_back_of(answer, SOURCE) == SOURCE
    assert [via.branch for via in answer.vias] == ["z9hG4bKt1", "z9hG4bKt0"]
    assert (answer.call_id, str(answer.cseq), answer.to.tag, answer.from_.tag) == (
        "c1",
        "7 OPTIONS",
        "t1",
        "p1",
    )


def test_a_refusal_goes_to_nobody_but_the_sender():
    via = b"SIP/2.0/UDP 192.0.2.9:5062;maddr=203.0.113.9;branch=z9hG4bKt1"
    answer = refused(REQUEST.replace(REQUEST.split(b"\r\n")[1][5:], via).replace(b"CSeq: 7", b"CSeq: x"))
    assert way_back_of(answer, SOURCE) == ("198.51.100.7", 5062)
    answer = refused(REQUEST.replace(b"SIP/2.0/UDP 192.0.2.9:5062", b"SIP/2.0/UDP ;;"))
    assert way_back_of(answer, SOURCE) == SOURCE


@pytest.mark.parametrize(
    ("limits", "status", "words"),
    [
        (Limits(message_octets=200), 513, "message of .* octets; 200 are allowed"),
        (Limits(head_octets=250), 513, "no empty line within 250 octets"),
        (Limits(header_fields=6), 513, "7 header fields; 6 are allowed"),
        (Limits(field_characters=50), 513, "header field 1 is longer than 50"),
        (Limits(uri_characters=20), 414, "the Request-URI is longer than 20"),
        (Limits(body_octets=4), 413, "body of 5 octets; 4 are allowed"),
    ],
)
def test_what_is_over_a_limit_has_the_status_that_says_so(limits: Limits, status: int, words: str):
    data = REQUEST.replace(b"Content-Length: 0\r\n\r\n", b"Content-Length: 5\r\n\r\nfive!")
    parse_datagram(data)
    answer = refused(data, limits)
    assert answer.status == status
    with pytest.raises(RemoteProtocolError, match=words):
        parse_datagram(data, limits)


def test_a_stream_over_a_limit_is_broken_and_what_came_is_answered():
    framer = StreamFramer(Limits(head_octets=200))
    (malformed,) = framer.receive(REQUEST)
    assert isinstance(malformed, Malformed)
    assert framer.broken == "no empty line within 200 octets ends the headers"
    answer = refusal_of(malformed.octets, malformed.fault, source=SOURCE, to_tag="us")
    assert answer is not None
    assert (answer.status, answer.via.branch) == (513, "z9hG4bKt1")


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x16\x03\x01\x02\x00",
        REQUEST.replace(b"OPTIONS", b"ACK").replace(b"7 ACK", b"x"),
        REQUEST.replace(b"Via", b"Vie"),
        b"SIP/2.0 777 What\r\n" + REQUEST.split(b"\r\n", 1)[1],
        b"sip/2.0 200 OK\r\n" + REQUEST.split(b"\r\n", 1)[1].replace(b"Call-ID", b"X"),
    ],
)
def test_what_is_no_request_gets_no_answer(data: bytes):
    assert refuse(data) is None


def test_octets_of_any_kind_are_given_back_as_they_came():
    answer = refused(REQUEST.replace(b"Call-ID: c1", b"Call-ID: c\xff1").replace(b"7 OPTIONS", b"7 options"))
    assert b"Call-ID: c\xff1\r\n" in answer.to_bytes()


def test_no_octets_of_the_request_reach_the_reason_unless_they_are_plain():
    answer = refused(REQUEST.replace(b"rport;", "räck=;".encode()))
    assert answer.start_line.isascii()
    assert "parameter name" in answer.reason
