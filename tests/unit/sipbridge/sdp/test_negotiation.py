from __future__ import annotations

from dataclasses import replace

import pytest

from tuner_sipbridge.errors import LocalProtocolError, NegotiationFailed
from tuner_sipbridge.sdp.crypto import Crypto, Srtp, SrtpPolicy
from tuner_sipbridge.sdp.negotiation import Negotiated, accept_answer, answer, make_offer
from tuner_sipbridge.sdp.session import SessionDescription


def describe(*lines: str) -> SessionDescription:
    head = ("v=0", "o=- 1 1 IN IP4 192.0.2.9", "s=-", "c=IN IP4 192.0.2.9", "t=0 0")
    return SessionDescription.parse("\r\n".join((*head, *lines)))


def test_an_offer():
    assert str(make_offer("192.0.2.1", 40000, 81)).split("\r\n") == [
        "v=0",
        "o=- 81 1 IN IP4 192.0.2.1",
        "s=-",
        "c=IN IP4 192.0.2.1",
        "t=0 0",
        "m=audio 40000 RTP/AVP 0 8 101",
        "a=rtpmap:0 PCMU/8000",
        "a=rtpmap:8 PCMA/8000",
        "a=rtpmap:101 telephone-event/8000",
        "a=fmtp:101 0-15",
        "a=ptime:20",
        "a=sendrecv",
        "",
    ]


def test_an_offer_of_our_choice():
    offer = make_offer("2001:db8::1", 4, 81, codecs=("PCMA",), dtmf=None, version=2, direction="inactive")
    assert offer.media[0].formats == ("8",)
    assert offer.address == "2001:db8::1"
    assert "c=IN IP6 2001:db8::1\r\n" in str(offer)
    assert offer.version == 2
    assert offer.direction_of(offer.media[0]) == "inactive"


@pytest.mark.parametrize(
    "wrong", [{"codecs": ("G729",)}, {"codecs": ()}, {"dtmf": 8}, {"address": "host.example"}, {"port": 0}]
)
def test_an_offer_that_nobody_could_answer_is_refused(wrong: dict[str, object]):
    with pytest.raises(LocalProtocolError):
        make_offer(**{"address": "192.0.2.1", "port": 4, "session_id": 1, **wrong})  # pyright: ignore[reportArgumentType]


def test_both_ends_settle_on_the_same():
    offer = make_offer("192.0.2.1", 40000, 81)
    theirs, at_agent = answer(offer, "192.0.2.9", 30000, 9)
    at_caller = accept_answer(offer, SessionDescription.parse(str(theirs)))
    both = Negotiated(
        ("192.0.2.1", 40000),
        "PCMU",
        0,
        101,
        send=True,
        receive=True,
        ptime_ms=20,
        events_received=101,
        received={0: "PCMU"},
    )
    assert at_agent == replace(both, rtcp=("192.0.2.1", 40001))
    assert at_caller == replace(both, remote=("192.0.2.9", 30000), rtcp=("192.0.2.9", 30001))
    assert theirs.media[0].formats == ("0", "101")


def test_the_offerers_first_codec_that_is_known_is_taken_with_its_own_numbers():
    offer = describe(
        "m=audio 4000 RTP/AVP 111 97 0 110 126",
        "a=rtpmap:111 opus/48000/2",
        "a=rtpmap:97 pcma/8000",
        "a=rtpmap:110 telephone-event/48000",
        "a=rtpmap:126 telephone-event/8000",
        "a=ptime:30",
    )
    mine, negotiated = answer(offer, "192.0.2.1", 40000, 1)
    assert (negotiated.codec, negotiated.payload_type, negotiated.telephone_event) == ("PCMA", 97, 126)
    assert negotiated.ptime_ms == 30
    assert mine.media[0].formats == ("97", "126")
    assert mine.media[0].attributes("rtpmap") == ["97 pcma/8000", "126 telephone-event/8000"]


def test_streams_that_are_not_taken_are_refused_in_their_place():
    offer = describe(
        "m=video 4002 RTP/AVP 31",
        "m=audio 0 RTP/AVP 0",
        "m=audio 4004 RTP/SAVP 0",
        "m=audio 4006 RTP/AVPF 8",
        "t=1 2",
    )
    mine, negotiated = answer(offer, "192.0.2.1", 40000, 1)
    assert [(media.media, media.port, media.protocol, media.formats) for media in mine.media] == [
        ("video", 0, "RTP/AVP", ("31",)),
        ("audio", 0, "RTP/AVP", ("0",)),
        ("audio", 0, "RTP/SAVP", ("0",)),
        ("audio", 40000, "RTP/AVPF", ("8",)),
    ]
    assert negotiated.remote == ("192.0.2.9", 4006)
    assert negotiated.telephone_event is None


