"""When two SIP URIs mean the same (RFC 3261 §19.1.4)."""

from __future__ import annotations

from urllib.parse import unquote

from tuner_sipbridge.sip.uri import Uri

_MEANT_WHEN_ABSENT = frozenset({"user", "ttl", "method", "maddr", "transport"})
"""Parameters that may not stand in one of the URIs only."""


def same_uri(one: Uri, other: Uri) -> bool:
    """Whether two URIs are equivalent; of schemes other than SIP's, whether they are written alike."""
    if not (one.is_sip and other.is_sip):
        return str(one) == str(other)
    return (
        (one.scheme, one.host.lower(), one.port) == (other.scheme, other.host.lower(), other.port)
        and (one.user is None) == (other.user is None)
        and one.unescaped_user == other.unescaped_user
        and unquote(one.password or "") == unquote(other.password or "")
        and _same_params(one, other)
        and _headers(one) == _headers(other)
    )


def _same_params(one: Uri, other: Uri) -> bool:
    mine, theirs = _params(one), _params(other)
    if any(mine[name] != theirs[name] for name in mine.keys() & theirs.keys()):
        return False
    return not (mine.keys() ^ theirs.keys()) & _MEANT_WHEN_ABSENT


def _params(uri: Uri) -> dict[str, str]:
    return {name.lower(): unquote(value or "").lower() for name, value in uri.params}


def _headers(uri: Uri) -> dict[str, str]:
    return {unquote(name).lower(): unquote(value) for name, value in uri.headers}
