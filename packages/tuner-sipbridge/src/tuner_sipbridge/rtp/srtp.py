"""Packets protected and opened again by SRTP (RFC 3711), one key a way; libsrtp does the work."""

from __future__ import annotations

from typing import Any

import pylibsrtp
from pylibsrtp import Error, Session

_Policy: Any = pylibsrtp.Policy  # its constants have no types
_PROFILES: dict[str, Any] = {
    "AES_CM_128_HMAC_SHA1_80": _Policy.SRTP_PROFILE_AES128_CM_SHA1_80,
    "AES_CM_128_HMAC_SHA1_32": _Policy.SRTP_PROFILE_AES128_CM_SHA1_32,
}


class Protector:
    """Protects the packets of one key, in the order in which they are sent."""

    def __init__(self, suite: str, key: bytes) -> None:
        """`suite` is named as in RFC 4568 §6.2; `key` is master key and master salt."""
        self._session = Session(_Policy(key, _Policy.SSRC_ANY_OUTBOUND, srtp_profile=_PROFILES[suite]))

    def protect(self, packet: bytes) -> bytes:
        """The packet with its payload encrypted and its authentication tag behind it."""
        return self._session.protect(packet)


class Opener:
    """Authenticates and decrypts packets of one key, whatever their order; each is taken once."""

    def __init__(self, suite: str, key: bytes) -> None:
        """As `Protector`."""
        self._session = Session(_Policy(key, _Policy.SSRC_ANY_INBOUND, srtp_profile=_PROFILES[suite]))

    def open(self, packet: bytes) -> bytes | None:
        """The packet as it was before it was protected; None for one that is forged, replayed or not of this key."""
        try:
            return self._session.unprotect(packet)
        except (Error, ValueError):
            return None
