"""Digest authentication on the calling side: the answer to 401 and 407 (RFC 3261 §22, RFC 8760)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TypeAlias

from tuner_sipbridge.call.events import Problem
from tuner_sipbridge.call.ids import Credentials, Ids
from tuner_sipbridge.call.requests import credentials_in
from tuner_sipbridge.errors import RemoteProtocolError
from tuner_sipbridge.sip.digest import (
    Challenge,
    authorization,
    authorization_fields,
    challenges_of,
    header_for,
    next_nonce,
    strongest,
)
from tuner_sipbridge.sip.message import Request, Response

Space: TypeAlias = tuple[bool, str]
"""A protection space: whether a proxy's, and its realm."""

_MOST_STALE = 3


@dataclass(frozen=True, slots=True)
class Unanswerable:
    """A challenge that ends the matter: whose, what is wrong, and in plain words why."""

    realm: str
    problem: Problem
    text: str


class Authentication:
    """Answers the challenges of one call, and counts how often each nonce was used (RFC 7616 §3.4)."""

    def __init__(self, credentials: Credentials | None, ids: Ids) -> None:
        """Start without a nonce."""
        self._credentials = credentials
        self._ids = ids
        self._challenges: dict[Space, Challenge] = {}
        self._uses: dict[str, int] = {}
        self._stale: dict[Space, int] = {}

    @property
    def used(self) -> bool:
        """True when credentials were sent: a refusal after that may be one of them."""
        return bool(self._uses)

    def known(self, request: Request) -> list[tuple[str, str]]:
        """Credentials for a request that was not challenged, for all who asked for some before (§22.3)."""
        return [self._header(challenge, request) for challenge in self._challenges.values()]

    def take_next_nonce(self, request: Request, response: Response) -> None:
        """Note the nonce that the far end wants to see next (RFC 7616 §3.5, RFC 3261 §20.6)."""
        for proxy in (False, True):
            nonce = next_nonce(response, proxy=proxy)
            if nonce is None:
                continue
            spaces = [
                space for space in _spaces_of(request) if space[0] is proxy and space in self._challenges
            ]
            # The header names no realm: with more than one it cannot be told whose nonce it is.
            if len(spaces) == 1:
                self._challenges[spaces[0]] = replace(self._challenges[spaces[0]], nonce=nonce)

    def answer(
        self, request: Request, response: Response, *, preset: bool = False
    ) -> list[tuple[str, str]] | Unanswerable:
        """The credentials for the next try of a challenged request, those it carries already included.

        Proxies on the way and the far end challenge one after the other, or all at once: there is one
        header for each of them. `preset`: those it carries came from `known`, so that a challenge only says
        that they are too old.
        """
        asked = _by_space(challenges_of(response))
        if not asked:
            text = f"{response.status} without a digest challenge that can be understood"
            return Unanswerable("", "no digest", text)
        tried = _spaces_of(request)
        for space, challenges in asked.items():
            chosen = strongest(challenges)
            before = None if preset else tried.get(space)
            if problem := self._problem(space, chosen, before, response.status):
                return problem
            assert chosen is not None
            self._challenges[space] = chosen
        spaces = {**asked, **{space: [] for space in tried}}
        return [
            self._header(self._challenges[space], request) for space in spaces if space in self._challenges
        ]

    def _problem(
        self, space: Space, chosen: Challenge | None, tried: str | None, status: int
    ) -> Unanswerable | None:
        realm = f'realm "{space[1]}"'
        if self._credentials is None:
            text = (
                f"{status}: the far end asks for a user name and password ({realm}), and the call has none:"
                " give it credentials"
            )
            return Unanswerable(space[1], "no credentials", text)
        if chosen is None:
            text = f"{status}: the far end asks for a digest algorithm that is not known here ({realm})"
            return Unanswerable(space[1], "unknown algorithm", text)
        if tried is None:
            return None
        if not chosen.stale or chosen.nonce == tried:
            pair = "and password" if self._credentials.password else "without a password: give one"
            text = (
                f"{status} again after credentials were sent ({realm}):"
                f" the far end does not accept this user name {pair}"
            )
            return Unanswerable(space[1], "wrong credentials", text)
        self._stale[space] = self._stale.get(space, 0) + 1
        if self._stale[space] > _MOST_STALE:
            text = f"{status}: the far end calls every nonce of its own stale ({realm})"
            return Unanswerable(space[1], "stale", text)
        return None

    def _header(self, challenge: Challenge, request: Request) -> tuple[str, str]:
        assert self._credentials is not None
        self._uses[challenge.nonce] = uses = self._uses.get(challenge.nonce, 0) + 1
        value = authorization(
            challenge,
            username=self._credentials.username,
            password=self._credentials.password,
            method=request.method,
            uri=str(request.uri),
            cnonce=self._ids.cnonce(),
            nc=uses,
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
