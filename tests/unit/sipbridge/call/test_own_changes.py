"""Hold, resume and glare from our side, and refreshes that a session timer asks for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tuner_sipbridge.call.events import ChangeRefused, Ended, Parted, Renegotiated
from tuner_sipbridge.call.ids import Credentials
from tuner_sipbridge.sdp.session import SessionDescription

Dial = Callable[..., Any]
Receive = Callable[..., Any]
Sdp = Callable[..., bytes]


@pytest.fixture
def standing(dial: Dial) -> Any:
    bench = dial()
    bench.answer()
    bench.happened.clear()
    return bench


def act(bench: Any, what: str) -> Any:
    getattr(bench.call, what)(now=bench.now)
    bench.collect()
    return bench.requests[-1]


def direction(message: Any) -> str | None:
    return SessionDescription.parse(message.body).media[0].direction


def agree(bench: Any, their_sdp: Sdp, word: bytes = b"recvonly") -> Any:
    """The far end takes the last re-INVITE."""
    body = their_sdp(version=2).replace(b"sendrecv", word)
    return bench.reply(200, ("Contact", "<sip:bot@198.51.100.7:5080>"), body=body)


def invites(bench: Any) -> int:
    """How many INVITEs were sent, repeats not counted."""
    return len({request.cseq.number for request in bench.requests if request.method == "INVITE"})


class TestHold:
    def test_offers_sendonly_and_is_acknowledged(self, standing: Any, their_sdp: Sdp):
        before = SessionDescription.parse(standing.invite.body)
        invite = act(standing, "hold")
        assert invite.method == "INVITE"
        assert invite.to.tag == "far"
        assert direction(invite) == "sendonly"
        offer = SessionDescription.parse(invite.body)
        assert (offer.version or 0) == (before.version or 0) + 1
        ok = agree(standing, their_sdp)
        [held] = standing.happened
        assert isinstance(held, Renegotiated)
        assert (held.negotiated.send, held.negotiated.receive) == (True, False)
        ack = standing.requests[-1]
        assert (ack.method, ack.cseq.number) == ("ACK", invite.cseq.number)
        standing.hear(ok)
        assert standing.requests[-1] == ack

    def test_the_answer_to_it_moves_the_target_of_the_ack_and_of_all_that_follows(
        self, standing: Any, their_sdp: Sdp
    ):
        act(standing, "hold")
        moved = ("Contact", "<sip:bot@198.51.100.9:5999>")
        ok = standing.reply(200, moved, body=their_sdp(version=2).replace(b"sendrecv", b"recvonly"))
        standing.hear(ok)
        act(standing, "hang_up")
        assert [(message.method, address) for message, address in standing.sent[-3:]] == [
            ("ACK", ("198.51.100.9", 5999)),
            ("ACK", ("198.51.100.9", 5999)),
            ("BYE", ("198.51.100.9", 5999)),
        ]

    def test_resume_ends_it(self, standing: Any, their_sdp: Sdp):
        act(standing, "hold")
        agree(standing, their_sdp)
        invite = act(standing, "resume")
        assert direction(invite) == "sendrecv"
        agree(standing, their_sdp, b"sendrecv")
        assert standing.happened[-1].negotiated.send
        assert standing.happened[-1].negotiated.receive

    def test_a_refresh_of_the_far_end_does_not_end_it(self, standing: Any, their_sdp: Sdp):
        act(standing, "hold")
        agree(standing, their_sdp)
        standing.ask("INVITE", body=their_sdp(version=3))
        assert direction(standing.responses[-1]) == "sendonly"

    def test_that_is_refused_leaves_the_session(self, standing: Any, their_sdp: Sdp):
        act(standing, "hold")
        standing.reply(488)
        [refused] = standing.happened
        assert isinstance(refused, ChangeRefused)
        assert refused.status == 488
        assert standing.requests[-1].method == "ACK"
        standing.ask("INVITE", body=their_sdp(version=3))
        assert direction(standing.responses[-1]) == "sendrecv"

    def test_that_is_asked_for_twice_goes_out_one_after_the_other(self, standing: Any, their_sdp: Sdp):
        act(standing, "hold")
        act(standing, "resume")
        assert standing.names[2:] == ["INVITE"]
        agree(standing, their_sdp)
        assert standing.names[2:] == ["INVITE", "ACK", "INVITE"]
        assert direction(standing.invite) == "sendrecv"

    def test_waits_for_the_ack_of_the_far_ends_own_change(self, standing: Any, their_sdp: Sdp):
        standing.ask("INVITE", body=their_sdp())
        standing.call.hold(now=0.0)
        standing.collect()
        assert standing.names[-1] == "200"
        standing.ask("ACK", number=standing.number)
        assert standing.names[-1] == "INVITE"

    def test_of_the_answering_side(self, receive: Receive, their_sdp: Sdp):
        bench = receive()
        bench.call.accept(now=0.0, address="10.0.0.1", port=40000)
        bench.collect()
        bench.ask("ACK", number=1)
        invite = act(bench, "hold")
        assert (str(invite.uri), direction(invite)) == ("sip:caller@198.51.100.7:5062", "sendonly")

    def test_before_the_answer_and_after_the_end_is_nothing(self, dial: Dial):
        bench = dial()
        bench.call.hold(now=0.0)
        bench.answer()
        bench.ask("BYE")
        bench.call.hold(now=1.0)
        bench.collect()
        assert bench.names == ["INVITE", "ACK", "200"]


class TestGlare:
    def test_a_re_invite_meets_ours(self, standing: Any, their_sdp: Sdp):
        act(standing, "hold")
        standing.ask("INVITE", body=their_sdp())
        assert standing.responses[-1].status == 491

    def test_an_update_with_an_offer_meets_ours(self, standing: Any, their_sdp: Sdp):
        act(standing, "hold")
        standing.ask("UPDATE", body=their_sdp())
        assert standing.responses[-1].status == 491
        standing.ask("UPDATE")
        assert standing.responses[-1].status == 200

    def test_who_made_the_call_waits_2_1_to_4_s(self, standing: Any):
        act(standing, "hold")
        standing.reply(491)
        standing.wait(2.09)
        assert invites(standing) == 2
        standing.wait(1.91)
        assert invites(standing) == 3
        assert direction(standing.invite) == "sendonly"

    def test_the_other_side_waits_2_s_at_most(self, receive: Receive):
        bench = receive()
        bench.call.accept(now=0.0, address="10.0.0.1", port=40000)
        bench.collect()
        bench.ask("ACK", number=1)
        act(bench, "hold")
        bench.hear(bench.answer_to(bench.requests[-1], 491, "far"))
        bench.wait(2.0)
        assert invites(bench) == 2

    def test_has_an_end(self, standing: Any):
        act(standing, "hold")
        for _ in range(20):
            standing.reply(491)
            standing.wait(4.0)
        assert invites(standing) == 1 + 8
        assert isinstance(standing.happened[-1], ChangeRefused)

    def test_after_500_with_retry_after_it_waits_so_long(self, standing: Any):
        act(standing, "hold")
        standing.reply(500, ("Retry-After", "7"))
        standing.wait(6.9)
        assert invites(standing) == 2
        standing.wait(0.2)
        assert invites(standing) == 3


class TestTheFarEndIsGone:
    @pytest.mark.parametrize(("status", "by"), [(408, "network"), (481, "agent")])
    def test_it_says_so(self, standing: Any, status: int, by: str):
        """481: it has ended the call, though its BYE did not come. 408: somebody waited for it in vain."""
        act(standing, "hold")
        standing.reply(status, ("Warning", '399 edge "restarted"'), ("Server", "edge/2"))
        assert standing.requests[-1].method == "BYE"
        ended = standing.happened[-1]
        assert isinstance(ended, Ended)
        assert (ended.by, ended.status) == (by, status)
        assert (ended.failure.said_by, [one.text for one in ended.failure.warnings]) == (
            "edge/2",
            ["restarted"],
        )
        standing.reply(481, to=standing.requests[-1])
        standing.assert_at_rest()

    def test_it_says_nothing(self, standing: Any):
        act(standing, "hold")
        standing.wait(32.0)
        assert standing.happened[-1].by == "network"
        standing.assert_at_rest()


class TestHangingUpMeanwhile:
    def test_the_487_is_acknowledged_and_nothing_is_left(self, standing: Any):
        invite = act(standing, "hold")
        standing.reply(100, tag=None)
        bye = act(standing, "hang_up")
        assert bye.method == "BYE"
        standing.reply(200, to=bye)
        standing.reply(487, to=invite)
        assert standing.requests[-1].method == "ACK"
        assert [type(event) for event in standing.happened] == [Ended, Parted]
        standing.assert_at_rest()

    def test_a_far_end_that_never_answers_it_is_not_waited_for(self, standing: Any):
        act(standing, "hold")
        standing.reply(100, tag=None)
        standing.reply(200, to=act(standing, "hang_up"))
        standing.assert_at_rest()

    @pytest.mark.parametrize("provisional", [True, False], ids=["after 100", "after silence"])
    def test_nor_is_its_repeat_with_credentials(self, dial: Dial, provisional: bool):
        bench = dial(credentials=Credentials("probe", "s3cret"))
        bench.answer()
        act(bench, "hold")
        bench.reply(407, ("Proxy-Authenticate", 'Digest realm="r", nonce="n1", qop="auth"'))
        if provisional:
            bench.reply(100, tag=None)
        bench.reply(200, to=act(bench, "hang_up"))
        bench.assert_at_rest()
