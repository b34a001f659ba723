"""Digest authentication on the calling side: the answer to 401 and 407 (RFC 3261 §22, RFC 8760)."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TypeAlias

from tuner_sipbridge.call.ids import Credentials, Ids
from tuner_sipbridge.call.requests import credentials_in
from tuner_sipbridge.errors import RemoteProtocolError
from tuner_sipbridge.sip.digest import (
    Challenge,
    authorization,
    authorization_fields,
    challenges_of,
    header_for,
    strongest,
)
from tuner_sipbridge.sip.message import Request, Response

Space: TypeAlias = tuple[bool, str]
"""A protection space: whether a proxy's, and its realm."""

_MOST_STALE = 3


@dataclass(frozen=True, slots=True)
class Unanswerable:
    """A challenge that ends the matter: whose, and in plain words why."""

    realm: str
    text: str


class Authentication:
    """Answers the challenges of one call, and counts how often each nonce was used (RFC 7616 §3.4)."""

    def __init__(self, credentials: Credentials | None, ids: Ids) -> None:
        """Start without a nonce."""
        self._credentials = credentials
        self._ids = ids
        self._challenges: dict[Space, Challenge] = {}
        self._uses: Counter[str] = Counter()
        self._stale: Counter[Space] = Counter()

    def answer(self, request: Request, response: Response) -> list[tuple[str, str]] | Unanswerable:
        """The credentials for the next try of a challenged request, those it carries already included.

        Proxies on the way and the far end challenge one after the other, or all at once: there is one
        header for each of them.
        """
        asked = _by_space(challenges_of(response))
        if not asked:
            return Unanswerable("", f"{response.status} without a digest challenge that can be understood")
        tried = _spaces_of(request)
        for space, challenges in asked.items():
            chosen = strongest(challenges)
            problem = self._problem(space, chosen, tried.get(space), response.status)
            if problem:
                return Unanswerable(space[1], problem)
            assert chosen is not None
            self._challenges[space] = chosen
        spaces = {**asked, **{space: [] for space in tried}}
        return [
            self._header(self._challenges[space], request) for space in spaces if space in self._challenges
        ]

    def _problem(self, space: Space, chosen: Challenge | None, tried: str | None, status: int) -> str:
        realm = f'realm "{space[1]}"'
        if self._credentials is None:
            return (
                f"{status}: the far end asks for a user name and password ({realm}), and the call has none:"
                " give it credentials"
            )
        if chosen is None:
            return f"{status}: the far end asks for a digest algorithm that is not known here ({realm})"
        if tried is None:
            return ""
        if not chosen.stale or chosen.nonce == tried:
            return (
                f"{status} again after credentials were sent ({realm}):"
                " the far end does not accept this user name and password"
            )
        self._stale[space] += 1
        if self._stale[space] > _MOST_STALE:
            return f"{status}: the far end calls every nonce of its own stale ({realm})"
        return ""

    def _header(self, challenge: Challenge, request: Request) -> tuple[str, str]:
        assert self._credentials is not None
        self._uses[challenge.nonce] += 1
        value = authorization(
            challenge,
            username=self._credentials.username,
            password=self._credentials.password,
            method=request.method,
            uri=str(request.uri),
            cnonce=self._ids.cnonce(),
            nc=self._uses[challenge.nonce],
            body=request.body,
        )
        return header_for(challenge), value


def _by_space(challenges: list[Challenge]) -> dict[Space, list[Challenge]]:
    spaces: dict[Space, list[Challenge]] = {}
    for challenge in challenges:
        spaces.setdefault((challenge.proxy, challenge.realm), []).append(challenge)
    return spaces


def _spaces_of(request: Request) -> dict[Space, str]:
    """The nonce that a request answers in each protection space."""
    found: dict[Space, str] = {}
    for name, value in credentials_in(request):
        try:
            fields = authorization_fields(value)
        except RemoteProtocolError:
            continue
        found[name.startswith("Proxy"), fields.get("realm", "")] = fields.get("nonce", "")
    return found
