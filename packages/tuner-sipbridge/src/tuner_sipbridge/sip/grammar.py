"""The pieces of RFC 3261 §25.1 that several headers share: tokens, quoted strings, lists and parameters.

Only ASCII space, tab, letters and digits count here. `str.strip`, `str.isdigit` and the shorthand classes of
regular expressions also take Unicode's, which SIP does not know, so none of them is used bare.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import TypeAlias, TypeVar

from tuner_sipbridge.errors import LocalProtocolError, RemoteProtocolError

Params: TypeAlias = tuple[tuple[str, str | None], ...]
"""Parameters in order of appearance; values as on the wire (quotes, escapes), None for a bare name."""

WHITESPACE = " \t"

_TOKEN = re.compile(r"[A-Za-z0-9\-.!%*_+`'~]+")
_QUOTED = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"', re.DOTALL)
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)
_MUST_ESCAPE = re.compile(r'[\x00-\x08\x0b-\x1f\x7f"\\]')
_PARAM_VALUE = re.compile(r'[^\x00-\x20\x7f,;<>"]+')
_HOST_NAME = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_.\-]*[A-Za-z0-9_.])?")
_WORD = re.compile(r"[^ \t]+")
_HOST_PORT = re.compile(r"(?:\[([0-9A-Fa-f:.]+)\]|([A-Za-z0-9_.\-]+))(?:[ \t]*:[ \t]*([0-9]+))?")
_PLAIN_PARAMS = re.compile(rf"(?:;{_TOKEN.pattern}(?:={_PARAM_VALUE.pattern})?)*")
"""Parameters as nearly all are: well formed, without quotes and spaces."""
_MOST_REMEMBERED = 1024
_LONGEST_REMEMBERED = 256
"""Characters of the longest text whose reading is kept: what a far end can make us keep stays small."""

_Value = TypeVar("_Value")

_STOPS = {separator: re.compile(rf'["<{separator}]') for separator in ",;"}


def remembering(parse: Callable[[str], _Value]) -> Callable[[str], _Value]:
    """`parse`, which must give immutable values, with its last results kept: a call repeats its headers."""
    remembered = lru_cache(_MOST_REMEMBERED)(parse)
    return lambda text: remembered(text) if len(text) <= _LONGEST_REMEMBERED else parse(text)


def is_token(text: str) -> bool:
    """Whether `text` is a token: not empty, and every character is one of those RFC 3261 §25.1 lists."""
    return _TOKEN.fullmatch(text) is not None


def decimal(text: str, *, below: int) -> int | None:
    """The number that the ASCII digits of `text` write; None when it is none, or not less than `below`."""
    if not (text.isascii() and text.isdigit()) or len(text) > 40:
        return None
    number = int(text)
    return number if number < below else None


def is_host(text: str) -> bool:
    """Whether `text` is a host name, an IPv4 address, or an IPv6 address without brackets.

    Wider than the ABNF where networks are: a last label may begin with a digit and underscores are allowed,
    because container networks have both.
    """
    if ":" not in text:
        return _HOST_NAME.fullmatch(text) is not None
    try:
        ipaddress.IPv6Address(text)
    except ValueError:
        return False
    return "%" not in text


def split_word(text: str) -> tuple[str, str]:
    """The text up to the first space or tab, and what follows without space around it; empty when nothing does."""
    match = _WORD.match(text)
    return (match[0], text[match.end() :].strip(WHITESPACE)) if match else ("", text.strip(WHITESPACE))


def split_host_port(text: str) -> tuple[str, int | None] | None:
    """`host[:port]` as host without brackets and port, or None when it is not one; spaces around ":" pass."""
    match = _HOST_PORT.fullmatch(text)
    if match is None:
        return None
    address, name, digits = match.groups()
    if address is not None and ":" not in address:
        return None
    port = decimal(digits, below=65536) if digits else None
    host = address or name
    return (host, port) if is_host(host) and (port or not digits) else None


def bracketed(host: str) -> str:
    """The host as it stands in a URI or Via: an IPv6 address in brackets, anything else as it is."""
    return f"[{host}]" if ":" in host else host


def split_outside(text: str, separator: str) -> list[str]:
    r"""Split at every `separator` that stands neither in a quoted string nor between `<` and `>`.

    Args:
        text: a header value.
        separator: `","` or `";"`.

    Returns:
        The parts without space around them; one empty part for an empty text.

    Raises:
        RemoteProtocolError: a quote or a `<` is never closed.
    """
    if separator not in text:
        return [text.strip(WHITESPACE)]
    parts: list[str] = []
    start = position = 0
    stops = _STOPS[separator]
    while stop := stops.search(text, position):
        if stop[0] == separator:
            parts.append(text[start : stop.start()].strip(WHITESPACE))
            start = position = stop.end()
        else:
            position = end_of_enclosed(text, stop.start())
    parts.append(text[start:].strip(WHITESPACE))
    return parts


def split_list(text: str) -> list[str]:
    """The elements of a comma-separated header (RFC 3261 §7.3.1); raises as `split_outside`."""
    return split_outside(text, ",")


def end_of_enclosed(text: str, start: int) -> int:
    """Where the quoted string or the `<…>` that begins at `start` ends (index behind it).

    Raises:
        RemoteProtocolError: it does not end.
    """
    if text[start] == '"':
        quoted = _QUOTED.match(text, start)
        if quoted is None:
            raise RemoteProtocolError(f"position {start}: the quote is never closed")
        return quoted.end()
    end = text.find(">", start)
    if end < 0:
        raise RemoteProtocolError(f'position {start}: "<" is never closed')
    return end + 1


def quote(text: str) -> str:
    """`text` as a quoted string.

    Raises:
        LocalProtocolError: it has a line break, which no quoted string can carry.
    """
    if "\r" in text or "\n" in text:
        raise LocalProtocolError("a quoted string cannot have a line break")
    return f'"{_MUST_ESCAPE.sub(lambda match: chr(92) + match[0], text)}"'


def unquote(text: str) -> str:
    """What a quoted string says; a text without quotes is given back as it is."""
    if len(text) < 2 or not text.startswith('"'):
        return text
    return _ESCAPED.sub(r"\1", text[1:-1])


def parse_params(text: str) -> Params:
    """Parameters of a header: `;tag=8;q=0.3`, from the first semicolon on.

    Raises:
        RemoteProtocolError: something else stands there, or a parameter is empty or not well formed.
    """
    params = split_params(text)
    try:
        check_params(params)
    except LocalProtocolError as error:
        raise RemoteProtocolError(str(error)) from None
    return params


def split_params(text: str) -> Params:
    """As `parse_params`, for values whose making checks the parameters: names and values may be malformed."""
    text = text.strip(WHITESPACE)
    if not text:
        return ()
    if _PLAIN_PARAMS.fullmatch(text):
        pairs = [part.partition("=") for part in text[1:].split(";")]
        return tuple([(name, value or None) for name, _, value in pairs])
    if not text.startswith(";"):
        raise RemoteProtocolError(f'";" expected before the parameters, found "{text[0]}"')
    params: list[tuple[str, str | None]] = []
    for part in split_outside(text[1:], ";"):
        name, equals, value = part.partition("=")
        params.append((name.rstrip(WHITESPACE), value.lstrip(WHITESPACE) if equals else None))
    return tuple(params)


def check_params(params: Iterable[tuple[str, str | None]]) -> None:
    """Say no to header parameters that would not be read back as they are.

    Raises:
        LocalProtocolError: a name is not a token, or a value needs quotes that it does not have.
    """
    for name, value in params:
        if not _TOKEN.fullmatch(name):
            raise LocalProtocolError(f'parameter name "{name}" is not a token' if name else "empty parameter")
        if value is not None and not (_PARAM_VALUE.fullmatch(value) or is_quoted_string(value)):
            raise LocalProtocolError(f'value of parameter "{name}" is empty or needs quotes')


def write_params(params: Params) -> str:
    """Parameters as on the wire, each with its semicolon; empty for none."""
    if not params:
        return ""
    return "".join([f";{name}" if value is None else f";{name}={value}" for name, value in params])


def param_of(params: Params, name: str) -> str | None:
    """Value of the first parameter `name` (any case) without quotes, empty for a bare name, else None."""
    wanted = name.lower()
    for present, value in params:
        if present == wanted or present.lower() == wanted:
            return unquote(value) if value else ""
    return None


def changed_params(params: Params, changes: Iterable[tuple[str, str | None]]) -> Params:
    """`params` with each of `changes` put in place of the parameter of that name, or behind the others."""
    changed = list(params)
    for name, value in changes:
        places = [place for place, (present, _) in enumerate(changed) if present.lower() == name.lower()]
        if places:
            changed[places[0]] = (changed[places[0]][0], value)
        else:
            changed.append((name, value))
    return tuple(changed)


def is_quoted_string(text: str) -> bool:
    """Whether `text` is one quoted string from its first character to its last."""
    return "\r" not in text and "\n" not in text and _QUOTED.fullmatch(text) is not None
