"""Requests to names: where they go, and where next when a target fails (RFC 3263 §4.3)."""

import pytest

from tuner_sipbridge.sip.client_transaction import cancel_of
from tuner_sipbridge.sip.layer_events import NoResponse, NotSent, ResponseArrived
from tuner_sipbridge.sip.message import Message, Request, response_to
from tuner_sipbridge.sip.parser import parse_datagram
from tuner_sipbridge.sip.routing import Hop, next_hop
from tuner_sipbridge.sip.targets import DEFAULT_PENALTY_S
from tuner_sipbridge.sip.transaction_layer import TransactionLayer

FIRST, SECOND = Hop("udp", "192.0.2.1", 5061), Hop("tcp", "192.0.2.2", 5062)


def request(
    method: str = "BYE", *, uri: str = "sip:agent@far.example", via: str = "UDP", subject: str = ""
) -> Request:
    message = parse_datagram(
        (
            f"{method} {uri} SIP/2.0\r\n"
            f"Via: SIP/2.0/{via} 10.0.0.1:5060;rport;branch=z9hG4bK-1\r\n"
            "From: <sip:caller@10.0.0.1>;tag=a\r\n"
            "To: <sip:agent@far.example>;tag=b\r\n"
            "Call-ID: c1\r\n"
            f"CSeq: 1 {method}\r\n"
            f"Subject: {subject}\r\n"
            "\r\n"
        ).encode()
    )
    assert isinstance(message, Request)
    return message


def sent(layer: TransactionLayer) -> list[tuple[str, str, str | None, Hop]]:
    return [
        (message.cseq.method, message.via.transport, message.via.branch, hop)
        for message, hop in layer.outgoing()
    ]


def begun(asked: Request) -> TransactionLayer:
    """A layer whose request went to the first target of its name."""
    layer = TransactionLayer()
    layer.send(asked, now=0.0)
    ((message, hop),) = layer.outgoing()
    assert (message, hop.host) == (asked, "far.example")
    assert hop.sought is not None
    layer.located(asked, FIRST, now=0.1)
    assert sent(layer) == [(asked.method, "UDP", "z9hG4bK-1", FIRST)]
    return layer


def failed(layer: TransactionLayer) -> list[tuple[Hop, float]]:
    ((_, hop),) = layer.outgoing()
    assert hop.sought is not None
    return [(one.hop, one.for_s) for one in hop.sought.failed]


def silence(layer: TransactionLayer, asked: Request) -> None:
    layer.handle_timer(now=32.2)


def refusal(layer: TransactionLayer, asked: Request) -> None:
    answer = response_to(asked, 503, headers=[("Retry-After", "7")])
    layer.receive(answer, now=1.0)


def no_connection(layer: TransactionLayer, asked: Request) -> None:
    layer.unreachable(FIRST, "refused", now=1.0)


def impatience(layer: TransactionLayer, asked: Request) -> None:
    layer.unheard("z9hG4bK-1", asked.method, "no response in 10 s", now=10.1)


@pytest.mark.parametrize(
    ("fails", "for_s"),
    [
        (silence, DEFAULT_PENALTY_S),
        (refusal, 7.0),
        (no_connection, DEFAULT_PENALTY_S),
        (impatience, DEFAULT_PENALTY_S),
    ],
)
def test_a_target_that_fails_gives_way_to_the_next_under_a_branch_of_its_own(fails, for_s: float):
    layer = begun(asked := request())
    fails(layer, asked)
    assert failed(layer) == [(FIRST, for_s)]
    assert layer.events() == []
    assert not layer.idle
    layer.located(asked, SECOND, now=33.0)
    assert sent(layer) == [("BYE", "TCP", "z9hG4bK-1.1", SECOND)]
    layer.receive(ok := response_to(asked, 200), now=33.1)
    assert layer.events() == [ResponseArrived(asked, ok)]


