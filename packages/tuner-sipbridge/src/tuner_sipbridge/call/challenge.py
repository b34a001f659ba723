"""Digest authentication on the answering side: whom to let in (RFC 3261 §22, RFC 7616)."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Literal, TypeAlias

from tuner_sipbridge.call.ids import Credentials
from tuner_sipbridge.errors import RemoteProtocolError
from tuner_sipbridge.sip.digest import authorization_fields, make_challenge, verify
from tuner_sipbridge.sip.message import REASONS, Request


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
        refused: Counter[str] | None = None,
    ) -> None:
        """Prepare.

        Args:
            credentials: the one user that is let in.
            realm: protection domain shown to the caller.
            algorithm: hash of the digest.
            status: 407 (Proxy-Authenticate, as SIP trunks do) or 401 (WWW-Authenticate).
            attempts: how many wrong answers are heard; the last of them is refused with 403, the ones before
                are challenged again.
            refused: where each wrong answer is counted as `credentials`.
        """
        self._refused: Counter[str] = Counter() if refused is None else refused
        self._credentials = credentials
        self._realm = realm
        self._algorithm = algorithm
        self._status = status
        self._attempts = attempts
        self._wrong = 0
        self._counts: dict[str, int] = {}

    def judge(self, request: Request, *, nonce: str) -> Verdict:
        """Decide on one request; `nonce` is fresh, for the challenge if there must be one."""
        name = "Proxy-Authorization" if self._status == 407 else "Authorization"
        answers = [value for value in request.headers.get_all(name) if self._is_ours(value)]
        if not answers:
            return self._challenge(nonce)
        answer = answers[0]
        given = _fields_of(answer).get("nonce", "")
        if not self._is_right(answer, request.method, given):
            self._wrong += 1
            self._refused["credentials"] += 1
            return Refused(403, REASONS[403]) if self._wrong >= self._attempts else self._challenge(nonce)
        count = _count_of(answer)
        if given not in self._counts or count <= self._counts[given]:
            # Right credentials for a nonce of an earlier call, or one answer twice (RFC 7616 §3.4).
            return self._challenge(nonce, stale=True)
        self._counts[given] = count
        return Verified()

    def _is_ours(self, answer: str) -> bool:
        return _fields_of(answer).get("realm") == self._realm

    def _is_right(self, answer: str, method: str, nonce: str) -> bool:
        return verify(
            answer,
            username=self._credentials.username,
            password=self._credentials.password,
            method=method,
            nonce=nonce,
            realm=self._realm,
            algorithms=(self._algorithm,),
        )

    def _challenge(self, nonce: str, *, stale: bool = False) -> Challenged:
        self._counts[nonce] = 0
        name = "Proxy-Authenticate" if self._status == 407 else "WWW-Authenticate"
        return Challenged(self._status, (name, make_challenge(self._realm, nonce, self._algorithm, stale)))


def _fields_of(answer: str) -> dict[str, str]:
    try:
        return authorization_fields(answer)
    except RemoteProtocolError:
        return {}


def _count_of(answer: str) -> int:
    try:
        return int(_fields_of(answer).get("nc", ""), 16)
    except ValueError:
        return 0
