"""SRTP in offers and answers: what is taken, what is refused and why, and that no key shows."""

from __future__ import annotations

import base64

import pytest

from tuner_sipbridge.errors import LocalProtocolError, NegotiationFailed
from tuner_sipbridge.sdp.crypto import Crypto, Srtp, SrtpKeys, SrtpPolicy
from tuner_sipbridge.sdp.negotiation import accept_answer, answer, make_offer
from tuner_sipbridge.sdp.session import SessionDescription

STRONG, SHORT = "AES_CM_128_HMAC_SHA1_80", "AES_CM_128_HMAC_SHA1_32"
OURS = (Crypto(1, STRONG, b"\x01" * 30), Crypto(2, SHORT, b"\x02" * 30))
THEIRS = bytes(range(30))
KEY = base64.b64encode(THEIRS).decode()


def describe(*lines: str) -> SessionDescription:
    head = ("v=0", "o=- 1 1 IN IP4 192.0.2.9", "s=-", "c=IN IP4 192.0.2.9", "t=0 0")
    return SessionDescription.parse("\r\n".join((*head, *lines)))


def offered(policy: SrtpPolicy) -> SessionDescription:
    return make_offer("192.0.2.1", 40000, 1, srtp=Srtp(policy, () if policy == "off" else OURS))


@pytest.mark.parametrize(("policy", "profile"), [("optional", "RTP/AVP"), ("required", "RTP/SAVP")])
def test_an_offer_has_a_key_for_each_suite(policy: SrtpPolicy, profile: str):
    media = offered(policy).media[0]
    assert media.protocol == profile
    first, second = media.attributes("crypto")
    assert first == f"1 {STRONG} inline:{base64.b64encode(OURS[0].key).decode()}"
    assert second.startswith(f"2 {SHORT} inline:")
    assert not offered("off").media[0].attributes("crypto")


def test_an_offer_of_srtp_needs_keys():
    with pytest.raises(LocalProtocolError, match="no key"):
        make_offer("192.0.2.1", 40000, 1, srtp=Srtp("required"))
    with pytest.raises(LocalProtocolError, match="the key too short"):
        Crypto(1, STRONG, b"short")


@pytest.mark.parametrize("caller", ["optional", "required"])
@pytest.mark.parametrize("agent", ["optional", "required"])
def test_both_ends_get_each_others_keys(caller: SrtpPolicy, agent: SrtpPolicy):
    offer = offered(caller)
    theirs = tuple(Crypto(number, one.suite, bytes([9 + number] * 30)) for number, one in enumerate(OURS))
    said, at_agent = answer(offer, "192.0.2.9", 30000, 2, srtp=Srtp(agent, theirs))
    at_caller = accept_answer(offer, SessionDescription.parse(said.to_bytes()))
    assert at_caller.srtp == SrtpKeys(STRONG, send=OURS[0].key, receive=theirs[0].key)
    assert at_agent.srtp == SrtpKeys(STRONG, send=theirs[0].key, receive=OURS[0].key)
    assert said.media[0].protocol == offer.media[0].protocol


@pytest.mark.parametrize(
    ("policy", "lines", "suite"),
    [
        ("optional", ("m=audio 4 RTP/AVP 0",), None),
        ("optional", ("m=audio 4 RTP/AVP 0", f"a=crypto:2 {SHORT} inline:{KEY}"), SHORT),
        # A gateway may answer a best-effort offer with the secure profile; what is meant is clear.
        ("optional", ("m=audio 4 RTP/SAVP 0", f"a=crypto:1 {STRONG} inline:{KEY}|2^48"), STRONG),
        ("required", ("m=audio 4 RTP/SAVP 0", f"a=crypto:1 {STRONG} inline:{KEY} WSH=64 -KDR=1"), STRONG),
        ("off", ("m=audio 4 RTP/AVP 0", f"a=crypto:1 {STRONG} inline:{KEY}"), None),
    ],
)
def test_an_answer_that_fits(policy: SrtpPolicy, lines: tuple[str, ...], suite: str | None):
    keys = accept_answer(offered(policy), describe(*lines)).srtp
    assert (keys and keys.suite) == suite
    assert keys is None or keys.receive == THEIRS


@pytest.mark.parametrize(
    ("policy", "lines", "why"),
    [
        ("required", ("m=audio 4 RTP/AVP 0",), "answers without SRTP, which is required here"),
        ("required", ("m=audio 4 RTP/SAVP 0",), "with SRTP but without a key: it has no crypto line"),
        ("optional", ("m=audio 4 RTP/SAVP 0", "a=crypto:1 AES inline:x"), "the suite AES is not spoken"),
        (
            "required",
            ("m=audio 4 RTP/SAVP 0", f"a=crypto:3 {STRONG} inline:{KEY}"),
            "crypto 3 .* not offered",
        ),
        (
            "required",
            ("m=audio 4 RTP/SAVP 0", f"a=crypto:2 {STRONG} inline:{KEY}"),
            "crypto 2 .* not offered",
        ),
        ("required", ("m=audio 4 RTP/SAVP 0", f"a=crypto:1 {STRONG} inline:{KEY}|1:4"), "identifier"),
        ("required", ("m=audio 4 RTP/SAVP 0", f"a=crypto:1 {STRONG} uri:{KEY}"), "one inline key"),
        ("required", ("m=audio 4 RTP/SAVP 0", f"a=crypto:1 {STRONG} inline:{KEY} KDR=3"), "parameter KDR"),
        ("off", ("m=audio 4 RTP/SAVP 0", f"a=crypto:1 {STRONG} inline:{KEY}"), "SRTP, which is switched off"),
    ],
)
def test_an_answer_that_does_not_fit_is_refused_in_plain_words(
    policy: SrtpPolicy, lines: tuple[str, ...], why: str
):
    with pytest.raises(NegotiationFailed, match=why) as refusal:
        accept_answer(offered(policy), describe(*lines))
    assert KEY not in str(refusal.value)


def test_no_key_shows():
    offer = offered("required")
    _, agreed = answer(offer, "192.0.2.9", 30000, 2, srtp=Srtp("required", OURS))
    keys = (OURS[0].key, OURS[1].key)
    for shown in (OURS[0], Srtp("optional", OURS), offer, offer.media[0], agreed, agreed.srtp):
        for key in keys:
            assert base64.b64encode(key).decode() not in f"{shown!r}"
            assert repr(key) not in f"{shown!r}"
            assert repr(key)[2:-1] not in f"{shown!r}"
