"""Registrations in virtual time (RFC 3261 §10.3)."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tuner_sipbridge.call.bindings import Binding
from tuner_sipbridge.call.challenge import Challenger
from tuner_sipbridge.call.ids import Credentials
from tuner_sipbridge.call.registrar import Registered, Registrar, Removed, Terms
from tuner_sipbridge.call.replies import Reply
from tuner_sipbridge.sip.digest import authorization, challenges_of
from tuner_sipbridge.sip.message import Request
from tuner_sipbridge.sip.parser import parse_datagram
from tuner_sipbridge.sip.routing import Hop
from tuner_sipbridge.sip.uri import Uri

DESK = "<sip:desk@198.51.100.7:5062>"
ADDRESS = "sip:sales team@pbx.example"
PEER = Hop("udp", "203.0.113.9", 40000)
BY_TCP, BY_TLS = replace(PEER, transport="tcp"), replace(PEER, transport="tls")


def register(
    *lines: str,
    cseq: int = 1,
    call_id: str = "phone",
    to: str = "<sip:sales%20team@PBX.example>",
    branch: str = "",
) -> Request:
    head = [
        "REGISTER sip:pbx.example SIP/2.0",
        f"Via: SIP/2.0/UDP 198.51.100.7:5062;branch=z9hG4bK{branch or f'{call_id}{cseq}'}",
        f"From: {to};tag=1",
        f"To: {to}",
        f"Call-ID: {call_id}",
        f"CSeq: {cseq} REGISTER",
        "Max-Forwards: 70",
        *lines,
        "Content-Length: 0",
    ]
    message = parse_datagram("\r\n".join([*head, "", ""]).encode())
    assert isinstance(message, Request)
    return message


def ask(registrar: Registrar, *lines: str, now: float = 0.0, cseq: int = 1, **more: str) -> Reply:
    return registrar.receive(register(*lines, cseq=cseq, **more), now=now, nonce=f"n{cseq}", source=PEER)


def listed(reply: Reply) -> list[str]:
    return [value for name, value in reply.headers if name == "Contact"]


def test_a_contact_is_bound_listed_and_lapses():
    registrar = Registrar()
    reply = ask(registrar, f"Contact: {DESK};expires=600;q=0.5", now=1_800_000_000.0)
    assert reply.status == 200
    assert listed(reply) == [f"{DESK};expires=600;q=0.5"]
    assert ("Date", "Fri, 15 Jan 2027 08:00:00 GMT") in reply.headers
    (binding,) = registrar.contacts(now=1_800_000_599.0)
    assert (binding.address, str(binding.contact), binding.source) == (ADDRESS, DESK[1:-1], PEER)
    assert registrar.contacts(ADDRESS, now=1_800_000_599.0) == [binding]
    assert registrar.contacts("sip:other@pbx.example", now=1_800_000_000.0) == []
    assert registrar.contacts(now=1_800_000_600.0) == []


def test_times_come_from_the_contact_then_expires_then_the_terms_and_are_cut():
    registrar = Registrar(Terms(max_expires_s=1000, default_expires_s=500))
    reply = ask(registrar, "Contact: <sip:a@x.example>;expires=200, <sip:b@x.example>", "Expires: 5000")
    assert listed(reply) == ["<sip:a@x.example>;expires=200", "<sip:b@x.example>;expires=1000"]
    reply = ask(registrar, "Contact: <sip:c@x.example>", cseq=2)
    assert "<sip:c@x.example>;expires=500" in listed(reply)
    reply = ask(registrar, "Contact: <sip:c@x.example>;expires=soon", cseq=3)
    assert "<sip:c@x.example>;expires=1000" in listed(reply), "what cannot be read is an hour (§20.19)"


def test_too_brief_an_interval_is_423_and_changes_nothing():
    registrar = Registrar(Terms(min_expires_s=60))
    reply = ask(registrar, "Contact: <sip:a@x.example>;expires=3600, <sip:b@x.example>;expires=59")
    assert (reply.status, reply.headers) == (423, (("Min-Expires", "60"),))
    assert registrar.contacts(now=0.0) == []


def test_a_refresh_replaces_and_zero_removes_what_is_the_same_uri():
    registrar = Registrar()
    ask(registrar, f"Contact: {DESK}", "Contact: <sip:other@x.example>")
    assert [type(event) for event in registrar.events()] == [Registered, Registered]
    ask(registrar, "Contact: <sip:%64esk@198.51.100.7:5062>;expires=900", now=100.0, cseq=2)
    assert [event.refreshed for event in registrar.events() if isinstance(event, Registered)] == [True]
    assert len(registrar.contacts(now=100.0)) == 2
    ask(registrar, f"Contact: {DESK};expires=0", now=100.0, cseq=3)
    (gone,) = registrar.events()
    assert isinstance(gone, Removed)
    assert [str(binding.contact) for binding in registrar.contacts(now=100.0)] == ["sip:other@x.example"]


def test_a_register_without_contact_only_asks():
    registrar = Registrar()
    ask(registrar, f"Contact: {DESK};expires=600")
    assert listed(ask(registrar, now=100.5, cseq=2)) == [f"{DESK};expires=500"]


def test_the_wildcard_removes_all_and_only_with_expires_0():
    registrar = Registrar()
    ask(registrar, f"Contact: {DESK}", "Contact: <sip:other@x.example>")
    for wrong in (
        ["Contact: *"],
        ["Contact: *", "Expires: 60"],
        ["Contact: *", f"Contact: {DESK}", "Expires: 0"],
    ):
        assert ask(registrar, *wrong, cseq=2, branch=str(wrong)[2:6] + str(len(wrong))).status == 400
    assert len(registrar.contacts(now=0.0)) == 2
    assert listed(ask(registrar, "Contact: *", "Expires: 0", cseq=3)) == []
    assert registrar.contacts(now=0.0) == []


def test_an_overtaken_request_fails_and_its_repeat_gets_the_same_answer():
    registrar = Registrar()
    ask(registrar, f"Contact: {DESK};expires=600", cseq=5)
    assert ask(registrar, f"Contact: {DESK};expires=0", cseq=4).status == 500
    assert ask(registrar, "Contact: *", "Expires: 0", cseq=3).status == 500
    assert ask(registrar, f"Contact: {DESK};expires=0", cseq=1, call_id="rebooted").status == 200
    again = ask(registrar, f"Contact: {DESK};expires=600", cseq=5, now=31.0)
    assert (again.status, listed(again)) == (200, [f"{DESK};expires=600"])
    assert registrar.contacts(now=31.0) == [], "a repeat is answered, not carried out"


def test_the_preferred_and_the_latest_come_first():
    registrar = Registrar()
    for cseq, (user, q) in enumerate([("a", "0.3"), ("b", "1.0"), ("c", "1")], start=1):
        ask(registrar, f"Contact: <sip:{user}@x.example>;q={q}", cseq=cseq, now=float(cseq))
    assert [binding.contact.user for binding in registrar.contacts(now=9.0)] == ["c", "b", "a"]


@pytest.mark.parametrize(
    ("lines", "status"),
    [
        (["Contact: <sip:a@x.example>;q=1.5"], 400),
        (["Require: path", f"Contact: {DESK}"], 420),
    ],
)
def test_what_cannot_be_done_is_refused(lines: list[str], status: int):
    registrar = Registrar()
    assert ask(registrar, *lines).status == status
    assert registrar.contacts(now=0.0) == []


def test_an_address_of_record_is_a_sip_uri():
    assert ask(Registrar(), f"Contact: {DESK}", to="<tel:+4930123>").status == 404


def test_too_many_are_refused():
    registrar = Registrar(Terms(addresses=1, contacts=1))
    assert ask(registrar, f"Contact: {DESK}").status == 200
    assert ask(registrar, "Contact: <sip:b@x.example>", cseq=2).status == 503
    assert ask(registrar, f"Contact: {DESK}", call_id="two", to="<sip:two@x.example>").status == 503


def test_more_contacts_than_can_be_bound_are_refused_before_each_is_compared_with_each():
    registrar = Registrar()
    lines = (
        "Contact: " + ",".join(f"<sip:{line * 1000 + place}@h>" for place in range(500)) for line in range(4)
    )
    assert ask(registrar, *lines).status == 503
    assert registrar.contacts(now=0.0) == []
    # All that stand may be replaced in one request.
    ten = [f"<sip:{place}@h>" for place in range(20)]
    assert ask(registrar, f"Contact: {','.join(ten[:10])}", cseq=2).status == 200
    exchange = ", ".join([*(f"{one};expires=0" for one in ten[:10]), *ten[10:]])
    assert ask(registrar, f"Contact: {exchange}", cseq=3).status == 200
    assert len(registrar.contacts(now=0.0)) == 10


def test_with_credentials_a_challenge_comes_first():
    registrar = Registrar(
        challenger=lambda: Challenger(Credentials("phone", "s3cret"), realm="here", status=401)
    )
    refused = ask(registrar, f"Contact: {DESK}")
    assert refused.status == 401
    (challenge,) = challenges_of(refused.to(register(f"Contact: {DESK}"), tag="t"))
    for cseq, password, status in ((2, "wrong", 401), (3, "s3cret", 200)):
        answer = authorization(
            challenge,
            username="phone",
            password=password,
            method="REGISTER",
            uri="sip:pbx.example",
            cnonce="c",
            nc=1,
        )
        reply = ask(registrar, f"Contact: {DESK}", f"Authorization: {answer}", cseq=cseq)
        assert reply.status == status
    assert len(registrar.contacts(now=0.0)) == 1


@pytest.mark.parametrize(
    ("contact", "source", "flow"),
    [
        ("sip:desk@198.51.100.7:5062", None, None),
        ("sip:desk@203.0.113.9:5062", PEER, None),
        ("sip:desk@10.0.0.7:5062", PEER, replace(PEER, flow=PEER.address)),
        ("sip:desk@phone.example", PEER, None),
        ("sip:desk@10.0.0.7;transport=tcp", PEER, None),
        ("sip:desk@10.0.0.7", BY_TCP, Hop("tcp", "10.0.0.7", 5060, flow=BY_TCP.address)),
        ("sip:desk@10.0.0.7:9;transport=TCP", BY_TCP, Hop("tcp", "10.0.0.7", 9, flow=BY_TCP.address)),
        ("sip:desk@10.0.0.7;transport=udp", BY_TCP, None),
        ("sips:desk@phone.invalid", BY_TLS, Hop("tls", "phone.invalid", 5061, flow=BY_TLS.address)),
        ("sip:desk@phone.invalid;transport=ws", BY_TCP, None),
    ],
)
def test_a_contact_is_reached_over_the_way_it_registered_unless_it_asks_otherwise(
    contact: str, source: Hop | None, flow: Hop | None
):
    assert Binding("sip:desk@pbx.example", Uri.parse(contact), 0.0, 60.0, source=source).flow == flow


def test_the_connection_of_a_registration_is_held_as_long_as_it_stands():
    registrar = Registrar()
    ask(registrar, f"Contact: {DESK};expires=600")
    assert registrar.keeps("phone", now=599.0)
    assert not registrar.keeps("other", now=1.0)
    assert not registrar.keeps("phone", now=600.0)
    ask(registrar, f"Contact: {DESK};expires=600", now=500.0, cseq=2)
    assert registrar.keeps("phone", now=1099.0)
    ask(registrar, f"Contact: {DESK};expires=0", now=501.0, cseq=3)
    assert not registrar.keeps("phone", now=502.0)
