"""Offers of every kind, each with the answer it must get: files of tests/golden/sdp.

A file is a remark, settings, the offer, and behind `--- outcome` what was agreed on and the answer, or the refusal.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tuner_sipbridge.errors import NegotiationFailed
from tuner_sipbridge.sdp.crypto import KEY_OCTETS, Crypto, Srtp
from tuner_sipbridge.sdp.negotiation import answer
from tuner_sipbridge.sdp.session import SessionDescription

FILES = sorted((Path(__file__).parents[3] / "golden" / "sdp").glob("*.txt"))
KEYS = tuple(Crypto(tag, suite, bytes([tag] * 30)) for tag, suite in enumerate(KEY_OCTETS, start=1))


def outcome(offer: str, settings: dict[str, Any]) -> str:
    """What becomes of an offer, as text."""
    policy = settings.pop("srtp", "off")
    address = settings.pop("address", "192.0.2.7")
    if "codecs" in settings:
        settings["codecs"] = settings["codecs"].split(", ")
    srtp = Srtp(policy, () if policy == "off" else KEYS)
    try:
        ours, agreed = answer(SessionDescription.parse(offer), address, 40000, 81, srtp=srtp, **settings)
    except NegotiationFailed as refusal:
        return f"refused: {refusal}\n"
    ways = [word for word, on in (("send", agreed.send), ("receive", agreed.receive)) if on]
    facts = {
        "to": "{}:{}".format(*agreed.remote),
        "rtcp": "{}:{}".format(*agreed.rtcp or ("", "")),
        "codec": f"{agreed.codec} as {agreed.payload_type}",
        "events": agreed.telephone_event,
        "media": " and ".join(ways) or "none",
        "srtp": agreed.srtp and f"{agreed.srtp.suite}, theirs {agreed.srtp.receive.hex()[:8]}",
    }
    said = "".join(f"{name}: {fact}\n" for name, fact in facts.items())
    return said + str(ours).replace("\r\n", "\n")


def test_there_are_files():
    assert len(FILES) > 20


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_an_offer_gets_its_answer(file: Path):
    head, _, rest = file.read_text().partition("--- offer\n")
    offer, _, expected = rest.partition("--- outcome\n")
    rows = [row.split(": ") for row in head.splitlines() if not row.startswith("#")]
    assert outcome(offer, {name: value for name, value in rows}) == expected