@pytest.mark.parametrize(
    ("theirs", "ours", "send", "receive"),
    [
        ("sendrecv", "sendrecv", True, True),
        ("sendonly", "recvonly", False, True),
        ("recvonly", "sendonly", True, False),
        ("inactive", "inactive", False, False),
    ],
)
def test_hold_and_its_kin(theirs: str, ours: str, send: bool, receive: bool):
    mine, negotiated = answer(describe("m=audio 4000 RTP/AVP 0", f"a={theirs}"), "192.0.2.1", 40000, 1)
    assert mine.media[0].direction == ours
    assert (negotiated.send, negotiated.receive) == (send, receive)
    ours_offered = make_offer("192.0.2.1", 40000, 1)
    settled = accept_answer(ours_offered, describe("m=audio 4000 RTP/AVP 0", f"a={theirs}"))
    assert (settled.send, settled.receive) == (send, receive)


def test_an_address_of_zeros_is_hold_too():
    _, negotiated = answer(describe("m=audio 4000 RTP/AVP 0", "c=IN IP4 0.0.0.0"), "192.0.2.1", 40000, 1)
    assert not negotiated.send


def test_our_own_direction_counts_in_an_answer():
    offer = make_offer("192.0.2.1", 40000, 1, direction="recvonly")
    settled = accept_answer(offer, describe("m=audio 4000 RTP/AVP 0"))
    assert (settled.send, settled.receive) == (False, True)


@pytest.mark.parametrize(
    ("lines", "why"),
    [
        ((), "no media stream"),
        (("m=video 4000 RTP/AVP 31",), "the video stream is not audio"),
        (("m=audio 0 RTP/AVP 0",), "its port is 0"),
        (("m=audio 4000 UDP/TLS/RTP/SAVPF 0",), "wants SRTP"),
        (("m=audio 4000 RTP/AVP 9 18 x",), "the far end has G722, G729; here there is PCMA, PCMU"),
        (("m=audio 4000 RTP/AVP 0", "a=rtpmap:0 PCMU/16000"), "no codec in common"),
        (("m=audio 4000 RTP/AVP 0", "c=IN IP4 media..example"), '"media..example" is neither an IP'),
        # As long as a name may be, and none at its last character: to be read in one pass.
        (("m=audio 4000 RTP/AVP 0", f"c=IN IP4 {'a' * 252}!"), "is neither an IP"),
        (("m=audio 0 RTP/AVP 0", "m=image 4 udptl t38"), "its port is 0.*; the image stream"),
    ],
)
def test_an_offer_that_cannot_be_taken_is_refused_in_plain_words(lines: tuple[str, ...], why: str):
    with pytest.raises(NegotiationFailed, match=why):
        answer(describe(*lines), "192.0.2.1", 40000, 1)


def test_an_offer_without_an_address_cannot_be_taken():
    with pytest.raises(NegotiationFailed, match="no address"):
        answer(SessionDescription.parse("v=0\r\nm=audio 4000 RTP/AVP 0\r\n"), "192.0.2.1", 40000, 1)


@pytest.mark.parametrize(
    ("lines", "why"),
    [
        ((), "leaves out the audio stream"),
        (("m=audio 0 RTP/AVP 0",), "refuses the audio stream"),
        (("m=audio 4000 RTP/AVP 8",), "no codec in common: the far end has PCMA; here there is PCMU"),
        (("m=audio 4000 RTP/AVP 101", "a=rtpmap:101 telephone-event/8000"), "no codec in common"),
        (("m=audio 4000 RTP/SAVP 0",), "wants SRTP"),
    ],
)
def test_an_answer_that_settles_nothing_is_refused_in_plain_words(lines: tuple[str, ...], why: str):
    with pytest.raises(NegotiationFailed, match=why):
        accept_answer(make_offer("192.0.2.1", 40000, 1, codecs=("PCMU",)), describe(*lines))


def test_events_that_were_not_offered_are_not_sent():
    offer = make_offer("192.0.2.1", 40000, 1, dtmf=None)
    theirs = describe("m=audio 4000 RTP/AVP 0 101", "a=rtpmap:101 telephone-event/8000")
    assert accept_answer(offer, theirs).telephone_event is None


