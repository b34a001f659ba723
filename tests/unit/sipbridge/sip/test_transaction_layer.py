from dataclasses import replace

from tuner_sipbridge.sip.client_transaction import cancel_of
from tuner_sipbridge.sip.layer_events import NoAck, NoResponse, NotSent, RequestArrived, ResponseArrived
from tuner_sipbridge.sip.message import Request, Response, response_to
from tuner_sipbridge.sip.parser import parse_datagram
from tuner_sipbridge.sip.routing import Hop
from tuner_sipbridge.sip.transaction_layer import MOST_REQUESTS, TransactionLayer
from tuner_sipbridge.sip.uri import Uri

PEER = Hop("udp", "192.0.2.1", 5099)


def request(
    method: str,
    *,
    branch: str = "z9hG4bK-1",
    number: int = 1,
    tag: str = "a",
    via: str = "UDP",
    subject: str = "",
) -> Request:
    message = parse_datagram(
        (
            f"{method} sip:agent@far.example:5070 SIP/2.0\r\n"
            f"Via: SIP/2.0/{via} 10.0.0.1:5060;rport;branch={branch}\r\n"
            f"From: <sip:caller@10.0.0.1>;tag={tag}\r\n"
            "To: <sip:agent@far.example>\r\n"
            "Call-ID: c1\r\n"
            f"CSeq: {number} {method}\r\n"
            f"Subject: {subject}\r\n"
            "\r\n"
        ).encode()
    )
    assert isinstance(message, Request)
    return message


def lines(layer: TransactionLayer) -> list[tuple[str, Hop]]:
    return [(message.start_line, hop) for message, hop in layer.outgoing()]


def test_a_request_goes_to_its_next_hop_and_its_response_finds_it():
    layer = TransactionLayer()
    layer.send(bye := request("BYE"), now=0.0)
    assert lines(layer) == [("BYE sip:agent@far.example:5070 SIP/2.0", Hop("udp", "far.example", 5070))]
    layer.receive(ok := response_to(bye, 200), now=0.1)
    assert layer.events() == [ResponseArrived(bye, ok)]


def test_a_response_of_another_branch_or_method_is_dropped():
    layer = TransactionLayer()
    layer.send(request("BYE"), now=0.0)
    layer.receive(response_to(request("BYE", branch="z9hG4bK-other"), 200), now=0.1)
    layer.receive(response_to(request("INFO"), 200), now=0.1)
    assert layer.events() == []


def test_a_new_request_is_given_once_and_its_answer_repeated():
    layer = TransactionLayer()
    layer.receive(bye := request("BYE"), now=0.0, source=PEER)
    assert layer.events() == [RequestArrived(bye)]
    layer.respond(response_to(bye, 200), now=0.0)
    layer.receive(request("BYE"), now=0.5, source=PEER)
    assert layer.events() == []
    assert lines(layer) == [("SIP/2.0 200 OK", PEER)] * 2


def test_an_ack_goes_into_its_refused_invite_but_to_the_user_after_a_2xx():
    layer = TransactionLayer()
    layer.receive(refused := request("INVITE"), now=0.0, source=PEER)
    layer.respond(response_to(refused, 486, to_tag="b"), now=0.0)
    layer.receive(taken := request("INVITE", branch="z9hG4bK-2", number=2), now=0.0, source=PEER)
    layer.respond(response_to(taken, 200, to_tag="b"), now=0.0)
    layer.events()
    layer.receive(request("ACK"), now=0.1, source=PEER)
    assert layer.events() == []
    # Some peers send the ACK to a 2xx under the branch of the INVITE.
    for branch in ("z9hG4bK-2", "z9hG4bK-3"):
        layer.receive(ack := request("ACK", branch=branch, number=2), now=0.1, source=PEER)
        assert layer.events() == [RequestArrived(ack)]


def test_a_cancel_finds_its_invite():
    layer = TransactionLayer()
    layer.receive(invite := request("INVITE"), now=0.0, source=PEER)
    cancel = cancel_of(invite)
    layer.receive(cancel, now=0.1, source=PEER)
    assert layer.invite_of(cancel) is invite
    assert layer.invite_of(cancel_of(request("INVITE", branch="z9hG4bK-9"))) is None


def test_requests_of_a_peer_without_magic_cookie_are_told_apart_by_number():
    layer = TransactionLayer()
    for number in (1, 1, 2):
        layer.receive(request("INFO", branch="1", number=number), now=0.0, source=PEER)
    assert len(layer.events()) == 2


