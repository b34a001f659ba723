from tuner_sipbridge.sip.message import Request, Response, response_to
from tuner_sipbridge.sip.parser import parse_datagram
from tuner_sipbridge.sip.server_transaction import InviteServer, NonInviteServer
from tuner_sipbridge.sip.timers import Timers
from tuner_sipbridge.sip.transaction import PeerSilent, State


def request(method: str) -> Request:
    message = parse_datagram(
        (
            f"{method} sip:agent@here.example SIP/2.0\r\n"
            "Via: SIP/2.0/UDP 10.0.0.1:5060;branch=z9hG4bK-1\r\n"
            "From: <sip:caller@10.0.0.1>;tag=a\r\n"
            "To: <sip:agent@here.example>\r\n"
            "Call-ID: c1\r\n"
            f"CSeq: 1 {method}\r\n"
            "\r\n"
        ).encode()
    )
    assert isinstance(message, Request)
    return message


def answer(to: Request, status: int) -> Response:
    return response_to(to, status, to_tag="b")


def statuses(transaction: InviteServer | NonInviteServer) -> list[int]:
    return [message.status for message in transaction.outgoing() if isinstance(message, Response)]


class TestInvite:
    def test_a_repeated_invite_gets_the_last_provisional_again(self):
        transaction = InviteServer(invite := request("INVITE"), now=0.0)
        transaction.receive(invite, now=0.1)
        assert statuses(transaction) == []
        transaction.respond(answer(invite, 180), now=0.2)
        transaction.receive(invite, now=0.5)
        assert statuses(transaction) == [180, 180]

    def test_a_failure_is_repeated_until_its_ack(self):
        transaction = InviteServer(invite := request("INVITE"), now=0.0)
        transaction.respond(answer(invite, 486), now=0.0)
        for now in (0.5, 1.5, 3.5, 7.5, 11.5):
            assert transaction.next_deadline() == now
            transaction.handle_timer(now=now)
        transaction.receive(invite, now=11.6)
        assert statuses(transaction) == [486] * 7
        transaction.receive(request("ACK"), now=11.7)
        assert transaction.state is State.CONFIRMED
        transaction.receive(request("ACK"), now=11.8)
        transaction.handle_timer(now=16.7)
        assert transaction.terminated
        assert transaction.events() == []

    def test_without_ack_the_peer_counts_as_silent_after_timer_h(self):
        transaction = InviteServer(invite := request("INVITE"), now=0.0)
        transaction.respond(answer(invite, 486), now=0.0)
        transaction.handle_timer(now=32.0)
        assert transaction.events() == [PeerSilent()]
        assert transaction.terminated

    def test_after_a_2xx_repeats_of_the_invite_are_absorbed_and_the_2xx_may_be_repeated(self):
        transaction = InviteServer(invite := request("INVITE"), now=0.0)
        transaction.respond(answer(invite, 200), now=0.0)
        transaction.receive(invite, now=0.5)
        transaction.respond(answer(invite, 200), now=0.5)
        transaction.respond(answer(invite, 486), now=0.6)
        assert statuses(transaction) == [200, 200]
        transaction.handle_timer(now=32.0)
        assert transaction.terminated


class TestNonInvite:
    def test_a_repeated_request_is_answered_again_for_timer_j(self):
        transaction = NonInviteServer(bye := request("BYE"), now=0.0)
        transaction.receive(bye, now=0.1)
        assert statuses(transaction) == []
        transaction.respond(answer(bye, 200), now=0.2)
        transaction.receive(bye, now=0.6)
        assert statuses(transaction) == [200, 200]
        assert transaction.next_deadline() == 32.2
        transaction.handle_timer(now=32.2)
        assert transaction.terminated

    def test_over_tcp_it_is_over_with_the_answer(self):
        transaction = NonInviteServer(bye := request("BYE"), now=0.0, timers=Timers(reliable=True))
        transaction.respond(answer(bye, 200), now=0.2)
        assert statuses(transaction) == [200]
        assert transaction.terminated
