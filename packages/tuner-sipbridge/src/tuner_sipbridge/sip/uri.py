"""SIP, SIPS and tel URIs (RFC 3261 §19.1, RFC 3966), and any other scheme as an opaque text.

A URI keeps its escapes as they came, because a remote target must go back letter by letter; `unescaped_user`
gives the user as a person reads it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from urllib.parse import quote, unquote

from tuner_sipbridge.errors import LocalProtocolError, ProtocolError, RemoteProtocolError
from tuner_sipbridge.sip.grammar import (
    Params,
    bracketed,
    changed_params,
    decimal,
    is_host,
    is_token,
    param_of,
    split_host_port,
    write_params,
)

_ESCAPE = r"%[0-9A-Fa-f]{2}"
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]*")
# Wider than the ABNF: telephones send "#" bare in feature codes, and exchanges an empty user for a withheld one.
_USER = re.compile(rf"(?:[A-Za-z0-9\-_.!~*'()&=+$,;?/#]|{_ESCAPE})*")
_PASSWORD = re.compile(rf"(?:[A-Za-z0-9\-_.!~*'()&=+$,]|{_ESCAPE})*")
_TEL_NUMBER = re.compile(r"\+?[0-9A-Fa-f*#\-.()]+")
_PARAM_NAME = re.compile(rf"(?:[A-Za-z0-9\-_.!~*'()\[\]/:&+$`]|{_ESCAPE})+")
_PARAM_VALUE = re.compile(rf"(?:[A-Za-z0-9\-_.!~*'()\[\]/:&+$,=^`{{|}}]|{_ESCAPE})+")
_HEADER_VALUE = re.compile(rf"(?:[A-Za-z0-9\-_.!~*'()\[\]/?:+$,;=]|{_ESCAPE})*")
_OPAQUE = re.compile(r'[^\x00-\x20\x7f<>"]+')
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_USERINFO = re.compile(r"(?<![^\s@<>\"])[^\s@<>\"]+(?=@)")
_PASSWORD_THERE = re.compile(r"(\bsips?:[^:]+:).+", re.IGNORECASE)
_SIP_SCHEMES = frozenset({"sip", "sips"})
_USER_SAFE = "-_.!~*'()&=+$,;?/"


@dataclass(frozen=True, slots=True)
class Uri:
    """One URI.

    Attributes:
        scheme: in lower case, `"sip"`, `"sips"`, `"tel"` or another.
        user: user or number with its escapes, None when the URI names a host only.
        password: with its escapes, None when absent.
        host: name or address, IPv6 without brackets; empty for schemes other than sip and sips.
        port: None when the URI does not say one.
        params: parameters with their escapes, in order.
        headers: what follows `?` in a sip URI, as (name, value) with their escapes.
        opaque: what follows the colon, for schemes other than sip, sips and tel.

    Raises:
        LocalProtocolError: a part has characters that its place does not allow.
    """

    scheme: str = "sip"
    user: str | None = field(default=None, repr=False)
    password: str | None = field(default=None, repr=False)
    host: str = ""
    port: int | None = None
    params: Params = ()
    headers: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    opaque: str = field(default="", repr=False)
    _text: str = field(default="", init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        problem = _problem_of(self)
        if problem:
            raise LocalProtocolError(f"{self.scheme} URI: {problem}")

    @classmethod
    def parse(cls, text: str, *, error: type[ProtocolError] = RemoteProtocolError) -> Uri:
        """Read a URI.

        Args:
            text: the URI without angle brackets or space around it.
            error: what to raise; `LocalProtocolError` for a URI that the user of this library gave.

        Raises:
            ProtocolError: of the class `error`; the message tells the position, counted from 0, and the reason.
        """
        scheme, colon, rest = _Part(text, 0).partition(":")
        name = scheme.text.lower()
        if not colon or not _SCHEME.fullmatch(scheme.text):
            raise error(f"URI, position 0: {_no_scheme(text)}")
        try:
            if name in _SIP_SCHEMES:
                return _parse_sip(name, rest)
            if name == "tel":
                number, semicolon, params = rest.partition(";")
                number.check(_TEL_NUMBER, "the telephone number")
                return cls(name, number.text, params=_parse_params(params) if semicolon else ())
            return cls(name, opaque=rest.check(_OPAQUE, "the URI"))
        except _Misfit as misfit:
            raise error(f"{name} URI, position {misfit.position}: {misfit.reason}") from None

    def __str__(self) -> str:
        if not self._text:
            object.__setattr__(self, "_text", self._written())
        return self._text

    def _written(self) -> str:
        if self.scheme == "tel":
            return f"tel:{self.user}{write_params(self.params)}"
        if self.scheme not in _SIP_SCHEMES:
            return f"{self.scheme}:{self.opaque}"
        password = "" if self.password is None else f":{self.password}"
        userinfo = "" if self.user is None else f"{self.user}{password}@"
        port = "" if self.port is None else f":{self.port}"
        headers = "?" + "&".join(f"{name}={value}" for name, value in self.headers) if self.headers else ""
        return f"{self.scheme}:{userinfo}{bracketed(self.host)}{port}{write_params(self.params)}{headers}"

    @property
    def is_sip(self) -> bool:
        """Whether the scheme is sip or sips, so that a SIP element can be reached by it."""
        return self.scheme in _SIP_SCHEMES

    @property
    def host_port(self) -> tuple[str, int]:
        """Host and port, with the port that holds when none is given: 5061 over TLS, else 5060.

        RFC 3263 looks SRV records up when `port` is None and the host is a name; that is the resolver's part.
        """
        secure = self.scheme == "sips" or self.transport == "tls"
        return self.host, self.port or (5061 if secure else 5060)

    @property
    def transport(self) -> str | None:
        """Value of the transport parameter in lower case (it compares without case), None when absent."""
        value = self.param("transport")
        return value.lower() if value else None

    @property
    def unescaped_user(self) -> str:
        """The user with its escapes undone; empty when there is none."""
        return unquote(self.user or "", errors="replace")

    def param(self, name: str) -> str | None:
        """Value of the parameter `name` (any case), empty for a bare name, None when absent."""
        return param_of(self.params, name)

    def with_params(self, **params: str | None) -> Uri:
        """The same URI with these parameters changed or added; None makes a bare name, as in `;lr`."""
        return replace(self, params=changed_params(self.params, params.items()))

    def without_params(self, *names: str) -> Uri:
        """The same URI without the parameters of these names (any case)."""
        dropped = {name.lower() for name in names}
        kept = tuple(pair for pair in self.params if pair[0].lower() not in dropped)
        return self if len(kept) == len(self.params) else replace(self, params=kept)

    def request_headers(self) -> list[tuple[str, str]]:
        """The headers after `?` as fields of a request that is made from the URI (RFC 3261 §19.1.5).

        Raises:
            LocalProtocolError: one of them stands for the body, is no header name, or has a line break in it.
        """
        fields: list[tuple[str, str]] = []
        for written_name, written_value in self.headers:
            name, value = unquote(written_name), unquote(written_value, errors="surrogateescape")
            if name.lower() == "body":
                raise LocalProtocolError('URI: a body after "?" cannot be sent')
            if not is_token(name):
                raise LocalProtocolError(f'URI: "{written_name}" after "?" is no header name')
            if _CONTROL.search(value):
                raise LocalProtocolError(f"URI: the value of {name} has a line break or control character")
            fields.append((name, value))
        return fields

    def as_request_uri(self) -> Uri:
        """The URI as a Request-URI may be: no headers, no `method` parameter (RFC 3261 §19.1.1, table 1)."""
        if not self.is_sip:
            return self
        bare = self.without_params("method")
        return replace(bare, headers=()) if bare.headers else bare


def without_password(text: str, *, mark: str = "removed") -> str:
    """A URI as somebody gave it, or a text with URIs in it, with `mark` in place of the passwords."""
    return _USERINFO.sub(lambda found: _PASSWORD_THERE.sub(rf"\g<1>{mark}", found[0]), text)


def escape_user(text: str) -> str:
    """A user name as the user part of a URI: what is not allowed there is escaped."""
    return quote(text, safe=_USER_SAFE)


def _no_scheme(text: str) -> str:
    """Why a text does not begin with a scheme, with what a person may have pasted in mind."""
    if text.startswith("<"):
        return 'no scheme at the beginning: take the "<" and ">" off'
    if text[:1].isspace():
        return "no scheme at the beginning: a space stands there"
    return 'no scheme, such as "sip:", at the beginning'


class _Misfit(Exception):
    """What is wrong with a URI, and at which character of it."""

    def __init__(self, position: int, reason: str) -> None:
        self.position, self.reason = position, reason
        super().__init__(reason)


@dataclass(frozen=True, slots=True)
class _Part:
    """A piece of a URI that knows where in the whole it stands."""

    text: str
    start: int

    def partition(self, separator: str) -> tuple[_Part, str, _Part]:
        """As `str.partition`."""
        before, found, after = self.text.partition(separator)
        return _Part(before, self.start), found, _Part(after, self.start + len(before) + len(found))

    def rpartition(self, separator: str) -> tuple[_Part, str, _Part]:
        """As `str.rpartition`."""
        before, found, after = self.text.rpartition(separator)
        return _Part(before, self.start), found, _Part(after, self.start + len(before) + len(found))

    def split(self, separator: str) -> Iterator[_Part]:
        """As `str.split`."""
        rest, found = self, separator
        while found:
            part, found, rest = rest.partition(separator)
            yield part

    def check(self, pattern: re.Pattern[str], what: str) -> str:
        """The text, when `pattern` matches the whole of it; `what` names it otherwise."""
        if pattern.fullmatch(self.text):
            return self.text
        match = pattern.match(self.text)
        bad = match.end() if match else 0
        if bad == len(self.text):
            raise _Misfit(self.start + bad, f"{what} is empty")
        character = self.text[bad]
        shown = f'"{character}"' if character.isprintable() else f"the character U+{ord(character):04X}"
        way = "is no escape of two hexadecimal digits" if character == "%" else "must be escaped"
        raise _Misfit(self.start + bad, f"{shown} in {what} {way}")


def _parse_sip(scheme: str, text: _Part) -> Uri:
    # The user part may have ";" and "?", so the "@" is looked for first; unescaped it stands nowhere else.
    userinfo, at, rest = text.rpartition("@")
    user, colon, password = userinfo.partition(":")
    rest, question, headers = rest.partition("?")
    address, semicolon, params = rest.partition(";")
    if at:
        user.check(_USER, "the user")
        password.check(_PASSWORD, "the password")
    return Uri(
        scheme,
        user.text if at else None,
        password.text if colon else None,
        *_parse_address(address),
        params=_parse_params(params) if semicolon else (),
        headers=_parse_headers(headers) if question else (),
    )


def _parse_address(address: _Part) -> tuple[str, int | None]:
    text = address.text
    host_port = None if " " in text or "\t" in text else split_host_port(text)
    if host_port is not None:
        return host_port
    at, reason = address.start, "not a host with an optional port from 1 to 65535"
    host, colon, port = address.rpartition(":")
    if not text:
        reason = "no host"
    elif text.startswith("[") or text.count(":") > 1:
        reason = 'not an IPv6 address in "[" and "]" with an optional port from 1 to 65535'
        if is_host(text):
            reason = f'an IPv6 address stands in "[" and "]", as in [{text}]'
    elif colon and is_host(host.text):
        at, reason = port.start, "not a port from 1 to 65535"
    elif not colon or decimal(port.text, below=65536):
        reason = "not a host name or address"
    raise _Misfit(at, reason)


def _parse_params(text: _Part) -> Params:
    params: list[tuple[str, str | None]] = []
    for part in text.split(";"):
        name, equals, value = part.partition("=")
        name.check(_PARAM_NAME, "the name of a parameter")
        if equals:
            value.check(_PARAM_VALUE, "the value of a parameter")
        params.append((name.text, value.text if equals else None))
    return tuple(params)


def _parse_headers(text: _Part) -> tuple[tuple[str, str], ...]:
    headers: list[tuple[str, str]] = []
    for part in text.split("&"):
        name, equals, value = part.partition("=")
        if not name.text or not equals:
            raise _Misfit(part.start, 'a header after "?" is not of the form name=value')
        name.check(_HEADER_VALUE, "the name of a header")
        value.check(_HEADER_VALUE, "the value of a header")
        headers.append((name.text, value.text))
    return tuple(headers)


def _problem_of(uri: Uri) -> str:
    if not _SCHEME.fullmatch(uri.scheme) or uri.scheme != uri.scheme.lower():
        return "the scheme is not one, in lower case"
    for name, value in uri.params:
        if not _PARAM_NAME.fullmatch(name) or not (value is None or _PARAM_VALUE.fullmatch(value)):
            return f'parameter "{name}" has a character that must be escaped'
    if uri.scheme == "tel":
        return "" if uri.user and _TEL_NUMBER.fullmatch(uri.user) else "not a telephone number"
    if uri.scheme in _SIP_SCHEMES:
        return _problem_of_sip(uri)
    return "" if _OPAQUE.fullmatch(uri.opaque) else "empty, or a space or bracket in it"


def _problem_of_sip(uri: Uri) -> str:
    if uri.user is not None and not _USER.fullmatch(uri.user):
        return "the user has a character that must be escaped"
    if uri.password is not None and (uri.user is None or not _PASSWORD.fullmatch(uri.password)):
        return "the password has a character that must be escaped, or there is no user"
    if not is_host(uri.host):
        return f'"{uri.host}" is not a host'
    if uri.port is not None and not 0 < uri.port < 65536:
        return f"port {uri.port} is not from 1 to 65535"
    for name, value in uri.headers:
        if not name or not _HEADER_VALUE.fullmatch(name) or not _HEADER_VALUE.fullmatch(value):
            return "a header has a character that must be escaped"
    return ""
