"""Offer and answer over a dialog: versions, streams that stay, hold of both kinds, keys that stay."""

from __future__ import annotations

import pytest

from tuner_sipbridge.call.offer_answer import OfferAnswer
from tuner_sipbridge.errors import NegotiationFailed
from tuner_sipbridge.sdp.crypto import Crypto, Srtp
from tuner_sipbridge.sdp.negotiation import make_offer
from tuner_sipbridge.sdp.session import Direction, SessionDescription

STRONG, SHORT = "AES_CM_128_HMAC_SHA1_80", "AES_CM_128_HMAC_SHA1_32"
OTHERS = (
    "v=0\r\no=- 1 1 IN IP4 192.0.2.9\r\ns=-\r\nc=IN IP4 192.0.2.9\r\nt=0 0\r\nm=video 4002 RTP/AVP 31\r\n"
    "m=audio 4000 RTP/AVP 8 97\r\na=rtpmap:97 telephone-event/8000\r\na=rtcp-mux\r\n"
)


def side(letter: int, srtp: Srtp | None = None) -> OfferAnswer:
    return OfferAnswer.at(
        f"192.0.2.{letter}",
        4000 + letter,
        session_id=letter,
        codecs=("PCMU", "PCMA"),
        srtp=srtp or Srtp(),
    )


def read(body: bytes) -> SessionDescription:
    return SessionDescription.parse(body)


def exchange(ours: OfferAnswer, theirs: OfferAnswer, offer: bytes) -> SessionDescription:
    """Let an offer of ours be answered; gives the answer."""
    answered, _ = theirs.answer(offer)
    ours.take_answer(answered)
    return read(answered)


def agreed(session: OfferAnswer) -> tuple[bool, bool]:
    assert session.agreed is not None
    return session.agreed.send, session.agreed.receive


def standing() -> tuple[OfferAnswer, OfferAnswer]:
    ours, theirs = side(1), side(2)
    exchange(ours, theirs, ours.offer())
    return ours, theirs


@pytest.mark.parametrize(
    ("direction", "answered", "ours", "theirs"),
    [
        ("sendonly", "recvonly", (True, False), (False, True)),
        ("inactive", "inactive", (False, False), (False, False)),
        ("recvonly", "sendonly", (False, True), (True, False)),
    ],
)
def test_hold_and_resume_by_attribute(
    direction: Direction, answered: str, ours: tuple[bool, bool], theirs: tuple[bool, bool]
):
    us, them = standing()
    offer = us.offer_again(direction)
    assert read(offer).media[0].direction == direction
    assert exchange(us, them, offer).media[0].direction == answered
    assert (agreed(us), agreed(them)) == (ours, theirs)
    assert us.direction == direction
    exchange(us, them, us.offer_again("sendrecv"))
    assert (agreed(us), agreed(them)) == ((True, True), (True, True))


def test_hold_and_resume_by_address():
    us, them = standing()
    offer = us.offer_again("inactive", by_address=True)
    assert read(offer).address == "0.0.0.0"
    assert read(offer).media[0].direction is None
    assert exchange(us, them, offer).media[0].direction == "recvonly"
    assert agreed(us) == (False, False)
    assert not agreed(them)[0]
    resumed = us.offer_again("sendrecv")
    assert read(resumed).address == "192.0.2.1"
    exchange(us, them, resumed)
    assert (agreed(us), agreed(them)) == ((True, True), (True, True))


def test_each_side_lifts_its_own_hold_only():
    us, them = standing()
    exchange(us, them, us.offer_again("sendonly"))
    assert exchange(them, us, them.offer_again("sendonly")).media[0].direction == "inactive"
    assert exchange(us, them, us.offer_again("sendrecv")).media[0].direction == "sendonly"
    assert (agreed(us), agreed(them)) == ((False, True), (True, False))
    assert exchange(them, us, them.offer_again("sendrecv")).media[0].direction == "sendrecv"


def test_a_hold_that_was_refused_is_none():
    us, them = standing()
    us.offer_again("sendonly")
    assert us.pending
    us.withdraw()
    assert not us.pending
    assert exchange(them, us, them.offer_again()).media[0].direction == "sendrecv"


