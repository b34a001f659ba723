"""What a call writes into its messages, and how it lives, over TCP and TLS."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import pytest

from tuner_sipbridge.call.challenge import Challenger
from tuner_sipbridge.call.events import Answered, Ended, Incoming, Parted, Unreachable
from tuner_sipbridge.call.ids import Credentials
from tuner_sipbridge.call.inbound import InboundCall
from tuner_sipbridge.call.requests import Reach
from tuner_sipbridge.sip.message import Request
from tuner_sipbridge.sip.routing import Hop
from tuner_sipbridge.sip.uri import Uri
from tuner_sipbridge.testing.network import CountedIds

Dial = Callable[..., Any]
FAR_TCP = Hop("tcp", "198.51.100.7", 40123)


def reach(**fields: object) -> Reach:
    return dataclasses.replace(Reach(("192.0.2.1", 5070), "caller"), **fields)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("ours", "contact"),
    [
        (reach(), "<sip:caller@192.0.2.1:5070>"),
        (reach(transport="tcp"), "<sip:caller@192.0.2.1:5070;transport=tcp>"),
        (reach(transport="tls"), "<sip:caller@192.0.2.1:5070;transport=tls>"),
        (reach(transport="tls", secure=True), "<sips:caller@192.0.2.1:5070>"),
    ],
)
def test_contact_names_the_transport(ours: Reach, contact: str):
    assert ours.contact == ("Contact", contact)


@pytest.mark.parametrize(
    ("ours", "towards", "via"),
    [
        (reach(), "sip:far.example", "UDP"),
        (reach(), "sip:far.example;transport=tcp", "TCP"),
        (reach(transport="tcp"), "sip:far.example", "TCP"),
        (reach(transport="tcp"), "sip:far.example;transport=udp", "UDP"),
        (reach(transport="tcp"), "sip:far.example;transport=sctp", "TCP"),
        (reach(), "sips:far.example", "TLS"),
        (reach(secure=True), "sip:far.example;transport=tcp", "TLS"),
    ],
)
def test_via_has_the_transport_of_the_next_hop_or_else_of_the_call(ours: Reach, towards: str, via: str):
    written = ours.via("z9hG4bK-1", towards=Uri.parse(towards))
    assert written.transport == via
    assert (written.param("alias") is None) == (via == "UDP")


def test_all_of_a_call_goes_over_tcp_when_it_began_there(dial: Dial):
    bench = dial(target=Uri.parse("sip:agent@far.example;transport=tcp"), transport="tcp")
    bench.reply(180)
    bench.answer()
    bench.call.hang_up(now=1.0)
    bench.collect()
    assert bench.names == ["INVITE", "ACK", "BYE"]
    assert [hop.transport for hop in bench.hops] == ["tcp"] * 3
    bench.wait(10.0)
    assert bench.names == ["INVITE", "ACK", "BYE"]
    bench.reply(200, to=bench.requests[-1])
    bench.assert_at_rest()


def test_a_connection_that_is_lost_in_mid_call_leaves_the_call_standing(dial: Dial):
    bench = dial(transport="tcp")
    bench.answer()
    bench.call.unreachable(bench.hops[0], "closed", now=1.0, again=True)
    bench.collect()
    assert [type(event) for event in bench.happened] == [Answered]
    bench.call.hang_up(now=2.0)
    bench.collect()
    bench.call.unreachable(bench.hops[-1], "closed", now=2.1, again=True)
    bench.collect()
    assert bench.names == ["INVITE", "ACK", "BYE", "BYE"]
    bench.reply(200, to=bench.requests[-1])
    assert bench.happened[-2:] == [Ended("caller", ""), Parted(200)]
    bench.assert_at_rest()


def test_a_bye_that_cannot_be_delivered_is_told(dial: Dial):
    bench = dial(transport="tcp")
    bench.answer()
    bench.call.hang_up(now=2.0)
    bench.collect()
    bench.call.unreachable(bench.hops[-1], "refused", now=2.1)
    bench.collect()
    assert bench.happened[-1] == Parted(0)
    bench.assert_at_rest()


def test_an_invite_that_cannot_be_delivered_says_why(dial: Dial):
    bench = dial(transport="tls")
    bench.call.unreachable(bench.hops[0], "its certificate has expired", now=0.1)
    bench.collect()
    assert bench.happened == [Unreachable("its certificate has expired")]
    bench.assert_at_rest()


def test_a_redirection_to_a_transport_that_is_not_spoken_is_passed_over(dial: Dial):
    bench = dial()
    bench.reply(
        302, ("Contact", "<sip:a@one.example;transport=sctp>;q=1, <sip:a@two.example;transport=tcp>;q=0.5")
    )
    assert bench.hops[-1] == Hop("tcp", "two.example", 5060)
    assert bench.invite.via.transport == "TCP"


@pytest.mark.parametrize(
    ("source", "uri", "contact"),
    [
        (FAR_TCP, "sip:agent@10.0.0.1", "<sip:agent@10.0.0.1:5060;transport=tcp>"),
        (Hop("tls", *FAR_TCP.address), "sips:agent@10.0.0.1", "<sips:agent@10.0.0.1:5060>"),
        (Hop("udp", *FAR_TCP.address), "sip:agent@10.0.0.1", "<sip:agent@10.0.0.1:5060>"),
    ],
)
def test_a_caller_is_asked_to_come_back_the_way_it_came(
    invite: Callable[..., Request], source: Hop, uri: str, contact: str
):
    request = invite()
    request.uri = Uri.parse(uri)
    call = InboundCall(request, now=0.0, local=("10.0.0.1", 5060), ids=CountedIds("us"), source=source)
    call.accept(now=0.1, address="10.0.0.1", port=40000)
    [(answer, hop)] = call.outgoing()
    assert answer.headers.get("Contact") == contact
    assert hop.transport == source.transport


def test_over_tcp_too_a_challenge_is_remembered_until_its_credentials_come(invite: Callable[..., Request]):
    challenger = Challenger(Credentials("probe", "s3cret"), realm="r")
    call = InboundCall(
        invite(),
        now=0.0,
        local=("10.0.0.1", 5060),
        ids=CountedIds("us"),
        source=FAR_TCP,
        challenger=challenger,
    )
    [(refusal, _)] = call.outgoing()
    call.receive(_ack_of(invite(), str(refusal.to)), now=0.1, source=FAR_TCP)
    assert not call.finished
    assert call.next_deadline() == 32.0
    call.handle_timer(now=32.0)
    assert call.finished
    assert not any(isinstance(event, Incoming) for event in call.events())


def _ack_of(invite: Request, to: str) -> Request:
    headers = invite.headers.copy()
    headers.set("CSeq", "1 ACK")
    headers.set("To", to)
    return Request("ACK", invite.uri, headers)