def test_when_no_target_is_left_the_last_failure_is_told():
    layer = begun(asked := request())
    silence(layer, asked)
    layer.outgoing()
    layer.located(asked, SECOND, now=33.0)
    layer.outgoing()
    layer.unreachable(SECOND, "refused", now=33.1)
    assert failed(layer) == [(FIRST, DEFAULT_PENALTY_S), (SECOND, DEFAULT_PENALTY_S)]
    layer.located(asked, None, now=33.2)
    assert layer.events() == [NotSent(asked, "refused")]
    assert layer.idle


def test_a_target_that_answered_in_time_is_not_given_up():
    layer = begun(asked := request("INVITE"))
    layer.receive(response_to(asked, 100), now=1.0)
    layer.events()
    layer.unheard("z9hG4bK-1", "INVITE", "no response in 10 s", now=10.1)
    assert layer.outgoing() == []


def test_a_503_is_acknowledged_under_its_own_branch_however_often_it_comes():
    layer = begun(asked := request("INVITE"))
    answer = response_to(asked, 503)
    for at in (1.0, 1.5):
        layer.receive(answer, now=at)
        assert ("ACK", "UDP", "z9hG4bK-1", FIRST) in sent(layer)


def test_a_cancel_goes_where_its_invite_went():
    layer = begun(asked := request("INVITE"))
    no_connection(layer, asked)
    layer.outgoing()
    layer.located(asked, SECOND, now=2.0)
    layer.outgoing()
    layer.send(cancel_of(asked), now=3.0)
    assert sent(layer) == [("CANCEL", "TCP", "z9hG4bK-1.1", SECOND)]


def test_who_never_locates_is_told_of_the_failure_itself():
    layer = TransactionLayer()
    layer.send(asked := request(), now=0.0)
    layer.handle_timer(now=32.1)
    assert layer.events() == [NoResponse(asked)]


@pytest.mark.parametrize(
    ("uri", "via", "sought"),
    [
        ("sip:agent@far.example;transport=tcp;lr", "TCP", "sip:far.example;transport=tcp"),
        ("sip:agent@far.example:5070", "UDP", "sip:far.example:5070"),
        ("sip:agent@far.example;transport=udp", "TLS", "sips:far.example"),
        ("sip:agent@192.0.2.7;maddr=far.example", "UDP", "sip:192.0.2.7;maddr=far.example"),
    ],
)
def test_what_a_name_is_located_by(uri: str, via: str, sought: str):
    found = next_hop(request(uri=uri, via=via)).sought
    assert found is not None
    assert str(found.uri) == sought


@pytest.mark.parametrize("uri", ["sip:agent@192.0.2.7", "sip:agent@[2001:db8::7]:5070"])
def test_an_address_needs_no_locating(uri: str):
    assert next_hop(request(uri=uri)).sought is None


def acks(messages: list[tuple[Message, Hop]]) -> list[tuple[str, str, int]]:
    return [(message.via.transport, hop.transport, hop.port) for message, hop in messages]


def test_an_ack_too_long_for_udp_goes_over_tcp_and_over_udp_where_that_is_refused():
    layer = TransactionLayer()
    ack = request("ACK", uri="sip:agent@192.0.2.1:5061", subject="x" * 1300)
    layer.send_alone(ack)
    messages = layer.outgoing()
    assert acks(messages) == [("TCP", "tcp", 5061)]
    layer.unreachable(messages[0][1], "refused", now=0.1)
    layer.send_alone(ack)
    assert acks(layer.outgoing()) == [("UDP", "udp", 5061)] * 2


def test_an_ack_to_a_name_goes_to_its_target_and_on_to_the_next():
    layer = TransactionLayer()
    layer.send_alone(ack := request("ACK"))
    assert [hop.host for _, hop in layer.outgoing()] == ["far.example"]
    layer.located(ack, SECOND, now=0.1)
    assert acks(layer.outgoing()) == [("TCP", "tcp", 5062)]
    layer.unreachable(SECOND, "refused", now=0.2)
    assert failed(layer) == [(SECOND, DEFAULT_PENALTY_S)]
    layer.located(ack, FIRST, now=0.3)
    assert acks(layer.outgoing()) == [("UDP", "udp", 5061)]