def test_the_version_counts_what_changes_and_nothing_else():
    us, _ = side(1), side(2)
    versions = [
        read(offer).version
        for offer in (
            us.offer(),
            us.offer(),
            us.offer_again(),
            us.offer_again("sendonly"),
            us.offer_again(),
            us.offer_again("inactive", by_address=True),
            us.offer_again("sendrecv"),
        )
    ]
    assert versions == [1, 1, 1, 2, 2, 3, 4]


@pytest.mark.parametrize("again", ["offer", "offer_again"])
def test_streams_profile_and_numbers_stay_in_a_later_offer(again: str):
    us = side(1)
    us.answer(OTHERS.encode())
    later = read(getattr(us, again)())
    assert [(media.media, media.port) for media in later.media] == [("video", 0), ("audio", 4001)]
    assert ("97" in later.media[1].formats, "101" in later.media[1].formats) == (True, False)
    assert later.media[1].attributes("fmtp") == ["97 0-15"]
    assert later.media[1].rtcp_mux
    assert later.media[1].formats == (("0", "8", "97") if again == "offer" else ("8", "97"))


def test_an_answer_to_an_offer_with_refused_streams_is_read_in_its_place():
    us = side(1)
    us.answer(OTHERS.encode())
    us.offer()
    answered = OTHERS.replace("m=video 4002", "m=video 0").replace("4000", "5000")
    assert us.take_answer(answered.encode()).remote == ("192.0.2.9", 5000)
    with pytest.raises(NegotiationFailed, match="leaves out the audio stream"):
        us.take_answer(answered.partition("m=audio")[0].encode())


def test_keys_and_suite_stay_over_later_offers_from_either_side():
    def keyed(octet: int) -> Srtp:
        keys = (Crypto(1, STRONG, bytes([octet] * 30)), Crypto(2, SHORT, bytes([octet + 1] * 30)))
        return Srtp("optional", keys)

    us, them = side(1, keyed(1)), side(2, keyed(3))
    exchange(us, them, us.offer())
    assert us.agreed is not None
    before = us.agreed.srtp
    assert before is not None
    for one, other, how in ((us, them, "offer_again"), (them, us, "offer_again"), (them, us, "offer")):
        exchange(one, other, getattr(one, how)())
        assert us.agreed.srtp == before
        assert them.agreed is not None
        assert them.agreed.srtp is not None
        assert (them.agreed.srtp.send, them.agreed.srtp.receive) == (before.receive, before.send)


def test_an_offer_that_must_be_answered_and_is_not_wanted_is_declined_stream_by_stream():
    us = side(1)
    declined = read(us.decline(OTHERS.encode()))
    assert [(media.media, media.port) for media in declined.media] == [("video", 0), ("audio", 0)]
    assert us.decline(b"") == us.decline(b"nonsense") == b""


def test_events_go_under_the_number_of_who_receives_them():
    us = OfferAnswer(make_offer("192.0.2.1", 4000, 1, dtmf=101))
    us.offer()
    said = OTHERS.replace("m=video 4002 RTP/AVP 31\r\n", "").encode()
    settled = us.take_answer(said)
    assert (settled.telephone_event, settled.events_received) == (97, 101)


def test_a_later_offer_keeps_the_numbers_that_the_far_end_gave_to_opus_and_its_events():
    us = OfferAnswer(make_offer("192.0.2.1", 4000, 1, ("PCMU", "opus")))
    theirs = (
        "v=0\r\no=- 5 1 IN IP4 192.0.2.9\r\ns=-\r\nc=IN IP4 192.0.2.9\r\nt=0 0\r\n"
        "m=audio 5000 RTP/AVP 101 111\r\na=rtpmap:101 opus/48000/2\r\na=rtpmap:111 telephone-event/48000\r\n"
    )
    us.answer(theirs.encode())
    again = read(us.offer()).media[0]
    assert again.formats == ("0", "101", "102", "111")
    assert [(one.payload_type, one.encoding, one.clock_rate) for one in again.codecs] == [
        (0, "PCMU", 8000),
        (101, "opus", 48000),
        (102, "telephone-event", 8000),
        (111, "telephone-event", 48000),
    ]
    assert [value.partition(" ")[0] for value in again.attributes("fmtp")] == ["101", "102", "111"]
