from __future__ import annotations

import pytest

from tuner_sipbridge.errors import RemoteProtocolError
from tuner_sipbridge.sip.message import Request, Response
from tuner_sipbridge.sip.parser import Limits, parse_datagram

OPTIONS = b"""\
OPTIONS sip:agent@h SIP/2.0\r
Via: SIP/2.0/UDP a;branch=z9hG4bK1\r
Max-Forwards: 70\r
From: <sip:probe@a>;tag=f1\r
To: <sip:agent@h>\r
Call-ID: c81\r
CSeq: 7 OPTIONS\r
Content-Length: 5\r
\r
body."""


def changed(old: bytes, new: bytes) -> bytes:
    assert OPTIONS.count(old) == 1
    return OPTIONS.replace(old, new)


def test_a_request():
    message = parse_datagram(OPTIONS)
    assert isinstance(message, Request)
    assert (message.method, str(message.uri), message.body) == ("OPTIONS", "sip:agent@h", b"body.")
    assert message.headers.get("content-length") is None
    assert message.to_bytes().endswith(b"Content-Length: 5\r\n\r\nbody.")


@pytest.mark.parametrize(
    ("line", "status", "reason"),
    [
        (b"SIP/2.0 200 OK", 200, "OK"),
        (b"SIP/2.0 100 ", 100, ""),
        (b"SIP/2.0 699", 699, ""),
        (b"sip/2.0 480 Temporarily \xc3\xbc  gone", 480, "Temporarily ü  gone"),
    ],
)
def test_a_response(line: bytes, status: int, reason: str):
    message = parse_datagram(changed(b"OPTIONS sip:agent@h SIP/2.0", line))
    assert isinstance(message, Response)
    assert (message.status, message.reason) == (status, reason)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"To: <sip:agent@h>\r\n", b"To:\r\n <sip:agent@h>\r\n"),
        (b"To: <sip:agent@h>\r\n", b"t   :\t<sip:agent@h>  \r\n"),
        (b"From: <sip:probe@a>;tag=f1\r\n", b"fRoM: <sip:probe@a>\r\n\t;\r\n  tag = f1\r\n"),
        (b"CSeq: 7 OPTIONS\r\n", b"CSeq: 0007 \r\n   OPTIONS\r\n"),
        (b"OPTIONS sip:agent@h SIP/2.0\r\n", b"\r\n\r\nOPTIONS sip:agent@h sip/2.0\r\n"),
        (b"body.", b"body.and more"),
    ],
)
def test_the_same_message_in_other_clothes(old: bytes, new: bytes):
    other, plain = parse_datagram(changed(old, new)), parse_datagram(OPTIONS)
    assert isinstance(other, Request)
    assert (other.method, other.cseq, other.from_, other.to) == ("OPTIONS", plain.cseq, plain.from_, plain.to)
    assert other.body == b"body."


def test_line_feeds_alone_end_lines():
    assert parse_datagram(OPTIONS.replace(b"\r\n", b"\n")) == parse_datagram(OPTIONS)


def test_without_content_length_the_body_is_the_rest_of_the_datagram():
    message = parse_datagram(changed(b"Content-Length: 5\r\n", b"") + b"\r\n\r\n")
    assert message.body == b"body.\r\n\r\n"


def test_octets_that_are_not_utf_8_come_out_as_they_went_in():
    message = parse_datagram(changed(b"Max-Forwards: 70", b"Subject: caf\xe9 \x00"))
    assert b"\r\nSubject: caf\xe9 \x00\r\n" in message.to_bytes()
    assert "\ufffd" in message.redacted()


def test_unicode_space_is_part_of_a_value():
    message = parse_datagram(changed(b"Max-Forwards: 70", "Subject: \u00a0a\u2028b\x85\u3000".encode()))
    assert message.headers.get("Subject") == "\u00a0a\u2028b\x85\u3000"


