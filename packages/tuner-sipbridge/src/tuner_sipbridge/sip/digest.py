"""Digest authentication: the UAC's answer to a 401 or 407, and the UAS's challenge and check.

RFC 3261 §22, RFC 7616 for the algorithms and `auth-int`, RFC 8760 for several challenges at once, and RFC 2069's
form without qop for old servers.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from dataclasses import dataclass, field

from tuner_sipbridge.errors import LocalProtocolError, RemoteProtocolError
from tuner_sipbridge.sip.grammar import (
    WHITESPACE,
    is_quoted_string,
    is_token,
    quote,
    split_outside,
    split_word,
    unquote,
)
from tuner_sipbridge.sip.message import Response

ALGORITHMS = ("SHA-512-256", "SHA-256", "MD5")
"""Hashes known here, strongest first; each also as `-sess` (RFC 7616 §6.1)."""

_HASHES = {"SHA-512-256": "sha512_256", "SHA-256": "sha256", "MD5": "md5"}
_BEGINS_CHALLENGE = re.compile(r"([A-Za-z0-9\-.!%*_+`'~]+)[ \t]+(?=[A-Za-z0-9\-.!%*_+`'~]+[ \t]*=)")


@dataclass(frozen=True, slots=True)
class Challenge:
    """What a server asks of us (RFC 7616 §3.3).

    Realm, nonce and opaque are as they stand between the quotes, escapes included: so they are hashed and sent
    back.

    Attributes:
        realm: whose user name and password are wanted.
        nonce: the server's one-time text.
        algorithm: as the server wrote it, None when it did not (then MD5).
        qop: qualities of protection on offer, in lower case; empty in the form of RFC 2069.
        opaque: to be sent back unchanged.
        stale: the nonce of the last answer was too old, but the credentials were right.
        userhash: the server takes the user name hashed.
        proxy: True for Proxy-Authenticate, False for WWW-Authenticate.
    """

    realm: str
    nonce: str = field(repr=False)
    algorithm: str | None = None
    qop: tuple[str, ...] = ()
    opaque: str | None = field(default=None, repr=False)
    stale: bool = False
    userhash: bool = False
    proxy: bool = False

    @classmethod
    def parse(cls, text: str, *, proxy: bool = False) -> Challenge:
        """Read the value of one WWW-Authenticate or Proxy-Authenticate header.

        Raises:
            RemoteProtocolError: not one digest challenge with realm and nonce.
        """
        fields = _parse_digest(text)
        if "realm" not in fields or "nonce" not in fields:
            raise RemoteProtocolError("digest challenge: realm or nonce is missing")
        return cls(
            realm=fields["realm"],
            nonce=fields["nonce"],
            algorithm=fields.get("algorithm"),
            qop=tuple(
                option.strip(WHITESPACE).lower() for option in fields.get("qop", "").split(",") if option
            ),
            opaque=fields.get("opaque"),
            stale=fields.get("stale", "").lower() == "true",
            userhash=fields.get("userhash", "").lower() == "true",
            proxy=proxy,
        )

    def __str__(self) -> str:
        parts = [f'realm="{self.realm}"', f'nonce="{self.nonce}"']
        if self.opaque is not None:
            parts.append(f'opaque="{self.opaque}"')
        if self.stale:
            parts.append("stale=true")
        if self.algorithm is not None:
            parts.append(f"algorithm={self.algorithm}")
        if self.qop:
            parts.append(f'qop="{",".join(self.qop)}"')
        if self.userhash:
            parts.append("userhash=true")
        return "Digest " + ", ".join(parts)

    @property
    def quality(self) -> str | None:
        """The qop to answer with: `auth`, else `auth-int`; None without qop, and when none is known."""
        return next((option for option in ("auth", "auth-int") if option in self.qop), None)

    @property
    def is_answerable(self) -> bool:
        """Whether algorithm and qop are known here."""
        return _hash_name(self.algorithm) is not None and (not self.qop or self.quality is not None)


def challenges_of(response: Response) -> list[Challenge]:
    """All digest challenges of a 401 or 407, in the order of the message, known algorithm or not.

    Challenges of other schemes and malformed ones are left out: one bad header must not hide a good one.
    """
    found: list[Challenge] = []
    for name in ("WWW-Authenticate", "Proxy-Authenticate"):
        for value in response.headers.get_all(name):
            for text in _split_challenges(value):
                try:
                    found.append(Challenge.parse(text, proxy=name.startswith("Proxy")))
                except RemoteProtocolError:
                    continue
    return found


def strongest(challenges: list[Challenge]) -> Challenge | None:
    """The answerable challenge with the strongest hash, the first of equals; None when there is none."""
    answerable = [challenge for challenge in challenges if challenge.is_answerable]
    return min(answerable, key=lambda one: ALGORITHMS.index(_plain(one.algorithm)), default=None)


def header_for(challenge: Challenge) -> str:
    """Name of the header that the answer goes into."""
    return "Proxy-Authorization" if challenge.proxy else "Authorization"


def next_nonce(response: Response, *, proxy: bool) -> str | None:
    """The nonce that the server wants in the next request (RFC 7616 §3.5); None when it says nothing of it.

    Args:
        response: any final response to a request with credentials.
        proxy: read Proxy-Authentication-Info rather than Authentication-Info.
    """
    value = response.headers.get("Proxy-Authentication-Info" if proxy else "Authentication-Info")
    if value is None:
        return None
    try:
        # The header has the fields of a challenge without the scheme in front.
        return _parse_digest(f"Digest {value}").get("nextnonce") or None
    except RemoteProtocolError:
        return None


def authorization(
    challenge: Challenge,
    *,
    username: str,
    password: str,
    method: str,
    uri: str,
    cnonce: str,
    nc: int,
    body: bytes = b"",
) -> str:
    """The credentials that answer a challenge: value of the header that `header_for` names.

    Args:
        challenge: what was asked.
        username: user name in the challenge's realm.
        password: its password.
        method: method of the request.
        uri: Request-URI of the request, as written.
        cnonce: fresh random text of ours, without quote or backslash.
        nc: how often this nonce has been used, this time included; from 1.
        body: body of the request, hashed only for `auth-int`.

    Raises:
        LocalProtocolError: algorithm or qop of the challenge is not known here, or a line break in `username`.
    """
    if not challenge.is_answerable:
        raise LocalProtocolError("digest: algorithm or qop of the challenge is not known here")
    quality = challenge.quality
    count = f"{nc:08x}"
    response = _response(
        challenge.algorithm,
        secret=(username, challenge.realm, password),
        nonce=challenge.nonce,
        cnonce=cnonce,
        protection=(quality, count),
        request=(method, uri, body),
    )
    user = quote(username)
    if challenge.userhash:
        user = f'"{_hash(challenge.algorithm, f"{username}:{challenge.realm}".encode())}"'
    parts = [
        f"username={user}",
        f'realm="{challenge.realm}"',
        f'nonce="{challenge.nonce}"',
        f'uri="{uri}"',
        f'response="{response}"',
    ]
    if challenge.algorithm is not None:
        parts.append(f"algorithm={challenge.algorithm}")
    if challenge.opaque is not None:
        parts.append(f'opaque="{challenge.opaque}"')
    if quality is not None or _is_session(challenge.algorithm):
        parts.append(f'cnonce="{cnonce}"')
    if quality is not None:
        parts += [f"qop={quality}", f"nc={count}"]
    if challenge.userhash:
        parts.append("userhash=true")
    return "Digest " + ", ".join(parts)


def make_challenge(realm: str, nonce: str, algorithm: str = "SHA-256", stale: bool = False) -> str:
    """Value of a WWW-Authenticate or Proxy-Authenticate header that asks for qop `auth`.

    Args:
        realm: shown to the client, without quote or backslash.
        nonce: fresh random text, without quote or backslash.
        algorithm: one of `ALGORITHMS`. For old and new clients send two headers, the stronger first (RFC 8760).
        stale: the client's credentials were right and only its nonce was not: it may try again unasked.

    Raises:
        LocalProtocolError: the algorithm is not known, or realm or nonce has a quote, backslash or line break.
    """
    if _hash_name(algorithm) is None:
        raise LocalProtocolError(f'digest: algorithm "{algorithm}" is not known')
    if quote(realm) != f'"{realm}"' or quote(nonce) != f'"{nonce}"':
        raise LocalProtocolError("digest: realm or nonce has a character that needs an escape")
    return str(Challenge(realm, nonce, algorithm, ("auth",), stale=stale))


def authorization_fields(header_value: str) -> dict[str, str]:
    """Fields of an Authorization or Proxy-Authorization header, names in lower case, values without quotes.

    The server finds its nonce here, before it can `verify`.

    Raises:
        RemoteProtocolError: not digest credentials.
    """
    return _parse_digest(header_value)


def verify(
    header_value: str,
    *,
    username: str,
    password: str,
    method: str,
    nonce: str,
    realm: str | None = None,
    algorithms: tuple[str, ...] = ALGORITHMS,
) -> bool:
    """Whether credentials answer a challenge of `make_challenge`.

    Compares in constant time. The digest-uri is taken as the client wrote it: proxies rewrite Request-URIs.

    Args:
        header_value: value of Authorization or Proxy-Authorization.
        username: the user name that is expected.
        password: its password.
        method: method of the request.
        nonce: the nonce that was given out.
        realm: the realm of the challenge, None to take the client's.
        algorithms: the ones that were offered: an answer with another is refused.

    Returns:
        False also for credentials that cannot be read or leave out qop.
    """
    try:
        fields = _parse_digest(header_value)
    except RemoteProtocolError:
        return False
    algorithm = fields.get("algorithm")
    wanted = ("realm", "nonce", "uri", "response", "cnonce", "nc")
    if any(name not in fields for name in wanted) or fields.get("qop", "").lower() != "auth":
        return False
    if _hash_name(algorithm) is None or _plain(algorithm) not in algorithms:
        return False
    if fields["nonce"] != nonce or (realm is not None and fields["realm"] != realm):
        return False
    expected = _response(
        algorithm,
        secret=(username, fields["realm"], password),
        nonce=nonce,
        cnonce=fields["cnonce"],
        protection=("auth", fields["nc"]),
        request=(method, fields["uri"], b""),
    )
    same_user = hmac.compare_digest(_octets(unquote(f'"{fields.get("username", "")}"')), username.encode())
    same_response = hmac.compare_digest(_octets(fields["response"].lower()), expected.encode())
    return same_user and same_response


def _response(
    algorithm: str | None,
    *,
    secret: tuple[str, str, str],
    nonce: str,
    cnonce: str,
    protection: tuple[str | None, str],
    request: tuple[str, str, bytes],
) -> str:
    """The request-digest of RFC 7616 §3.4.1, without qop that of RFC 2069."""
    quality, count = protection
    method, uri, body = request
    first = _hash(algorithm, _octets(":".join(secret)))
    if _is_session(algorithm):
        first = _hash(algorithm, _octets(f"{first}:{nonce}:{cnonce}"))
    integrity = f":{_hash(algorithm, body)}" if quality == "auth-int" else ""
    second = _hash(algorithm, _octets(f"{method}:{uri}{integrity}"))
    between = nonce if quality is None else f"{nonce}:{count}:{cnonce}:{quality}"
    return _hash(algorithm, _octets(f"{first}:{between}:{second}"))


def _octets(text: str) -> bytes:
    # Values of a message may carry octets that were not UTF-8; they hash as they came.
    return text.encode("utf-8", "surrogateescape")


def _plain(algorithm: str | None) -> str:
    return (algorithm or "MD5").upper().removesuffix("-SESS")


def _is_session(algorithm: str | None) -> bool:
    return (algorithm or "").upper().endswith("-SESS")


def _hash_name(algorithm: str | None) -> str | None:
    name = _HASHES.get(_plain(algorithm))
    return name if name in hashlib.algorithms_available else None


def _hash(algorithm: str | None, data: bytes) -> str:
    return hashlib.new(_HASHES[_plain(algorithm)], data, usedforsecurity=False).hexdigest()


def _parse_digest(text: str) -> dict[str, str]:
    scheme, rest = split_word(text.strip(WHITESPACE))
    if scheme.lower() != "digest":
        raise RemoteProtocolError("not of the digest scheme")
    fields: dict[str, str] = {}
    for part in split_outside(rest, ","):
        name, equals, value = part.partition("=")
        name, value = name.rstrip(WHITESPACE).lower(), value.lstrip(WHITESPACE)
        if not equals or not is_token(name):
            raise RemoteProtocolError("digest: a field is not of the form name=value")
        if name in fields:
            raise RemoteProtocolError(f"digest: {name} stands twice")
        if '"' in value and not is_quoted_string(value):
            raise RemoteProtocolError(f"digest: the value of {name} has a quote inside")
        # Escapes stay: both sides hash the text as it stands between the quotes.
        fields[name] = value[1:-1] if value.startswith('"') else value
    return fields


def _split_challenges(value: str) -> list[str]:
    """Challenges of one header line: some servers put several, with a comma between, as HTTP allows."""
    challenges: list[str] = []
    try:
        parts = split_outside(value, ",")
    except RemoteProtocolError:
        return []
    for part in parts:
        if not challenges or _BEGINS_CHALLENGE.match(part):
            challenges.append(part)
        else:
            challenges[-1] += f", {part}"
    return challenges
