"""RFC 3262: reliable provisional responses and PRACK, from both sides."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tuner_sipbridge.call.events import (
    Answered,
    Cancelled,
    EarlyMedia,
    NegotiationFailed,
    Rejected,
    Renegotiated,
    Ringing,
)
from tuner_sipbridge.call.extensions import Extensions
from tuner_sipbridge.sdp.session import SessionDescription
from tuner_sipbridge.sip.client_transaction import cancel_of

Dial = Callable[..., Any]
Receive = Callable[..., Any]
Invite = Callable[..., Any]
Sdp = Callable[..., bytes]

CONTACT = ("Contact", "<sip:bot@198.51.100.7:5080>")


def rings(bench: Any, number: int, *, status: int = 183, tag: str = "far", body: bytes = b"") -> Any:
    """A reliable provisional response of the far end."""
    return bench.reply(
        status,
        CONTACT,
        ("Require", "100rel"),
        ("RSeq", str(number)),
        tag=tag,
        body=body,
        to=bench.requests[0],
    )


def racks(bench: Any) -> list[str]:
    return [request.headers.get("RAck") for request in bench.requests if request.method == "PRACK"]


class TestCaller:
    def test_says_that_it_knows_how_and_acknowledges(self, dial: Dial):
        bench = dial()
        assert "100rel" in bench.invite.headers.get("Supported")
        rings(bench, 776656)
        prack, address = bench.sent[-1]
        assert (prack.method, prack.cseq.number) == ("PRACK", 2)
        assert prack.headers.get("RAck") == "776656 1 INVITE"
        assert str(prack.uri) == "sip:bot@198.51.100.7:5080"
        assert address == ("198.51.100.7", 5080)
        assert (prack.to.tag, prack.from_.tag) == ("far", bench.invite.from_.tag)
        assert bench.happened == [Ringing(183)]

    def test_the_numbers_of_the_dialog_go_on_after_the_prack(self, dial: Dial):
        bench = dial()
        rings(bench, 1)
        bench.reply(200, to=bench.requests[-1])
        bench.answer()
        bench.call.hang_up(now=1.0)
        bench.collect()
        numbers = [str(request.cseq) for request in bench.requests]
        assert numbers == ["1 INVITE", "2 PRACK", "1 ACK", "3 BYE"]

    def test_a_repeat_is_not_acknowledged_again(self, dial: Dial):
        bench = dial()
        rings(bench, 5)
        rings(bench, 5)
        assert racks(bench) == ["5 1 INVITE"]
        assert bench.happened == [Ringing(183)]

    def test_what_comes_before_its_turn_waits_for_its_repeat(self, dial: Dial):
        bench = dial()
        rings(bench, 5, status=180)
        rings(bench, 7)
        assert bench.happened == [Ringing(180)]
        rings(bench, 6, status=182)
        rings(bench, 7)
        assert racks(bench) == ["5 1 INVITE", "6 1 INVITE", "7 1 INVITE"]
        assert bench.happened == [Ringing(180), Ringing(182), Ringing(183)]

    def test_forks_count_each_for_itself(self, dial: Dial):
        bench = dial()
        rings(bench, 5)
        rings(bench, 900, tag="fork")
        assert racks(bench) == ["5 1 INVITE", "900 1 INVITE"]

    def test_early_media_in_a_reliable_response_is_the_answer(self, dial: Dial, their_sdp: Sdp):
        bench = dial()
        rings(bench, 1, body=their_sdp())
        assert [type(event) for event in bench.happened] == [Ringing, EarlyMedia]
        bench.answer(body=b"")
        assert isinstance(bench.happened[-1], Answered)
        assert bench.happened[-1].negotiated == bench.happened[1].negotiated

    def test_after_it_the_far_end_may_change_the_session_by_update(self, dial: Dial, their_sdp: Sdp):
        bench = dial()
        bench.reply(183, CONTACT, body=their_sdp())
        bench.ask("UPDATE", body=their_sdp(port=50010, version=2))
        assert bench.responses[-1].status == 491
        rings(bench, 1, body=their_sdp())
        bench.ask("UPDATE", body=their_sdp(port=50010, version=2))
        assert bench.responses[-1].status == 200
        bench.answer(body=b"")
        assert bench.happened[-1].negotiated.remote == ("198.51.100.7", 50010)

    def test_an_offer_in_it_is_answered_in_the_prack(self, dial: Dial, their_sdp: Sdp):
        bench = dial(late_offer=True)
        rings(bench, 1, body=their_sdp(50008))
        prack = bench.requests[-1]
        assert (prack.method, prack.content_type) == ("PRACK", "application/sdp")
        assert SessionDescription.parse(prack.body).media[0].port == 40000
        assert [type(event) for event in bench.happened] == [Ringing, EarlyMedia]
        bench.reply(200, to=prack)
        rings(bench, 2, body=their_sdp(50008))
        assert bench.requests[-1].body == b""
        # The 2xx has no more to say; one that repeats the offer is not answered twice.
        bench.answer(body=their_sdp(50008))
        ack = bench.requests[-1]
        assert (ack.method, ack.body) == ("ACK", b"")
        assert isinstance(bench.happened[-1], Answered)
        assert bench.happened[-1].negotiated == bench.happened[1].negotiated

    def test_an_offer_in_an_unreliable_one_waits_for_the_2xx(self, dial: Dial, their_sdp: Sdp):
        bench = dial(late_offer=True)
        bench.reply(183, CONTACT, body=their_sdp(50008))
        assert bench.happened == [Ringing(183)]
        bench.answer(body=their_sdp(50009))
        assert bench.requests[-1].body != b""
        assert bench.happened[-1].negotiated.remote[1] == 50009

    def test_an_offer_in_it_that_we_cannot_take_is_declined_and_the_call_given_up(self, dial: Dial):
        bench = dial(late_offer=True)
        offer = (
            b"v=0\r\no=- 1 1 IN IP4 1.2.3.4\r\ns=-\r\nc=IN IP4 1.2.3.4\r\nt=0 0\r\nm=audio 4 RTP/AVP 18\r\n"
        )
        rings(bench, 1, body=offer)
        prack, cancel = bench.requests[-2:]
        assert (prack.method, cancel.method) == ("PRACK", "CANCEL")
        assert b"m=audio 0" in prack.body
        assert isinstance(bench.happened[-1], NegotiationFailed)
        bench.answer(body=b"")
        assert [request.method for request in bench.requests[-2:]] == ["ACK", "BYE"]
        assert bench.requests[-2].body == b""

    def test_each_fork_gets_its_answer(self, dial: Dial, their_sdp: Sdp):
        bench = dial(late_offer=True)
        rings(bench, 5, body=their_sdp(50008))
        rings(bench, 900, tag="fork", body=their_sdp(50010))
        assert all(request.body for request in bench.requests if request.method == "PRACK")
        bench.answer(tag="fork", body=b"")
        assert bench.happened[-1].negotiated.remote[1] == 50010
        bench.answer(body=b"")
        assert [request.method for request in bench.requests[-2:]] == ["ACK", "BYE"]
        assert bench.requests[-2].body == b""

    def test_a_challenged_prack_is_sent_again(self, dial: Dial):
        from tuner_sipbridge.call.ids import Credentials

        bench = dial(credentials=Credentials("probe", "s3cret"))
        rings(bench, 1)
        bench.reply(
            407, ("Proxy-Authenticate", 'Digest realm="r", nonce="n", qop="auth"'), to=bench.requests[-1]
        )
        assert racks(bench) == ["1 1 INVITE"] * 2
        assert "Proxy-Authorization" in bench.requests[-1].headers

    def test_required_of_the_far_end(self, dial: Dial):
        invite = dial(extensions=Extensions(reliable="required")).invite
        assert invite.headers.get("Require") == "100rel"

    def test_not_spoken(self, dial: Dial):
        bench = dial(extensions=Extensions(reliable="no"))
        assert "100rel" not in bench.invite.headers.get("Supported")
        rings(bench, 1)
        assert racks(bench) == []
        assert bench.happened == [Ringing(183)]

    def test_without_an_answer_to_the_prack_the_call_goes_on(self, dial: Dial):
        bench = dial()
        rings(bench, 1)
        bench.wait(40.0)
        bench.answer()
        assert isinstance(bench.happened[-1], Answered)


def begin_media(bench: Any) -> Any:
    bench.call.begin_media(now=bench.now, address="10.0.0.1", port=40000)
    bench.collect()
    return bench.responses[-1]


def accept(bench: Any) -> None:
    bench.call.accept(now=bench.now, address="10.0.0.1", port=40000)
    bench.collect()


def prack(bench: Any, response: Any, *, number: int = 2, body: bytes = b"") -> int:
    """The caller acknowledges; gives the status of our answer."""
    rack = f"RAck: {response.headers.get('RSeq')} {response.cseq}"
    bench.ask("PRACK", rack, number=number, body=body)
    return bench.responses[-1].status


class TestAnswerer:
    def test_early_media_goes_out_reliably(self, receive: Receive, invite: Invite):
        bench = receive(invite("Supported: 100rel"))
        response = begin_media(bench)
        assert response.status == 183
        assert response.headers.get("Require") == "100rel"
        assert 1 <= int(response.headers.get("RSeq")) < 2**31
        assert SessionDescription.parse(response.body).media[0].port == 40000
        assert prack(bench, response) == 200
        accept(bench)
        assert bench.responses[-1].status == 200
        assert bench.responses[-1].body == b""
        bench.ask("ACK", number=1)
        assert isinstance(bench.happened[-1], Answered)

    def test_is_repeated_until_the_prack_ever_more_slowly(self, receive: Receive, invite: Invite):
        bench = receive(invite("Supported: 100rel"))
        response = begin_media(bench)
        bench.wait(8.0)
        assert bench.names == ["183"] * 5  # 0, 0.5, 1.5, 3.5, 7.5 s
        prack(bench, response)
        bench.wait(100.0)
        assert bench.names.count("183") == 5

    def test_without_any_prack_the_call_is_refused(self, receive: Receive, invite: Invite):
        bench = receive(invite("Supported: 100rel"))
        begin_media(bench)
        bench.wait(32.0)
        assert bench.responses[-1].status == 504
        assert isinstance(bench.happened[-1], Rejected)
        bench.assert_at_rest()

    def test_the_200_waits_for_the_prack(self, receive: Receive, invite: Invite):
        bench = receive(invite("Supported: 100rel"))
        response = begin_media(bench)
        accept(bench)
        assert bench.names == ["183"]
        assert prack(bench, response) == 200
        assert bench.names == ["183", "200", "200"]
        assert bench.responses[-1].cseq.method == "INVITE"
        assert isinstance(bench.happened[-1], Answered)

    def test_a_cancel_meanwhile_wins(self, receive: Receive, invite: Invite):
        bench = receive(invite("Supported: 100rel"))
        response = begin_media(bench)
        accept(bench)
        bench.hear(cancel_of(bench.call.invite))
        assert isinstance(bench.happened[-1], Cancelled)
        assert prack(bench, response) == 481
        bench.assert_at_rest()

    def test_a_200_may_pass_ringing_whose_prack_is_still_taken(self, receive: Receive, invite: Invite):
        # RFC 3262 §3: only a session description holds the 2xx back.
        bench = receive(invite("Require: 100rel"))
        bench.call.ring(now=0.0)
        bench.collect()
        ringing = bench.responses[-1]
        accept(bench)
        assert bench.responses[-1].status == 200
        assert prack(bench, ringing) == 200
        assert prack(bench, ringing, number=3) == 481
        bench.wait(1.0)
        assert bench.names.count("180") == 1
        bench.ask("ACK", number=1)
        assert isinstance(bench.happened[-1], Answered)

    def test_who_rings_long_says_so_again_in_a_new_response(self, receive: Receive, invite: Invite):
        bench = receive(invite("Require: 100rel"))
        bench.call.ring(now=0.0)
        bench.collect()
        first = bench.responses[-1]
        prack(bench, first)
        bench.wait(150.0)
        again = bench.responses[-1]
        assert again.status == 180
        assert int(again.headers.get("RSeq")) == int(first.headers.get("RSeq")) + 1

    def test_one_at_a_time_in_order(self, receive: Receive, invite: Invite):
        bench = receive(invite("Require: 100rel"))
        bench.call.ring(now=0.0)
        bench.call.ring(now=0.0, status=182)
        bench.collect()
        assert bench.names == ["180"]
        first = bench.responses[0]
        assert prack(bench, first) == 200
        second = bench.responses[-2]
        assert second.status == 182
        assert int(second.headers.get("RSeq")) == int(first.headers.get("RSeq")) + 1
        assert prack(bench, first, number=3) == 481
        assert prack(bench, second, number=4) == 200

    def test_ringing_needs_none_unless_the_caller_says_so(self, receive: Receive, invite: Invite):
        bench = receive(invite("Supported: 100rel"))
        bench.call.ring(now=0.0)
        bench.collect()
        assert "RSeq" not in bench.responses[-1].headers

    def test_a_caller_without_it_gets_the_same_answer_again_in_the_200(
        self, receive: Receive, invite: Invite
    ):
        bench = receive(invite())
        response = begin_media(bench)
        assert "RSeq" not in response.headers
        accept(bench)
        assert bench.responses[-1].body == response.body

    def test_a_late_offer_is_answered_in_the_prack(self, receive: Receive, invite: Invite, their_sdp: Sdp):
        bench = receive(invite("Supported: 100rel", body=b""))
        response = begin_media(bench)
        assert response.body
        assert prack(bench, response, body=their_sdp(port=50020)) == 200
        assert isinstance(bench.happened[-1], EarlyMedia)
        accept(bench)
        assert bench.responses[-1].body == b""
        assert isinstance(bench.happened[-1], Answered)
        assert bench.happened[-1].negotiated.remote[1] == 50020

    def test_a_late_offer_that_the_prack_does_not_answer_is_made_again(
        self, receive: Receive, invite: Invite, their_sdp: Sdp
    ):
        bench = receive(invite("Supported: 100rel", body=b""))
        response = begin_media(bench)
        assert prack(bench, response) == 200
        accept(bench)
        assert bench.responses[-1].body == response.body
        bench.ask("ACK", number=1, body=their_sdp(port=50020))
        assert isinstance(bench.happened[-1], Answered)

    def test_a_late_offer_that_is_answered_in_vain_ends_the_call(self, receive: Receive, invite: Invite):
        bench = receive(invite("Supported: 100rel", body=b""))
        response = begin_media(bench)
        assert prack(bench, response, body=b"nonsense") == 488
        assert [one.status for one in bench.responses if one.cseq.method == "INVITE"] == [183, 488]
        assert isinstance(bench.happened[-1], NegotiationFailed)
        bench.ask("ACK", number=1)
        bench.assert_at_rest()

    def test_a_late_offer_to_a_caller_without_it_waits_for_the_200(
        self, receive: Receive, invite: Invite, their_sdp: Sdp
    ):
        bench = receive(invite(body=b""))
        assert begin_media(bench).body == b""
        accept(bench)
        assert bench.responses[-1].body != b""
        bench.ask("ACK", number=1, body=their_sdp(port=50020))
        assert isinstance(bench.happened[-1], Answered)

    def test_a_further_offer_in_the_prack_is_answered(self, receive: Receive, invite: Invite, their_sdp: Sdp):
        bench = receive(invite("Supported: 100rel"))
        response = begin_media(bench)
        assert prack(bench, response, body=their_sdp(port=50022, version=2)) == 200
        assert bench.responses[-1].content_type == "application/sdp"
        assert isinstance(bench.happened[-1], Renegotiated)

    def test_a_caller_without_it_is_refused_when_it_is_required(self, receive: Receive, invite: Invite):
        bench = receive(invite(), extensions=Extensions(reliable="required"))
        assert bench.names == ["421"]
        assert bench.responses[-1].headers.get("Require") == "100rel"

    def test_a_caller_that_demands_it_is_refused_when_it_is_not_spoken(
        self, receive: Receive, invite: Invite
    ):
        bench = receive(invite("Require: 100rel"), extensions=Extensions(reliable="no"))
        assert bench.names == ["420"]
        assert bench.responses[-1].headers.get("Unsupported") == "100rel"

    @pytest.mark.parametrize("rack", ["", "1", "1 1 BYE", "x 1 INVITE", "1 9 INVITE"])
    def test_a_prack_for_nothing_gets_481(self, receive: Receive, invite: Invite, rack: str):
        bench = receive(invite("Supported: 100rel"))
        begin_media(bench)
        bench.ask("PRACK", f"RAck: {rack}")
        assert bench.responses[-1].status == 481

    def test_early_media_that_does_not_fit_is_488(self, receive: Receive, invite: Invite):
        bench = receive(invite("Supported: 100rel"))
        bench.call.begin_media(now=0.0, address="10.0.0.1", port=40000, codecs=("PCMA",))
        bench.collect()
        assert bench.names == ["488"]
        bench.assert_at_rest()
