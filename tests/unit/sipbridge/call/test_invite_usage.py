"""A call that stands, seen from the caller's side; the answering side runs the same code."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tuner_sipbridge.call.events import Answered, Ended, Parted, Renegotiated
from tuner_sipbridge.sdp.session import SessionDescription

Dial = Callable[..., Any]
Sdp = Callable[..., bytes]


@pytest.fixture
def standing(dial: Dial) -> Any:
    """An answered call; what was sent and told so far is forgotten."""
    bench = dial()
    bench.answer()
    assert isinstance(bench.happened[-1], Answered)
    bench.happened.clear()
    return bench


@pytest.mark.parametrize(
    ("method", "status"),
    [
        ("OPTIONS", 200),
        ("INFO", 200),
        ("SUBSCRIBE", 405),
        ("UPDATE", 200),
        ("NOTIFY", 489),
        ("REFER", 400),
        ("MESSAGE", 405),
        ("PRACK", 481),
        ("NONSENSE", 501),
    ],
)
def test_requests_that_change_nothing_are_answered(standing: Any, method: str, status: int):
    standing.ask(method)
    assert standing.responses[-1].status == status
    if status in (405, 501) or method == "OPTIONS":
        assert "INVITE" in (standing.responses[-1].headers.get("Allow") or "")
    assert standing.happened == []


def test_an_extension_that_is_required_is_refused(standing: Any):
    standing.ask("INVITE", "Require: timer, precondition, sec-agree")
    assert standing.responses[-1].status == 420
    assert standing.responses[-1].headers.get("Unsupported") == "precondition, sec-agree"


def test_an_older_number_is_refused(standing: Any):
    standing.ask("INFO", number=9)
    standing.ask("OPTIONS", number=8)
    assert standing.responses[-1].status == 500


class TestBye:
    def test_ends_the_call_with_the_far_ends_reason(self, standing: Any):
        bye = standing.ask("BYE", 'Reason: Q.850;cause=16;text="Normal"')
        assert standing.happened == [Ended("agent", 'Q.850;cause=16;text="Normal"')]
        standing.hear(bye)
        assert [response.status for response in standing.responses] == [200, 200]
        assert standing.sent[-1][1] == ("198.51.100.7", 5060)
        standing.ask("INFO")
        assert standing.responses[-1].status == 481
        standing.assert_at_rest()

    def test_that_crosses_ours_is_answered(self, standing: Any):
        standing.call.hang_up(now=1.0)
        standing.ask("BYE")
        assert standing.responses[-1].status == 200
        standing.reply(481, to=standing.requests[-1])
        assert standing.happened == [Ended("caller"), Parted(481)]
        standing.assert_at_rest()


class TestReInvite:
    def test_that_only_refreshes_gets_the_same_description(self, standing: Any, their_sdp: Sdp):
        standing.ask("INVITE", body=their_sdp())
        standing.ask("ACK", number=standing.number)
        first = standing.responses[-1]
        standing.ask("INVITE", body=their_sdp())
        assert standing.responses[-1].body == first.body
        assert SessionDescription.parse(first.body).media[0].port == 40000
        assert standing.happened == []

    def test_hold_and_resume(self, standing: Any, their_sdp: Sdp):
        standing.ask("INVITE", body=their_sdp(hold=True, version=2))
        [held] = standing.happened
        assert isinstance(held, Renegotiated)
        assert (held.negotiated.send, held.negotiated.receive) == (False, True)
        held_sdp = SessionDescription.parse(standing.responses[-1].body)
        assert held_sdp.media[0].direction == "recvonly"
        standing.ask("ACK", number=standing.number)
        standing.ask("INVITE", body=their_sdp(port=50002, version=3))
        resumed = standing.happened[-1]
        assert resumed.negotiated.send
        assert resumed.negotiated.remote == ("198.51.100.7", 50002)
        resumed_sdp = SessionDescription.parse(standing.responses[-1].body)
        assert (resumed_sdp.version or 0) == (held_sdp.version or 0) + 1

    def test_its_200_is_repeated_until_the_ack(self, standing: Any, their_sdp: Sdp):
        standing.ask("INVITE", body=their_sdp())
        standing.wait(3.6)
        assert [response.status for response in standing.responses] == [200] * 4
        standing.ask("ACK", number=standing.number)
        standing.wait(60.0)
        assert len(standing.responses) == 4
        assert standing.happened[1:] == []

    def test_without_ack_the_far_end_is_gone(self, standing: Any, their_sdp: Sdp):
        standing.ask("INVITE", body=their_sdp())
        standing.wait(32.0)
        assert standing.happened[-1].by == "network"
        assert standing.requests[-1].method == "BYE"
        standing.reply(481, to=standing.requests[-1])
        standing.assert_at_rest()

    def test_hanging_up_meanwhile_waits_for_the_ack(self, standing: Any, their_sdp: Sdp):
        standing.ask("INVITE", body=their_sdp())
        standing.call.hang_up(now=0.1)
        standing.collect()
        assert standing.names[-1] == "200"
        assert standing.happened[-1] == Ended("caller")
        standing.ask("ACK", number=standing.number)
        assert standing.names[-1] == "BYE"

    def test_without_offer_gets_ours_and_the_ack_answers_it(self, standing: Any, their_sdp: Sdp):
        standing.ask("INVITE")
        offer = SessionDescription.parse(standing.responses[-1].body)
        assert [codec.encoding for codec in offer.media[0].codecs][:2] == ["PCMU", "PCMA"]
        standing.ask("UPDATE", body=their_sdp())
        assert standing.responses[-1].status == 491
        standing.ask("ACK", number=standing.number - 1, body=their_sdp(port=50004, codecs=("PCMA",)))
        [event] = standing.happened
        assert event.negotiated.codec == "PCMA"
        assert event.negotiated.remote[1] == 50004

    def test_an_offer_with_nothing_for_us_leaves_the_session(self, standing: Any, their_sdp: Sdp):
        video = their_sdp().replace(b"m=audio", b"m=video")
        for body in (video, b"rubbish"):
            standing.ask("INVITE", body=body)
            assert standing.responses[-1].status == 488
        assert standing.happened == []
        standing.ask("OPTIONS")
        assert standing.responses[-1].status == 200

    def test_moves_the_target(self, standing: Any, their_sdp: Sdp):
        standing.ask("INVITE", "Contact: <sip:bot@198.51.100.9:5999>", body=their_sdp())
        standing.ask("ACK", number=standing.number)
        standing.call.hang_up(now=1.0)
        standing.collect()
        bye, address = standing.sent[-1]
        assert (str(bye.uri), address) == ("sip:bot@198.51.100.9:5999", ("198.51.100.9", 5999))

    def test_a_cancel_of_it_comes_too_late(self, standing: Any, their_sdp: Sdp):
        invite = standing.ask("INVITE", body=their_sdp())
        cancel = standing.ask("INFO")
        cancel.method = "CANCEL"
        cancel.headers.set("Via", str(invite.via))
        cancel.headers.set("CSeq", f"{invite.cseq.number} CANCEL")
        standing.hear(cancel)
        assert standing.responses[-1].status == 200
        assert not any(isinstance(event, Ended) for event in standing.happened)


def test_an_update_changes_the_session_too(standing: Any, their_sdp: Sdp):
    standing.ask("UPDATE", body=their_sdp(hold=True, version=2))
    assert standing.responses[-1].status == 200
    assert standing.responses[-1].content_type == "application/sdp"
    assert not standing.happened[-1].negotiated.send
