"""Digest authentication on the answering side: whom to let in (RFC 3261 §22, RFC 7616, RFC 8760)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from tuner_sipbridge.call.ids import Credentials
from tuner_sipbridge.sip.message import Request


@dataclass(frozen=True, slots=True)
class Verified:
    """The request carries the right credentials for a nonce that we gave."""


@dataclass(frozen=True, slots=True)
class Challenged:
    """Answer with `status` and this header; the peer is expected to come again with credentials."""

    status: int
    header: tuple[str, str]


@dataclass(frozen=True, slots=True)
class Refused:
    """Answer with `status`; no further challenge."""

    status: int
    reason: str


Verdict: TypeAlias = Verified | Challenged | Refused


class Challenger:
    """Decides on the requests of one call. Keeps the nonces it gave, so one is made for each call."""

    def __init__(
        self,
        credentials: Credentials,
        *,
        realm: str,
        algorithm: Literal["SHA-256", "MD5"] = "SHA-256",
        status: Literal[401, 407] = 407,
        attempts: int = 2,
    ) -> None:
        """Prepare.

        Args:
            credentials: the one user that is let in.
            realm: protection domain shown to the caller.
            algorithm: hash of the digest.
            status: 407 (Proxy-Authenticate, as SIP trunks do) or 401 (WWW-Authenticate).
            attempts: wrong credentials are challenged again this many times less one, then refused with 403.
        """
        raise NotImplementedError

    def judge(self, request: Request, *, nonce: str) -> Verdict:
        """Decide on one request; `nonce` is fresh, for the challenge if there must be one."""
        raise NotImplementedError
