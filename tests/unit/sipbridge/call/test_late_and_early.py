"""Offers that come late, in the 2xx; and none of SRTP where it is demanded."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tuner_sipbridge.call.events import Answered, Ended, NegotiationFailed
from tuner_sipbridge.sdp.crypto import Crypto, Srtp
from tuner_sipbridge.sdp.session import SessionDescription

Dial = Callable[..., Any]
Receive = Callable[..., Any]
Invite = Callable[..., Any]
Sdp = Callable[..., bytes]


def of_kind(bench: Any, kind: type) -> list[Any]:
    return [event for event in bench.happened if isinstance(event, kind)]


class TestALateOffer:
    def test_the_invite_says_nothing_and_the_ack_answers(self, dial: Dial, their_sdp: Sdp):
        bench = dial(late_offer=True)
        assert bench.invite.body == b""
        assert "Content-Type" not in bench.invite.headers
        bench.answer(body=their_sdp(50008, codecs=("PCMA", "PCMU")))
        ack = bench.last
        assert ack.headers.get("Content-Type") == "application/sdp"
        answered = SessionDescription.parse(ack.body)
        assert answered.media[0].formats == ("8", "101")
        [event] = of_kind(bench, Answered)
        assert event.negotiated.remote == ("198.51.100.7", 50008)
        assert event.negotiated.codec == "PCMA"

    def test_the_ack_to_a_repeated_2xx_is_the_same(self, dial: Dial):
        bench = dial(late_offer=True)
        bench.answer()
        bench.answer()
        first, second = [request for request in bench.requests if request.method == "ACK"]
        assert first.to_bytes() == second.to_bytes()

    @pytest.mark.parametrize("body", [b"", b"v=0\r\nm=audio 4 RTP/AVP 18\r\n", b"nonsense"])
    def test_an_offer_that_cannot_be_taken_is_declined_and_the_call_ended(self, dial: Dial, body: bytes):
        bench = dial(late_offer=True)
        bench.answer(body=body)
        assert bench.names[-2:] == ["ACK", "BYE"]
        ack = bench.requests[-2]
        assert (b"m=audio 0" in ack.body) == (b"m=audio" in body)
        assert len(of_kind(bench, NegotiationFailed)) == 1
        bench.reply(200, to=bench.last)
        bench.assert_at_rest()

    def test_a_fork_that_is_not_wanted_is_declined(self, dial: Dial):
        bench = dial(late_offer=True)
        bench.answer(tag="one")
        bench.answer(tag="two")
        ack, bye = bench.requests[-2:]
        assert (ack.method, bye.method) == ("ACK", "BYE")
        assert b"m=audio 0" in ack.body
        assert len(of_kind(bench, Answered)) == 1
        assert not of_kind(bench, Ended)


def test_a_call_that_offers_no_srtp_where_it_is_demanded_is_refused(receive: Receive):
    bench = receive()
    keys = Srtp("required", (Crypto(1, "AES_CM_128_HMAC_SHA1_80", bytes(30)),))
    bench.call.accept(now=0.0, address="10.0.0.1", port=40000, srtp=keys)
    bench.collect()
    assert bench.names == ["488"]
    assert "SRTP, which is required here" in of_kind(bench, NegotiationFailed)[0].text
