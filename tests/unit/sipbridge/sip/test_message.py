from __future__ import annotations

import pytest

from tuner_sipbridge.errors import LocalProtocolError, RemoteProtocolError
from tuner_sipbridge.sip.headers import CSeq, Headers
from tuner_sipbridge.sip.message import Request, Response, response_to
from tuner_sipbridge.sip.parser import parse_datagram
from tuner_sipbridge.sip.uri import Uri


def make_invite(*more: tuple[str, str], to: str = "<sip:agent@h>", body: bytes = b"") -> Request:
    headers = Headers(
        [
            ("Via", "SIP/2.0/UDP a;branch=z9hG4bK1, SIP/2.0/UDP b;branch=z9hG4bK2"),
            ("v", "SIP/2.0/UDP c;branch=z9hG4bK3"),
            ("From", '"Probe" <sip:probe@a>;tag=f1'),
            ("To", to),
            ("Call-ID", "c81"),
            ("CSeq", "7 INVITE"),
            *more,
        ]
    )
    return Request("INVITE", Uri.parse("sip:agent@h"), headers, body)


def test_what_a_user_agent_reads():
    invite = make_invite(
        ("Contact", "<sip:probe@a:5070>"),
        ("Record-Route", "<sip:p1;lr>, <sip:p2;lr>"),
        ("Record-Route", "<sip:p3;lr>"),
    )
    assert invite.call_id == "c81"
    assert invite.cseq == CSeq(7, "INVITE")
    assert (invite.from_.tag, invite.to.tag) == ("f1", None)
    assert [via.branch for via in invite.vias] == ["z9hG4bK1", "z9hG4bK2", "z9hG4bK3"]
    assert invite.via.host == "a"
    assert invite.contact is not None
    assert invite.contact.uri.port == 5070
    assert [route.uri.host for route in invite.record_routes] == ["p1", "p2", "p3"]
    assert invite.routes == []


def test_a_changed_header_is_read_anew():
    invite = make_invite()
    assert invite.cseq.number == 7
    assert invite.via.host == "a"
    invite.headers.set("CSeq", "8 INVITE")
    invite.headers.insert_first("Via", "SIP/2.0/UDP z")
    assert invite.cseq.number == 8
    assert invite.via.host == "z"


def test_a_given_list_is_the_askers_own():
    invite = make_invite()
    invite.vias.clear()
    assert len(invite.vias) == 3


def test_a_missing_or_broken_header_is_named():
    empty = Request("OPTIONS", Uri(host="h"))
    for name in ("call_id", "cseq", "from_", "to", "via"):
        with pytest.raises(RemoteProtocolError, match="is missing"):
            getattr(empty, name)
    assert empty.contact is None
    empty.headers.add("Contact", "<sip:")
    with pytest.raises(RemoteProtocolError, match="Contact"):
        _ = empty.contact


def test_the_star_of_a_registration_is_no_address():
    assert make_invite(("Contact", "*")).contacts == []


def test_content_length_is_written_from_the_body():
    invite = make_invite(
        ("Content-Length", "9999"), ("Content-Type", "Application/SDP ; charset=x"), body="ü".encode()
    )
    wire = invite.to_bytes()
    assert wire.startswith(b"INVITE sip:agent@h SIP/2.0\r\nVia: SIP/2.0/UDP a;branch=z9hG4bK1, ")
    assert wire.endswith(b"\r\nContent-Length: 2\r\n\r\n\xc3\xbc")
    assert wire.count(b"Content-Length") == 1
    assert invite.content_type == "application/sdp"


def test_what_cannot_be_written_is_refused():
    with pytest.raises(LocalProtocolError):
        Request("IN VITE", Uri(host="h"))
    with pytest.raises(LocalProtocolError):
        Response(99, "Low")
    with pytest.raises(LocalProtocolError):
        Response(200, "OK\r\nVia: x")
    with pytest.raises(LocalProtocolError, match="UTF-8"):
        make_invite(("X-Lone", "\ud800")).to_bytes()


def test_a_trace_shows_a_message_without_its_secrets():
    credentials = (
        'Digest username="probe\\"x", realm="r", nonce="n", uri="sip:h", response = "0a1b", '
        "username*=UTF-8''probe"
    )
    invite = make_invite(
        ("Authorization", credentials),
        ("Proxy-Authorization", "Bearer topsecret"),
        ("Contact", "<sip:probe:topsecret@a>"),
        ("X-Way", "<sip:desk:topsecret:topsecret@b>"),
        body=b"v=0\r\na=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:topsecret|2^20\r\n\xff",
    )
    text = invite.redacted()
    assert 'nonce="n"' in text
    assert "<sip:probe:<removed>@a>" in text
    assert "<sip:desk:<removed>@b>" in text
    assert "AES_CM_128_HMAC_SHA1_80 inline:<removed>|2^20" in text
    assert "Proxy-Authorization: Bearer <removed>\r\n" in text
    for secret in ("topsecret", "0a1b", 'probe\\"', "''probe"):
        assert secret not in text
    text.encode()
    assert "probe" not in repr(invite)


def test_a_response_copies_what_rfc_3261_8_2_6_says():
    answer = response_to(
        make_invite(("Record-Route", "<sip:p1;lr>"), ("Timestamp", "54")),
        200,
        to_tag="t1",
        headers=[("Contact", "<sip:agent@h>")],
        body=b"v=0\r\n",
        content_type="application/sdp",
    )
    assert answer.start_line == "SIP/2.0 200 OK"
    assert list(answer.headers.items()) == [
        ("Via", "SIP/2.0/UDP a;branch=z9hG4bK1, SIP/2.0/UDP b;branch=z9hG4bK2"),
        ("Via", "SIP/2.0/UDP c;branch=z9hG4bK3"),
        ("Record-Route", "<sip:p1;lr>"),
        ("From", '"Probe" <sip:probe@a>;tag=f1'),
        ("To", "<sip:agent@h>;tag=t1"),
        ("Call-ID", "c81"),
        ("CSeq", "7 INVITE"),
        ("Contact", "<sip:agent@h>"),
        ("Content-Type", "application/sdp"),
    ]
    assert parse_datagram(answer.to_bytes()) == answer


def test_a_100_has_no_tag_and_gives_the_timestamp_back():
    trying = response_to(make_invite(("Record-Route", "<sip:p1;lr>"), ("Timestamp", "54")), 100, to_tag="t1")
    assert trying.to.tag is None
    assert trying.headers.get("Timestamp") == "54"
    assert trying.record_routes == []


def test_a_tag_that_is_there_stays_and_a_refusal_makes_no_dialog():
    busy = response_to(
        make_invite(("Record-Route", "<sip:p1;lr>"), to="sip:agent@h;tag=t0"), 486, to_tag="t1"
    )
    assert busy.to.tag == "t0"
    assert busy.record_routes == []
    assert response_to(make_invite(), 480, "Gone Fishing").reason == "Gone Fishing"
