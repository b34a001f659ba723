from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tuner_sipbridge.call.challenge import Challenger
from tuner_sipbridge.call.events import (
    Answered,
    Cancelled,
    Ended,
    Incoming,
    NegotiationFailed,
    Rejected,
    Renegotiated,
)
from tuner_sipbridge.call.ids import Credentials
from tuner_sipbridge.sdp.session import SessionDescription
from tuner_sipbridge.sip.client_transaction import cancel_of
from tuner_sipbridge.sip.digest import Challenge, authorization

Receive = Callable[..., Any]
Invite = Callable[..., Any]
Sdp = Callable[..., bytes]
GOOD = Credentials("probe", "s3cret")


def accept(bench: Any, **options: Any) -> None:
    bench.call.accept(now=bench.now, address="10.0.0.1", port=40000, **options)
    bench.collect()


class TestBeforeTheAnswer:
    def test_the_invite_is_told(self, receive: Receive):
        bench = receive()
        [incoming] = bench.happened
        assert isinstance(incoming, Incoming)
        assert (incoming.caller, incoming.called) == ("caller", "agent")
        assert incoming.offer is not None
        assert bench.call.headers["x-cid"] == "call-1"
        assert bench.call.sip_call_id == "call-1"
        assert bench.sent == []
        assert not bench.call.finished

    def test_100_is_sent_after_200_ms_unless_it_rings(self, receive: Receive):
        silent, ringing = receive(), receive()
        ringing.call.ring(now=0.1)
        ringing.collect()
        for bench in (silent, ringing):
            bench.wait(10.0)
        assert silent.names == ["100"]
        assert silent.responses[0].to.tag is None
        assert ringing.names == ["180"]
        assert ringing.responses[0].to.tag

    def test_responses_go_back_to_where_the_invite_came_from(self, receive: Receive, invite: Invite):
        request = invite()
        request.headers.set("Via", "SIP/2.0/UDP behind.nat:9;rport;branch=z9hG4bK-far-1")
        bench = receive(request)
        bench.call.ring(now=0.1)
        bench.collect()
        response, address = bench.sent[0]
        assert address == ("198.51.100.7", 5060)
        assert (response.via.received, response.via.rport) == ("198.51.100.7", 5060)

    def test_who_rings_long_says_so_every_minute(self, receive: Receive):
        # Else a proxy gives the call up after three (RFC 3261 §13.3.1.1).
        bench = receive()
        bench.call.ring(now=0.0)
        bench.wait(200.0)
        assert bench.names.count("180") == 4
        bench.call.reject(486, now=bench.now)
        bench.collect()
        bench.ask("ACK", number=1)
        bench.assert_at_rest()
        assert bench.names.count("180") == 4

    def test_an_invite_that_expires_gets_487(self, receive: Receive, invite: Invite):
        bench = receive(invite("Expires: 30"))
        bench.call.ring(now=0.0)
        bench.collect()
        bench.wait(29.9)
        assert bench.names[-1] == "180"
        bench.wait(0.2)
        assert bench.names[-1] == "487"
        assert isinstance(bench.happened[-1], Cancelled)
        assert "expired" in bench.happened[-1].why
        bench.assert_at_rest()

    def test_an_invite_that_was_answered_expires_no_more(self, receive: Receive, invite: Invite):
        bench = receive(invite("Expires: 30"))
        accept(bench)
        bench.ask("ACK", number=1)
        bench.wait(60.0)
        assert isinstance(bench.happened[-1], Answered)

    def test_rejecting(self, receive: Receive):
        bench = receive()
        bench.call.reject(486, now=0.1, reason="Talking", headers=[("Retry-After", "5")])
        bench.call.accept(now=0.2, address="10.0.0.1", port=40000)
        bench.collect()
        assert [message.start_line for message in bench.responses] == ["SIP/2.0 486 Talking"]
        assert bench.responses[0].headers.get("Retry-After") == "5"
        assert isinstance(bench.happened[-1], Rejected)
        bench.assert_at_rest()

    def test_hanging_up_rejects(self, receive: Receive):
        bench = receive()
        bench.call.hang_up(now=0.1)
        bench.collect()
        assert bench.names == ["480"]

    def test_cancel_gets_200_and_the_invite_487(self, receive: Receive):
        bench = receive()
        bench.call.ring(now=0.1)
        cancel = cancel_of(bench.call.invite)
        cancel.headers.add("Reason", 'SIP;cause=487;text="gave up"')
        bench.hear(cancel)
        assert bench.names == ["180", "200", "487"]
        assert bench.happened[-1] == Cancelled('SIP;cause=487;text="gave up"')
        accept(bench)
        assert bench.names == ["180", "200", "487"]
        bench.assert_at_rest()

    def test_a_bye_of_the_early_dialog_ends_it_too(self, receive: Receive):
        bench = receive()
        bench.call.ring(now=0.1)
        bench.collect()
        bench.ask("BYE")
        assert bench.names == ["180", "200", "487"]
        assert isinstance(bench.happened[-1], Cancelled)

    def test_an_early_update_must_wait(self, receive: Receive, their_sdp: Sdp):
        bench = receive()
        bench.call.ring(now=0.1)
        bench.collect()
        bench.ask("UPDATE", body=their_sdp())
        assert bench.responses[-1].status == 500
        assert bench.responses[-1].headers.get("Retry-After")

    def test_the_same_invite_by_another_way_is_a_loop(self, receive: Receive, invite: Invite):
        bench = receive()
        bench.hear(invite(branch="z9hG4bK-other"))
        assert bench.names == ["482"]
        bench.hear(invite(branch="z9hG4bK-third", number=2))
        assert bench.names == ["482", "500"]
        assert len(bench.happened) == 1

    @pytest.mark.parametrize(
        ("headers", "body", "status"),
        [
            (["Require: sec-agree"], None, 420),
            (["Require: timer, <100rel"], None, 400),
            (["Content-Type: application/isup"], b"x", 415),
            (["Content-Encoding: gzip"], None, 415),
            ([], b"rubbish", 400),
            (["Contact: <tel:+1555>"], None, 400),
        ],
    )
    def test_what_cannot_be_taken_is_refused_without_a_word_to_the_user(
        self, receive: Receive, invite: Invite, headers: list[str], body: bytes | None, status: int
    ):
        bench = receive(invite(*headers, body=body))
        assert bench.names == [str(status)]
        assert bench.happened == []
        bench.assert_at_rest()

    def test_after_such_a_refusal_the_caller_may_come_again(self, receive: Receive, invite: Invite):
        bench = receive(invite("Require: sec-agree"))
        bench.hear(invite(number=2, branch="z9hG4bK-far-2"))
        assert isinstance(bench.happened[-1], Incoming)

    def test_strays_get_481(self, receive: Receive):
        bench = receive()
        bench.ask("OPTIONS", tag="nobody")
        assert bench.names == ["481"]