@pytest.mark.parametrize("data", [b"", b"\r\n\r\n", b"\0", b"\x80" * 40])
def test_what_is_no_message_is_refused(data: bytes):
    with pytest.raises(RemoteProtocolError):
        parse_datagram(data)


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        (b"\r\n\r\nbody.", b"\r\n", "no empty line"),
        (b"OPTIONS sip:agent@h SIP/2.0", b"OPTIONS sip:agent@h", "start line: not method"),
        (b"OPTIONS sip:agent@h SIP/2.0", b"OPTIONS  sip:agent@h SIP/2.0", "start line: not method"),
        (b"OPTIONS sip:agent@h SIP/2.0", b"OPTIONS sip:agent@h SIP/2.0 ", "start line: not method"),
        (b"OPTIONS sip:agent@h SIP/2.0", b"OPTIONS sip:agent@h; lr SIP/2.0", "start line: not method"),
        (b"OPTIONS sip:agent@h SIP/2.0", b"OPTIONS <sip:agent@h> SIP/2.0", "no scheme"),
        (b"OPTIONS sip:agent@h SIP/2.0", b"OPTIONS sip:agent@h?Route=x SIP/2.0", "Request-URI has headers"),
        (b"OPTIONS sip:agent@h SIP/2.0", b"OPT(ONS sip:agent@h SIP/2.0", "method is not a token"),
        (b"OPTIONS sip:agent@h SIP/2.0", b"OPTIONS sip:agent@h SIP/7.0", "version is not SIP/2.0"),
        (b"OPTIONS sip:agent@h SIP/2.0", b"SIP/2.0 4294967301 broken", "status code"),
        (b"OPTIONS sip:agent@h SIP/2.0", b"SIP/2.0 099 low", "status code"),
        (b"OPTIONS sip:agent@h SIP/2.0", b"SIP/2.0 0200 long", "status code"),
        (b"OPTIONS sip:agent@h SIP/2.0", b"SIP/2.0 700 high", "status code"),
        (b"OPTIONS sip:agent@h SIP/2.0", b"SIP/2.0 20\xc2\xb2 squared", "status code"),
        (b"OPTIONS sip:agent@h SIP/2.0", b"SIP/2.0 200 O\rK", "carriage return"),
        (b"Max-Forwards: 70", b"Max-Forwards 70", "header field 2 has no colon"),
        (b"Max-Forwards: 70", b"Max Forwards: 70", "header field 2: a header name is not a token"),
        (b"Max-Forwards: 70", b": 70", "header field 2: a header name is not a token"),
        (b"Max-Forwards: 70", b"Subject: a\rTo: b", "header field 2: the value of Subject has a line break"),
        (b"Max-Forwards: 70", b"t: <sip:other@h>", "To stands more than once"),
        (b"Max-Forwards: 70", b"i: other", "Call-ID stands more than once"),
        (b"Max-Forwards: 70", b"l: 5", "Content-Length stands more than once"),
        (b"Max-Forwards: 70", b"Contact: <sip:probe@a>;;;;", "Contact: empty parameter"),
        (b"Max-Forwards: 70", b"Contact: sip:probe@a?Route=x", 'Contact: address: a display name, "[?]"'),
        (b"Max-Forwards: 70", b"Record-Route: <sip:p>, ", "Record-Route: URI, position 0"),
        (b"Via: SIP/2.0/UDP a;branch=z9hG4bK1\r\n", b"", "Via is missing"),
        (b"Via: SIP/2.0/UDP a;branch=z9hG4bK1\r\n", b"Via: \r\n", "Via is missing"),
        (b"branch=z9hG4bK1", b";,;,,", "Via: empty parameter"),
        (b"From: <sip:probe@a>;tag=f1\r\n", b"", "From is missing"),
        (b"To: <sip:agent@h>", b'To: "Mr. A <sip:agent@h>', "To: position 0: the quote is never closed"),
        (b"Call-ID: c81\r\n", b"", "Call-ID is missing"),
        (b"CSeq: 7 OPTIONS", b"CSeq: 36893488147419103232 OPTIONS", "CSeq: not a number"),
        (b"CSeq: 7 OPTIONS", b"CSeq: 7 INVITE", "CSeq: its method is not that of the request"),
        (b"Content-Length: 5", b"Content-Length: 9999", "Content-Length says 9999 octets, the body has 5"),
        (b"Content-Length: 5", b"Content-Length: -5", "Content-Length is not a number"),
        (b"Content-Length: 5", b"Content-Length: 5 5", "Content-Length is not a number"),
        (b"Content-Length: 5", b"Content-Length: " + b"9" * 5000, "Content-Length is not a number"),
    ],
)
def test_a_broken_message_is_refused_by_name(old: bytes, new: bytes, reason: str):
    with pytest.raises(RemoteProtocolError, match=reason):
        parse_datagram(changed(old, new))


@pytest.mark.parametrize(
    "limits",
    [
        Limits(message_octets=100),
        Limits(head_octets=100),
        Limits(header_fields=5),
        Limits(field_characters=20),
    ],
)
def test_a_message_over_a_limit_is_refused(limits: Limits):
    assert parse_datagram(OPTIONS)
    with pytest.raises(RemoteProtocolError):
        parse_datagram(OPTIONS, limits)


def test_a_refusal_with_a_bad_contact_is_still_a_refusal():
    response = changed(b"OPTIONS sip:agent@h SIP/2.0", b"SIP/2.0 486 Busy Here").replace(
        b"Max-Forwards: 70", b"Contact: <sip:;transport=udp>"
    )
    assert parse_datagram(response).cseq.method == "OPTIONS"
    with pytest.raises(RemoteProtocolError, match="Contact"):
        parse_datagram(response.replace(b"486 Busy Here", b"200 OK"))


def test_unknown_schemes_are_for_a_higher_layer():
    message = parse_datagram(changed(b"sip:agent@h SIP/2.0", b"nobody.knows:this SIP/2.0"))
    assert isinstance(message, Request)
    assert not message.uri.is_sip


def test_what_the_peer_sent_can_be_logged_whatever_its_octets():
    message = (
        b"OPTIONS sip:b@c SIP/2.0\r\nVia: SIP/2.0/UDP b;branch=z9hG4bK1\r\nFrom: <sip:a@b>;t\xaa=1\r\n"
        b"To: <sip:b@c>\r\nCall-ID: x\r\nCSeq: 1 OPTIONS\r\n\r\n"
    )
    with pytest.raises(RemoteProtocolError) as error:
        parse_datagram(message)
    assert r"\udcaa" in str(error.value)
    str(error.value).encode()