def test_silence_is_told_and_leaves_nothing():
    layer = TransactionLayer()
    layer.send(bye := request("BYE"), now=0.0)
    layer.receive(invite := request("INVITE"), now=0.0, source=PEER)
    layer.respond(response_to(invite, 486, to_tag="b"), now=0.0)
    layer.events()
    while (deadline := layer.next_deadline()) is not None:
        layer.handle_timer(now=deadline)
    assert layer.events() == [NoResponse(bye), NoAck(invite)]
    assert layer.idle


def test_a_cancelled_invite_can_be_abandoned():
    layer = TransactionLayer()
    layer.send(invite := request("INVITE"), now=0.0)
    layer.receive(response_to(invite, 180, to_tag="b"), now=0.1)
    layer.abandon(invite, now=33.0)
    assert layer.idle
    layer.receive(late := response_to(invite, 200, to_tag="b"), now=34.0)
    assert isinstance(late, Response)
    assert layer.events()[1:] == []


FAR_TCP = Hop("tcp", "far.example", 5070)
LONG = "x" * 1300


def sent(layer: TransactionLayer) -> list[tuple[str, str, Hop]]:
    """Method, transport in Via and hop of each request."""
    return [(message.cseq.method, message.via.transport, hop) for message, hop in layer.outgoing()]


def test_over_tcp_nothing_is_repeated_and_nothing_waits_for_repeats():
    layer = TransactionLayer()
    layer.send(bye := request("BYE", via="TCP"), now=0.0)
    layer.receive(
        info := request("INFO", branch="z9hG4bK-9", via="TCP"), now=0.0, source=Hop("tcp", *PEER.address)
    )
    layer.respond(response_to(info, 200), now=0.1)
    assert len(layer.outgoing()) == 2
    assert layer.next_deadline() == 32.0
    layer.receive(response_to(bye, 200), now=0.2)
    assert layer.idle


def test_a_response_goes_back_on_the_connection_of_its_request():
    layer = TransactionLayer()
    layer.receive(bye := request("BYE", via="TCP"), now=0.0, source=Hop("tcp", "10.0.0.1", 40123))
    layer.respond(response_to(bye, 200), now=0.0)
    assert [hop for _, hop in layer.outgoing()] == [Hop("tcp", "10.0.0.1", 5060, flow=("10.0.0.1", 40123))]


def test_requests_to_the_sender_of_a_request_go_on_its_connection():
    layer = TransactionLayer()
    layer.receive(request("INVITE", via="TCP"), now=0.0, source=Hop("tcp", "203.0.113.9", 40123))
    back = request("BYE", branch="z9hG4bK-9", via="TCP")
    back.uri = Uri.parse("sip:caller@10.0.0.1:5060;transport=tcp")
    elsewhere = request("BYE", branch="z9hG4bK-8", via="TCP")
    layer.send(back, now=1.0)
    layer.send(elsewhere, now=1.0)
    assert [hop.flow for _, hop in layer.outgoing()] == [("203.0.113.9", 40123), None]


def test_a_request_too_long_for_udp_goes_over_tcp_and_says_so():
    layer = TransactionLayer()
    layer.send(invite := request("INVITE", subject=LONG), now=0.0)
    assert sent(layer) == [("INVITE", "TCP", FAR_TCP)]
    layer.handle_timer(now=10.0)
    assert sent(layer) == []
    layer.receive(ok := response_to(invite, 200, to_tag="b"), now=10.1)
    assert layer.events() == [ResponseArrived(invite, ok)]


def test_where_tcp_is_refused_a_long_request_goes_over_udp_after_all():
    layer = TransactionLayer()
    layer.send(invite := request("INVITE", subject=LONG), now=0.0)
    layer.outgoing()
    layer.unreachable(FAR_TCP, "connection refused", now=0.1)
    udp = Hop("udp", "far.example", 5070)
    assert sent(layer) == [("INVITE", "UDP", udp)]
    assert layer.events() == []
    layer.handle_timer(now=0.6)
    assert sent(layer) == [("INVITE", "UDP", udp)]
    layer.receive(response_to(invite, 407, to_tag="b"), now=0.7)
    layer.outgoing()
    layer.send(request("INVITE", branch="z9hG4bK-2", number=2, subject=LONG), now=0.7)
    assert sent(layer) == [("INVITE", "UDP", udp)]


