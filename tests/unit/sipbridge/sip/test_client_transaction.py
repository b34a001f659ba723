import pytest

from tuner_sipbridge.sip.client_transaction import InviteClient, NonInviteClient, cancel_of
from tuner_sipbridge.sip.message import Request, Response, response_to
from tuner_sipbridge.sip.parser import parse_datagram
from tuner_sipbridge.sip.timers import Timers
from tuner_sipbridge.sip.transaction import PeerSilent, ResponseReceived, State


def request(method: str) -> Request:
    message = parse_datagram(
        (
            f"{method} sip:agent@far.example SIP/2.0\r\n"
            "Via: SIP/2.0/UDP 10.0.0.1:5060;rport;branch=z9hG4bK-1\r\n"
            "Route: <sip:proxy.example;lr>\r\n"
            "Max-Forwards: 70\r\n"
            "From: <sip:caller@10.0.0.1>;tag=a\r\n"
            "To: <sip:agent@far.example>\r\n"
            "Call-ID: c1\r\n"
            f"CSeq: 7 {method}\r\n"
            "X-CID: c1\r\n"
            "\r\n"
        ).encode()
    )
    assert isinstance(message, Request)
    return message


def answer(to: Request, status: int, tag: str = "b") -> Response:
    return response_to(to, status, to_tag=tag)


def statuses(transaction: InviteClient | NonInviteClient) -> list[int]:
    return [event.response.status for event in transaction.events() if isinstance(event, ResponseReceived)]


def sending_times(transaction: InviteClient | NonInviteClient, *, until: float) -> list[float]:
    """Runs the transaction by its own deadlines and notes when it sends."""
    times = [0.0 for _ in transaction.outgoing()]
    while (deadline := transaction.next_deadline()) is not None and deadline <= until:
        transaction.handle_timer(now=deadline)
        times += [deadline for _ in transaction.outgoing()]
    return times


class TestInvite:
    def test_is_repeated_at_doubling_intervals_until_timer_b(self):
        transaction = InviteClient(request("INVITE"), now=0.0)
        assert sending_times(transaction, until=100) == [0, 0.5, 1.5, 3.5, 7.5, 15.5, 31.5]
        assert transaction.events() == [PeerSilent()]
        assert transaction.terminated
        assert transaction.next_deadline() is None

    def test_a_provisional_response_stops_repeats_and_timer_b(self):
        transaction = InviteClient(invite := request("INVITE"), now=0.0)
        transaction.receive(answer(invite, 100), now=0.2)
        assert transaction.next_deadline() is None
        transaction.receive(answer(invite, 180), now=0.3)
        assert statuses(transaction) == [100, 180]

    @pytest.mark.parametrize("status", [302, 407, 486, 500, 603])
    def test_a_failure_is_acknowledged_beside_the_invite_and_each_repeat_too(self, status: int):
        transaction = InviteClient(invite := request("INVITE"), now=0.0)
        transaction.outgoing()
        transaction.receive(answer(invite, status), now=0.1)
        transaction.receive(answer(invite, status), now=0.6)
        first, second = transaction.outgoing()
        assert first == second
        assert isinstance(first, Request)
        assert first.method == "ACK"
        assert str(first.uri) == "sip:agent@far.example"
        assert first.vias == [invite.via]
        assert first.to.tag == "b"
        assert first.from_ == invite.from_
        assert (first.call_id, str(first.cseq)) == ("c1", "7 ACK")
        assert first.headers.get_all("Route") == ["<sip:proxy.example;lr>"]
        assert len(transaction.events()) == 1
        transaction.handle_timer(now=32.2)
        assert transaction.terminated

    def test_every_2xx_is_given_on_and_none_acknowledged(self):
        transaction = InviteClient(invite := request("INVITE"), now=0.0)
        transaction.outgoing()
        for tag, now in (("b", 0.1), ("b", 0.6), ("fork", 0.7)):
            transaction.receive(answer(invite, 200, tag), now=now)
        assert transaction.outgoing() == []
        tags = [
            event.response.to.tag for event in transaction.events() if isinstance(event, ResponseReceived)
        ]
        assert tags == ["b", "b", "fork"]
        assert transaction.next_deadline() == pytest.approx(32.1)

    def test_a_failure_after_a_2xx_is_absorbed(self):
        transaction = InviteClient(invite := request("INVITE"), now=0.0)
        transaction.receive(answer(invite, 200), now=0.1)
        transaction.outgoing()
        transaction.events()
        transaction.receive(answer(invite, 486), now=0.2)
        assert (transaction.outgoing(), transaction.events()) == ([], [])

    def test_over_tcp_nothing_is_repeated_and_a_failure_ends_it(self):
        transaction = InviteClient(invite := request("INVITE"), now=0.0, timers=Timers(reliable=True))
        assert transaction.next_deadline() == 32.0
        transaction.receive(answer(invite, 486), now=0.1)
        assert transaction.terminated

    def test_a_late_timer_call_repeats_once(self):
        transaction = InviteClient(request("INVITE"), now=0.0)
        transaction.outgoing()
        transaction.handle_timer(now=5.0)
        assert len(transaction.outgoing()) == 1
        assert transaction.next_deadline() == 6.0


class TestCancel:
    def test_is_the_invite_with_another_method(self):
        cancel = cancel_of(invite := request("INVITE"))
        assert cancel.method == "CANCEL"
        assert cancel.uri == invite.uri
        assert cancel.vias == [invite.via]
        assert str(cancel.cseq) == "7 CANCEL"
        assert cancel.to == invite.to
        assert cancel.headers.get("Route") == "<sip:proxy.example;lr>"
        assert "X-CID" not in cancel.headers


class TestNonInvite:
    def test_is_repeated_up_to_t2_until_timer_f(self):
        transaction = NonInviteClient(request("BYE"), now=0.0)
        assert sending_times(transaction, until=100) == [0, 0.5, 1.5, 3.5, *(7.5 + 4 * n for n in range(7))]
        assert transaction.events() == [PeerSilent()]

    def test_a_provisional_response_slows_it_down_to_t2_but_timer_f_goes_on(self):
        transaction = NonInviteClient(bye := request("BYE"), now=0.0)
        transaction.receive(answer(bye, 100), now=0.1)
        assert sending_times(transaction, until=9) == [0, 0.5, 4.5, 8.5]
        sending_times(transaction, until=100)
        assert transaction.terminated
        assert transaction.events()[-1] == PeerSilent()

    def test_repeats_of_the_final_response_are_absorbed_for_t4(self):
        transaction = NonInviteClient(bye := request("BYE"), now=0.0)
        transaction.receive(answer(bye, 200), now=0.1)
        transaction.receive(answer(bye, 200), now=0.2)
        assert len(transaction.events()) == 1
        assert transaction.state is State.COMPLETED
        transaction.handle_timer(now=5.2)
        assert transaction.terminated