def test_opus_is_described_with_its_clock_its_bandwidth_and_events_of_both_clocks():
    text = str(make_offer("192.0.2.1", 40000, 81, ("opus", "G722", "PCMU")))
    assert "m=audio 40000 RTP/AVP 111 9 0 101 102\r\n" in text
    for line in (
        "a=rtpmap:111 opus/48000/2",
        "a=fmtp:111 maxplaybackrate=8000;sprop-maxcapturerate=8000;stereo=0;useinbandfec=0",
        "a=rtpmap:9 G722/8000",
        "a=rtpmap:101 telephone-event/8000",
        "a=rtpmap:102 telephone-event/48000",
        "a=fmtp:102 0-15",
    ):
        assert f"{line}\r\n" in text


def test_a_number_that_is_taken_gives_way():
    formats = make_offer("192.0.2.1", 40000, 81, ("opus",), dtmf=111).media[0].formats
    assert formats == ("112", "111", "113")


def test_opus_is_settled_with_the_events_of_its_clock():
    offer = make_offer("192.0.2.1", 40000, 81, ("opus", "PCMU"))
    theirs, at_agent = answer(offer, "192.0.2.9", 30000, 9, ("PCMU", "opus"))
    at_caller = accept_answer(offer, SessionDescription.parse(str(theirs)))
    for end in (at_agent, at_caller):
        assert (end.codec, end.payload_type, end.received) == ("opus", 111, {111: "opus"})
        assert (end.telephone_event, end.events_received, end.event_clock_rate) == (102, 102, 48000)


def test_each_end_of_an_opus_call_sends_under_the_numbers_of_the_other():
    theirs = describe(
        "m=audio 4000 RTP/AVP 96 0 97",
        "a=rtpmap:96 OPUS/48000/2",
        "a=rtpmap:97 telephone-event/8000",
    )
    settled = accept_answer(make_offer("192.0.2.1", 40000, 81, ("opus", "PCMU")), theirs)
    assert (settled.codec, settled.payload_type) == ("opus", 96)
    assert settled.received == {111: "opus", 0: "PCMU"}
    assert (settled.telephone_event, settled.events_received, settled.event_clock_rate) == (97, 101, 8000)


def test_opus_is_refused_where_it_is_not_asked_for():
    offer = describe("m=audio 4000 RTP/AVP 96", "a=rtpmap:96 opus/48000/2")
    with pytest.raises(NegotiationFailed, match="the far end has opus; here there is PCMA, PCMU"):
        answer(offer, "192.0.2.1", 40000, 1)


WORD = "w" * 3000
OFFERS_OF_TOO_MUCH = {
    "streams": [f"m=audio 4000 {index:x}/AVP 0" for index in range(2000)],
    "words": [f"m={WORD} 4000 {WORD} 0", f"m=audio 4000 {WORD} 0"],
    "codecs": ["m=audio 4000 RTP/AVP 96", f"a=rtpmap:96 {WORD}/8000"],
    "address": ["m=audio 4000 RTP/AVP 0", f"c=IN IP4 {WORD}"],
    "crypto": ["m=audio 4000 RTP/SAVP 0", *(f"a=crypto:{tag} S{tag}{WORD} inline:k" for tag in range(20))],
    "parameters": [
        "m=audio 4000 RTP/SAVP 0",
        f"a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:{'A' * 40} {WORD}",
    ],
}


@pytest.mark.parametrize("lines", OFFERS_OF_TOO_MUCH.values(), ids=OFFERS_OF_TOO_MUCH)
@pytest.mark.parametrize("policy", ["off", "required"])
def test_a_refusal_does_not_repeat_all_that_the_far_end_wrote(lines: list[str], policy: SrtpPolicy):
    srtp = Srtp(policy, (Crypto(1, "AES_CM_128_HMAC_SHA1_80", bytes(30)),) if policy == "required" else ())
    with pytest.raises(NegotiationFailed) as refused:
        answer(describe(*lines), "192.0.2.1", 40000, 1, srtp=srtp)
    assert len(str(refused.value)) < 1500


def test_what_holds_for_all_streams_is_read_once():
    # Asked for again for each of the streams, the session's lines would be gone over a billion times.
    lines = [*("a=" for _ in range(40000)), *("m=audio 4000 RTP/AVP 0" for _ in range(25000))]
    offer = SessionDescription.parse("\n".join(("v=0", *lines)))
    with pytest.raises(NegotiationFailed, match="has no address"):
        answer(offer, "192.0.2.1", 40000, 1)