class TestAnswer:
    def test_is_repeated_until_the_ack_and_no_longer(self, receive: Receive):
        bench = receive()
        accept(bench)
        bench.wait(4.0)
        assert bench.names == ["200"] * 4
        bench.ask("ACK", number=1)
        bench.wait(60.0)
        assert bench.names == ["200"] * 4

    def test_says_what_was_taken_and_where(self, receive: Receive, invite: Invite):
        bench = receive(invite("Record-Route: <sip:p1.example;lr>"))
        accept(bench)
        response = bench.responses[0]
        description = SessionDescription.parse(response.body)
        assert description.media[0].port == 40000
        assert str(response.contact) == "<sip:agent@10.0.0.1:5060>"
        assert response.headers.get("Record-Route") == "<sip:p1.example;lr>"
        answered = bench.happened[-1]
        assert isinstance(answered, Answered)
        assert answered.negotiated.remote == ("198.51.100.7", 50000)

    def test_with_no_codec_in_common_is_488(self, receive: Receive):
        bench = receive()
        accept(bench, codecs=("PCMA",))
        assert bench.names == ["488"]
        assert isinstance(bench.happened[-1], NegotiationFailed)
        bench.assert_at_rest()

    def test_to_an_invite_without_offer_offers_and_stands_with_the_ack(
        self, receive: Receive, invite: Invite, their_sdp: Sdp
    ):
        bench = receive(invite(body=b""))
        assert bench.call.offer is None
        accept(bench)
        assert len(bench.happened) == 1
        bench.ask("ACK", number=1, body=their_sdp(port=50008))
        answered = bench.happened[-1]
        assert isinstance(answered, Answered)
        assert answered.negotiated.remote == ("198.51.100.7", 50008)
        bench.ask("INVITE", body=their_sdp(hold=True))
        assert isinstance(bench.happened[-1], Renegotiated)

    def test_an_ack_without_the_answer_it_owes_ends_the_call(self, receive: Receive, invite: Invite):
        bench = receive(invite(body=b""))
        accept(bench)
        bench.ask("ACK", number=1)
        assert bench.names == ["200", "BYE"]
        assert isinstance(bench.happened[-1], Ended)
        bench.assert_at_rest()

    def test_a_late_cancel_changes_nothing(self, receive: Receive):
        bench = receive()
        accept(bench)
        bench.hear(cancel_of(bench.call.invite))
        assert bench.names == ["200", "200"]
        assert bench.responses[-1].cseq.method == "CANCEL"
        assert isinstance(bench.happened[-1], Answered)

    def test_a_repeated_invite_is_absorbed(self, receive: Receive, invite: Invite):
        bench = receive()
        accept(bench)
        bench.hear(invite())
        assert bench.names == ["200"]


