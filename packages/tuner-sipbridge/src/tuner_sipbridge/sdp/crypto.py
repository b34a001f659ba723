"""SRTP keys in session descriptions: the `crypto` attribute (RFC 4568), and what two ends agree on by it.

The keys travel in the clear inside the SDP, so they are as secret as the signalling: TLS keeps them, UDP shows them to
everybody on the way. No representation here shows one.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from tuner_sipbridge.errors import LocalProtocolError, NegotiationFailed
from tuner_sipbridge.sdp.refusals import listed, quoted
from tuner_sipbridge.sdp.session import Line, MediaDescription

SrtpPolicy: TypeAlias = Literal["off", "optional", "required"]
"""`off`: RTP in the clear. `optional`: SRTP where the far end can (offered as RTP/AVP with keys beside it, as
best-effort SRTP is commonly offered). `required`: SRTP or no call (RTP/SAVP)."""

KEY_OCTETS = {"AES_CM_128_HMAC_SHA1_80": 30, "AES_CM_128_HMAC_SHA1_32": 30}
"""The crypto suites spoken here, best first, with the octets of master key and salt together (RFC 4568 §6.2)."""

_CRYPTO = re.compile(r"([0-9]{1,9}) +([A-Za-z0-9_]+) +(\S+)((?: +\S+)*) *", re.ASCII)
_HARMLESS = re.compile(r"WSH=[0-9]+|FEC_ORDER=\S+|-\S+")
"""Session parameters that change nothing here: a window size hint, the order of a FEC that is not used, and what the
offerer itself marks as optional (RFC 4568 §6.3)."""


@dataclass(frozen=True, slots=True)
class Crypto:
    """One `crypto` attribute: a suite and the key of the packets its describer sends.

    Attributes:
        tag: number by which an answer names the offered attribute it takes.
        suite: name out of `KEY_OCTETS`.
        key: master key and master salt, one behind the other.

    Raises:
        LocalProtocolError: the suite is not spoken here, or the key is not of its length.
    """

    tag: int
    suite: str
    key: bytes = field(repr=False)

    def __post_init__(self) -> None:
        if len(self.key) != KEY_OCTETS.get(self.suite):
            raise LocalProtocolError(
                f"no SRTP key for {self.suite}: the suite is unknown, or the key too short"
            )

    @classmethod
    def parse(cls, value: str) -> Crypto:
        """Read the value of one attribute.

        Raises:
            NegotiationFailed: it is not well formed, or asks for what is not done here: another suite, a master key
                identifier, unencrypted or unauthenticated packets, a key derivation rate. The text shows no key.
        """
        match = _CRYPTO.fullmatch(value.strip(" "))
        if match is None:
            raise NegotiationFailed("a crypto line is not tag, suite and key")
        tag, suite, key_parameters, session_parameters = match.groups()
        name = suite.upper()
        if name not in KEY_OCTETS:
            raise NegotiationFailed(f"crypto {tag}: the suite {quoted(suite)} is not spoken here")
        for parameter in session_parameters.split():
            if not _HARMLESS.fullmatch(parameter.upper()):
                named = parameter.partition("=")[0]
                raise NegotiationFailed(
                    f"crypto {tag}: the session parameter {quoted(named)} is not done here"
                )
        return cls(int(tag), name, _read_key(tag, key_parameters, KEY_OCTETS[name]))

    @property
    def line(self) -> Line:
        """The attribute as a line of a description."""
        return "a", f"crypto:{self.tag} {self.suite} inline:{base64.b64encode(self.key).decode()}"


@dataclass(frozen=True, slots=True)
class Srtp:
    """What we do about SRTP at one port.

    Attributes:
        policy: whether it is offered and demanded.
        ours: a key of ours for each suite we would use, best first; empty with `off`.
    """

    policy: SrtpPolicy = "off"
    ours: tuple[Crypto, ...] = ()


@dataclass(frozen=True, slots=True)
class SrtpKeys:
    """What offer and answer agreed on: one suite, and a key for each way.

    Attributes:
        suite: name out of `KEY_OCTETS`.
        send: master key and salt of our packets.
        receive: master key and salt of the far end's.
    """

    suite: str
    send: bytes = field(repr=False)
    receive: bytes = field(repr=False)


PLAIN = Srtp()
"""No SRTP."""


def is_secure(media: MediaDescription) -> bool:
    """Whether the stream is of the secure profile (RTP/SAVP or RTP/SAVPF)."""
    return media.protocol.upper() in ("RTP/SAVP", "RTP/SAVPF")


def offered_in(media: MediaDescription) -> Srtp:
    """What a stream of an offer of ours says about SRTP, read back."""
    ours, _ = _usable(media)
    if is_secure(media):
        return Srtp("required", tuple(ours))
    return Srtp("optional", tuple(ours)) if ours else PLAIN


def choose(offered: MediaDescription, srtp: Srtp) -> tuple[Crypto | None, SrtpKeys | None]:
    """What to answer a stream of the far end's offer (RFC 4568 §5.1.2).

    Of the offered keys the first whose suite we have is taken.

    Returns:
        The attribute to answer and the keys agreed on; neither when the stream goes in the clear.

    Raises:
        NegotiationFailed: the stream demands SRTP and nothing fits, or we demand it and it offers none.
    """
    secure = is_secure(offered)
    if srtp.policy == "off":
        if secure:
            raise NegotiationFailed(_switched_off(offered))
        return None, None
    theirs, reasons = _usable(offered)
    ours = {crypto.suite: crypto for crypto in srtp.ours}
    for crypto in theirs:
        if crypto.suite in ours:
            own = ours[crypto.suite].key
            return Crypto(crypto.tag, crypto.suite, own), SrtpKeys(crypto.suite, own, crypto.key)
    if secure:
        raise NegotiationFailed(f"the far end wants SRTP: {listed(reasons, '; ') or 'it has no crypto line'}")
    if srtp.policy == "required":
        why = f" ({listed(reasons, '; ')})" if reasons else ""
        raise NegotiationFailed(f"the far end offers no SRTP, which is required here{why}")
    return None, None


def settle(offered: MediaDescription, answered: MediaDescription) -> SrtpKeys | None:
    """The keys that an answer to our offer agrees on, None for a stream in the clear (RFC 4568 §5.1.3).

    Raises:
        NegotiationFailed: the answer is of a profile that was not offered, takes no key although SRTP was demanded,
            or one that was not offered.
    """
    srtp = offered_in(offered)
    secure = is_secure(answered)
    if srtp.policy == "off":
        if secure:
            raise NegotiationFailed(_switched_off(answered))
        return None
    theirs, reasons = _usable(answered)
    if not theirs:
        if secure:
            raise NegotiationFailed(
                "the far end answers with SRTP but without a key: "
                + (listed(reasons, "; ") or "it has no crypto line")
            )
        if srtp.policy == "required":
            raise NegotiationFailed("the far end answers without SRTP, which is required here")
        return None
    taken = theirs[0]
    for crypto in srtp.ours:
        if (crypto.tag, crypto.suite) == (taken.tag, taken.suite):
            return SrtpKeys(crypto.suite, crypto.key, taken.key)
    raise NegotiationFailed(
        f"the far end answers with crypto {taken.tag} {taken.suite}, which was not offered"
    )


def _usable(media: MediaDescription) -> tuple[list[Crypto], list[str]]:
    """The keys of a stream that can be used here, and why the others cannot."""
    found: list[Crypto] = []
    reasons: list[str] = []
    for value in media.attributes("crypto"):
        try:
            found.append(Crypto.parse(value))
        except NegotiationFailed as problem:
            reasons.append(str(problem))
    return found, reasons


def _read_key(tag: str, text: str, octets: int) -> bytes:
    """Master key and salt out of key parameters (RFC 4568 §6.1); the lifetime is longer than any call."""
    method, _, info = text.partition(":")
    if method.lower() != "inline" or ";" in info:
        raise NegotiationFailed(f"crypto {tag}: one inline key is what is taken here")
    coded, *rest = info.split("|")
    if any(":" in part for part in rest):
        raise NegotiationFailed(f"crypto {tag}: keys with an identifier (MKI) are not taken here")
    try:
        key = base64.b64decode(coded, validate=True)
    except (binascii.Error, ValueError):
        raise NegotiationFailed(f"crypto {tag}: the key is not base64") from None
    if len(key) != octets:
        raise NegotiationFailed(f"crypto {tag}: the key has {len(key)} octets, not {octets}")
    return key


def _switched_off(media: MediaDescription) -> str:
    return (
        f"the far end's audio stream is {quoted(media.protocol)}, not RTP/AVP: it wants SRTP, which is switched off "
        "here (srtp: optional or required)"
    )


def lines_of(cryptos: Sequence[Crypto]) -> list[Line]:
    """The attributes as lines of a description."""
    return [crypto.line for crypto in cryptos]