def test_where_tcp_is_refused_a_long_request_keeps_to_the_target_that_was_located():
    layer = TransactionLayer()
    located = Hop("udp", "192.0.2.7", 5088, name="far.example")
    layer.send(request("INVITE", subject=LONG), now=0.0, to=located)
    ((_, _, hop),) = sent(layer)
    assert hop == replace(located, transport="tcp")
    layer.unreachable(hop, "connection refused", now=0.1)
    assert sent(layer) == [("INVITE", "UDP", located)]


def in_dialog(method: str, uri: str, branch: str, via: str) -> Request:
    inside = request(method, branch=branch, via=via)
    inside.uri = Uri.parse(uri)
    inside.headers.set("To", "<sip:agent@far.example>;tag=b")
    return inside


def test_the_dialogs_of_a_call_over_a_connection_stay_on_it_whatever_the_contact():
    layer = TransactionLayer()
    flow = ("203.0.113.9", 40123)
    layer.send(request("INVITE", via="TCP"), now=0.0, to=Hop("tcp", "phone.invalid", 5060, flow=flow))
    layer.send(in_dialog("BYE", "sip:agent@10.9.9.9:7", "z9hG4bK-2", "TCP"), now=1.0)
    layer.send_alone(in_dialog("ACK", "sip:agent@10.9.9.9:7", "z9hG4bK-3", "TCP"))
    assert [hop for _, _, hop in sent(layer)] == [
        Hop("tcp", "phone.invalid", 5060, flow=flow),
        Hop("tcp", "10.9.9.9", 7, flow=flow),
        Hop("tcp", "10.9.9.9", 7, flow=flow),
    ]


def test_the_dialogs_of_a_call_through_a_nat_stay_at_the_address_that_it_shows():
    layer = TransactionLayer()
    shown = Hop("udp", "203.0.113.9", 40123, flow=("203.0.113.9", 40123))
    layer.send(request("INVITE"), now=0.0, to=shown)
    layer.send(in_dialog("BYE", "sip:agent@10.9.9.9:7", "z9hG4bK-2", "UDP"), now=1.0)
    assert [hop.address for _, _, hop in sent(layer)] == [shown.address, shown.address]
    # A redirection leads elsewhere, and so do the dialogs that come of it.
    layer.send(request("INVITE", branch="z9hG4bK-4", number=2), now=2.0)
    layer.send(in_dialog("BYE", "sip:agent@10.9.9.9:7", "z9hG4bK-5", "UDP"), now=3.0)
    assert [hop.address for _, _, hop in sent(layer)] == [("far.example", 5070), ("10.9.9.9", 7)]


def test_an_unreachable_hop_ends_its_requests_and_no_others():
    layer = TransactionLayer()
    layer.send(lost := request("BYE", via="TCP"), now=0.0)
    layer.send(heard := request("INVITE", branch="z9hG4bK-2", via="TCP"), now=0.0)
    layer.send(request("INFO", branch="z9hG4bK-3"), now=0.0)
    layer.receive(trying := response_to(heard, 100), now=0.1)
    layer.outgoing()
    layer.unreachable(FAR_TCP, "refused", now=0.2)
    assert layer.events() == [ResponseArrived(heard, trying), NotSent(lost, "refused")]
    assert not layer.idle


def test_on_a_connection_that_served_before_a_lost_request_goes_once_more():
    layer = TransactionLayer()
    layer.send(bye := request("BYE", via="TCP"), now=0.0)
    layer.outgoing()
    layer.unreachable(FAR_TCP, "closed", now=0.1, again=True)
    assert sent(layer) == [("BYE", "TCP", FAR_TCP)]
    layer.unreachable(FAR_TCP, "closed", now=0.2, again=True)
    assert (sent(layer), layer.events()) == ([], [NotSent(bye, "closed")])


def test_a_far_end_with_too_many_requests_in_hand_is_told_when_to_come_again():
    layer = TransactionLayer()
    for number in range(MOST_REQUESTS):
        layer.receive(request("INFO", branch=f"z9hG4bK-{number}"), now=0.0, source=PEER)
    assert len(layer.events()) == MOST_REQUESTS
    layer.receive(request("INFO", branch="z9hG4bK-more"), now=0.0, source=PEER)
    ((answer, _),) = layer.outgoing()
    assert isinstance(answer, Response)
    assert (answer.status, answer.headers.get("Retry-After"), layer.refused["transactions"]) == (503, "32", 1)
    assert layer.events() == []
