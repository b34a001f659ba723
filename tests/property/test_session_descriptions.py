"""Any description written is read as the same; any octets are read or refused; whatever we offer we can settle."""

from __future__ import annotations

import contextlib

from hypothesis import given
from hypothesis import strategies as st

from tuner_sipbridge.call.offer_answer import OfferAnswer
from tuner_sipbridge.errors import NegotiationFailed, RemoteProtocolError
from tuner_sipbridge.sdp.crypto import KEY_OCTETS, Crypto, Srtp, SrtpPolicy
from tuner_sipbridge.sdp.negotiation import accept_answer, answer, make_offer
from tuner_sipbridge.sdp.session import MediaDescription, SessionDescription

TEXT = st.text(st.characters(exclude_characters="\r\n\0", exclude_categories=["Cs"]), max_size=20)
LINES = st.lists(st.tuples(st.sampled_from("abcikopqrstz"), TEXT), max_size=5).map(tuple)
WORD = st.text("abcXYZ019/+-", min_size=1, max_size=8)
MEDIA = st.builds(
    MediaDescription,
    st.sampled_from(["audio", "video", "image"]),
    st.integers(0, 65535),
    WORD,
    st.lists(WORD, max_size=4).map(tuple),
    LINES,
    st.none() | st.integers(1, 99),
)
DESCRIPTIONS = st.builds(SessionDescription, LINES, st.lists(MEDIA, max_size=3).map(tuple))


DIRECTIONS = st.sampled_from(["sendrecv", "sendonly", "recvonly", "inactive"])
POLICIES: st.SearchStrategy[SrtpPolicy] = st.sampled_from(["off", "optional", "required"])


def keyed(policy: SrtpPolicy, octet: int) -> Srtp:
    """A policy with keys that are told by their octets."""
    keys = (Crypto(tag, suite, bytes([octet + tag] * 30)) for tag, suite in enumerate(KEY_OCTETS, start=1))
    return Srtp(policy, () if policy == "off" else tuple(keys))


def use(description: SessionDescription) -> None:
    """Everything a call may do with a description that was let pass."""
    assert SessionDescription.parse(description.to_bytes()) == description
    for srtp in (Srtp(), keyed("optional", 1), keyed("required", 1)):
        with contextlib.suppress(NegotiationFailed):
            mine, _ = answer(description, "192.0.2.1", 40000, 1, srtp=srtp)
            assert len(mine.media) == len(description.media)
            assert SessionDescription.parse(mine.to_bytes()) == mine
        with contextlib.suppress(NegotiationFailed):
            accept_answer(make_offer("192.0.2.1", 40000, 1, srtp=srtp), description)
    assert description.with_version(7).media == description.media


@given(DESCRIPTIONS)
def test_a_description_is_read_as_it_was_written(description: SessionDescription):
    use(description)


@given(st.binary(max_size=120).map(b"v=0\n".__add__) | st.binary(max_size=60))
def test_any_octets_are_a_description_or_a_refusal(data: bytes):
    with contextlib.suppress(RemoteProtocolError):
        use(SessionDescription.parse(data))


SEED = (
    b"v=0\r\no=- 1 1 IN IP4 192.0.2.9\r\ns=-\r\nc=IN IP4 192.0.2.9/127\r\nt=0 0\r\n"
    b"m=audio 4000 RTP/AVP 96 0 101\r\na=rtpmap:96 PCMA/8000/1\r\na=rtpmap:101 telephone-event/8000\r\n"
    b"a=ptime:20\r\na=sendonly\r\na=rtcp:4001\r\na=rtcp-mux\r\na=maxptime:150\r\nb=AS:80\r\n"
    b"a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwd|2^31\r\n"
    b"m=video 0 RTP/AVP 31\r\n"
)


@given(st.lists(st.tuples(st.floats(0, 1), st.integers(0, 4), st.binary(max_size=4)), min_size=1, max_size=3))
def test_a_damaged_description_is_a_description_or_a_refusal(cuts: list[tuple[float, int, bytes]]):
    data = SEED
    for place, length, new in cuts:
        start = int(place * len(data))
        data = data[:start] + new + data[start + length :]
    with contextlib.suppress(RemoteProtocolError):
        use(SessionDescription.parse(data))


@given(
    st.permutations(["PCMU", "PCMA"]).flatmap(lambda all_: st.sampled_from([all_, all_[:1]])),
    st.permutations(["PCMU", "PCMA"]).flatmap(lambda all_: st.sampled_from([all_, all_[:1]])),
    st.none() | st.integers(96, 127),
    st.sampled_from(["sendrecv", "sendonly", "recvonly", "inactive"]),
)
def test_both_ends_agree_on_whatever_is_settled(
    codecs: list[str], known: list[str], dtmf: int | None, direction: str
):
    offer = make_offer("192.0.2.1", 4, 1, codecs, dtmf, direction=direction)  # pyright: ignore[reportArgumentType]
    try:
        mine, here = answer(offer, "192.0.2.9", 6, 2, known)
    except NegotiationFailed:
        assert set(codecs).isdisjoint(known)
        return
    there = accept_answer(offer, mine)
    assert (here.codec, here.payload_type, here.telephone_event) == (
        there.codec,
        there.payload_type,
        there.telephone_event,
    )
    assert (here.send, here.receive) == (there.receive, there.send)
    assert here.codec == next(codec for codec in codecs if codec in known)


STEPS = st.lists(
    st.tuples(
        st.booleans(), st.sampled_from(["offer", "again", "by address", "withdrawn"]), st.none() | DIRECTIONS
    ),
    max_size=6,
)


@given(POLICIES, POLICIES, STEPS)
def test_a_session_keeps_its_rules_whatever_both_ends_offer(
    caller: SrtpPolicy, agent: SrtpPolicy, steps: list
):
    """Streams never shrink, the version counts changes, keys stay, and both ends agree on who hears whom."""
    sides = [
        OfferAnswer.at(f"192.0.2.{number}", 4000, session_id=number, codecs=("PCMU", "PCMA"), srtp=srtp)
        for number, srtp in ((1, keyed(caller, 1)), (2, keyed(agent, 11)))
    ]
    told: dict[OfferAnswer, SessionDescription] = {}

    def tell(side: OfferAnswer, body: bytes) -> None:
        said, before = SessionDescription.parse(body), told.get(side)
        if before is not None:
            assert len(said.media) >= len(before.media)
            changed = said.with_version(0) != before.with_version(0)
            assert said.version == (before.version or 0) + changed
        told[side] = said

    for mine, how, direction in [(True, "offer", None), *steps]:
        one, other = sides if mine else reversed(sides)
        if how == "offer":
            offer = one.offer()
        else:
            offer = one.offer_again(direction, by_address=how == "by address")
        tell(one, offer)
        if how == "withdrawn":
            one.withdraw()
            continue
        try:
            answered, there = other.answer(offer)
        except NegotiationFailed:
            assert {caller, agent} == {"off", "required"}
            return
        tell(other, answered)
        here = one.take_answer(answered)
        assert not (here.send and not there.receive)
        assert (here.receive, there.codec) == (there.send and here.receive, here.codec)
        assert (here.srtp is None) == (there.srtp is None) == ("off" in (caller, agent))
        if here.srtp and there.srtp:
            assert (here.srtp.send, here.srtp.receive) == (there.srtp.receive, there.srtp.send)
            assert here.srtp.suite == "AES_CM_128_HMAC_SHA1_80"
        assert not (here.send and one.direction in ("recvonly", "inactive"))
        assert not (there.send and other.direction in ("recvonly", "inactive"))
