"""Random identifiers, from the system's source. The pure machines get them injected."""

from __future__ import annotations

import secrets
import string
import uuid

from tuner_sipbridge.sdp.crypto import KEY_OCTETS, PLAIN, Crypto, Srtp, SrtpPolicy

_BASE62 = bytes(ord((string.digits + string.ascii_letters)[octet % 62]) for octet in range(256))
"""What each octet stands for."""
_MAGIC_COOKIE = "z9hG4bK"


def _base62(length: int) -> str:
    """One octet a character. Eight of them come a quarter more often: 5.95 bits a character either way."""
    return secrets.token_bytes(length).translate(_BASE62).decode()


class RandomIds:
    """Identifiers of SIP messages: unique over space and time, as RFC 3261 §8.1.1 and §19.3 ask."""

    def branch(self) -> str:
        """A Via branch with the magic cookie of RFC 3261 §8.1.1.7."""
        return _MAGIC_COOKIE + _base62(16)

    def tag(self) -> str:
        """A From or To tag: 71 bits, more than the 32 that RFC 3261 §19.3 asks for."""
        return _base62(12)

    def cnonce(self) -> str:
        """A client nonce for digest credentials (RFC 7616 §3.4)."""
        return secrets.token_hex(8)

    def srtp(self, policy: SrtpPolicy) -> Srtp:
        """Fresh SRTP master keys and salts for one call, one for each suite (RFC 4568 §6.1); none with `off`."""
        if policy == "off":
            return PLAIN
        suites = enumerate(KEY_OCTETS.items(), start=1)
        return Srtp(
            policy, tuple(Crypto(tag, suite, secrets.token_bytes(size)) for tag, (suite, size) in suites)
        )

    def session_id(self) -> int:
        """A session id for the SDP origin line (RFC 8866 §5.2), below 2**53."""
        return secrets.randbits(53)

    def share(self) -> float:
        """A number from 0 up to 1."""
        return secrets.randbits(53) / 2**53


def new_sip_call_id() -> str:
    """A Call-ID of our making: 27 base62 characters (160 bits), no host part."""
    return _base62(27)


def new_correlation_id() -> str:
    """A value for X-Correlation-Id: 32 hexadecimal digits."""
    return uuid.uuid4().hex


def new_nonce() -> str:
    """A server nonce for digest challenges (RFC 7616 §3.3)."""
    return secrets.token_hex(16)