class TestHangingUp:
    def test_bye_goes_to_the_callers_contact(self, receive: Receive, invite: Invite):
        bench = receive(invite("Record-Route: <sip:p1.example;lr>"))
        accept(bench)
        bench.ask("ACK", number=1)
        bench.call.hang_up(now=1.0)
        bench.collect()
        bye, address = bench.sent[-1]
        assert (bye.method, str(bye.uri), address) == (
            "BYE",
            "sip:caller@198.51.100.7:5062",
            ("p1.example", 5060),
        )
        assert (bye.from_.tag, bye.to.tag) == (bench.responses[0].to.tag, "far")
        assert bench.happened[-1] == Ended("agent")

    def test_bye_before_the_ack_stops_the_repeats(self, receive: Receive):
        bench = receive()
        accept(bench)
        bench.ask("BYE")
        assert bench.names == ["200", "200"]
        assert bench.happened[-1] == Ended("caller")
        bench.assert_at_rest()
        assert bench.names == ["200", "200"]


def credentials(bench: Any, *, password: str = "s3cret", nc: int = 1, nonce: str | None = None) -> str:
    challenge = Challenge.parse(bench.responses[-1].headers.get("Proxy-Authenticate"), proxy=True)
    if nonce is not None:
        challenge = Challenge(challenge.realm, nonce, challenge.algorithm, challenge.qop, proxy=True)
    value = authorization(
        challenge,
        username="probe",
        password=password,
        method="INVITE",
        uri="sip:agent@10.0.0.1",
        cnonce="c",
        nc=nc,
    )
    return f"Proxy-Authorization: {value}"


class TestChallenge:
    @pytest.fixture
    def bench(self, receive: Receive) -> Any:
        bench = receive(challenger=Challenger(GOOD, realm="agents"))
        assert bench.names == ["407"]
        assert bench.happened == []
        return bench

    def test_the_right_credentials_let_the_caller_in(self, bench: Any, invite: Invite):
        bench.hear(invite(credentials(bench), number=2, branch="z9hG4bK-far-2"))
        assert isinstance(bench.happened[-1], Incoming)
        assert bench.call.invite.cseq.number == 2
        accept(bench)
        bench.ask("ACK", number=2)
        bench.ask("BYE", number=3)
        assert bench.happened[-1] == Ended("caller")
        bench.assert_at_rest()

    def test_wrong_ones_are_challenged_once_more_and_then_refused(self, bench: Any, invite: Invite):
        for number in (2, 3):
            wrong = credentials(bench, password="guess")
            bench.hear(invite(wrong, number=number, branch=f"z9hG4bK-far-{number}"))
        assert bench.names == ["407", "407", "403"]
        assert bench.happened == []
        bench.assert_at_rest()

    def test_right_ones_for_a_nonce_of_another_call_are_stale(self, bench: Any, invite: Invite):
        bench.hear(invite(credentials(bench, nonce="yesterday"), number=2, branch="z9hG4bK-far-2"))
        assert bench.names == ["407", "407"]
        again = Challenge.parse(bench.responses[-1].headers.get("Proxy-Authenticate"))
        assert again.stale
        bench.hear(invite(credentials(bench), number=3, branch="z9hG4bK-far-3"))
        assert isinstance(bench.happened[-1], Incoming)

    def test_a_caller_that_never_comes_back_leaves_nothing(self, bench: Any):
        bench.assert_at_rest()
        assert bench.happened == []
