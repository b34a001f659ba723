"""Octets of one datagram to a message (RFC 3261 §7, §18.3).

The parser takes what networks really send (folded lines, compact names, space around colons, line feeds alone,
octets that are not UTF-8) and refuses what two readers could understand in two ways: a header twice that may
stand once, a Content-Length that does not fit, a line that is no header. What it lets pass can be asked for any
of the properties of a message without another refusal, but for Contact and routes of a 4xx, 5xx or 6xx.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from tuner_sipbridge.errors import LocalProtocolError, RemoteProtocolError
from tuner_sipbridge.sip.grammar import WHITESPACE, decimal, is_token
from tuner_sipbridge.sip.headers import Headers
from tuner_sipbridge.sip.message import VERSION, Message, Request, Response
from tuner_sipbridge.sip.uri import Uri


@dataclass(frozen=True, slots=True)
class Limits:
    """How much of a message is read before it is refused.

    Attributes:
        message_octets: whole message; no UDP datagram is longer than the default.
        head_octets: start line and headers together.
        body_octets: what Content-Length says at most.
        uri_characters: the Request-URI.
        header_fields: number of header fields.
        field_characters: one header field, unfolded.
    """

    message_octets: int = 65535
    head_octets: int = 32768
    body_octets: int = 65535
    uri_characters: int = 4096
    header_fields: int = 256
    field_characters: int = 8192


BAD_REQUEST, BODY_TOO_LARGE, URI_TOO_LONG, OTHER_VERSION, TOO_LARGE = 400, 413, 414, 505, 513

_DEFAULT_LIMITS = Limits()
_END_OF_HEAD = re.compile(rb"\r?\n\r?\n")
_FOLD = re.compile(r"\r?\n[ \t]+")
_ONCE = ("From", "To", "Call-ID", "CSeq", "Max-Forwards", "Content-Length", "Content-Type")


def parse_datagram(data: bytes, limits: Limits = _DEFAULT_LIMITS) -> Message:
    """Read the message in one datagram.

    Line breaks before the start line are skipped, octets behind Content-Length dropped (§18.3). Content-Length
    itself is not among the headers of the result: the length of the body says it.

    Args:
        data: the datagram.
        limits: bounds on sizes.

    Raises:
        RemoteProtocolError: the datagram is not a SIP 2.0 message, or not a well-formed one; the text names
            what is wrong, without addresses or credentials of the message, and `status` is what a request is
            answered with: 400, 413, 414, 505 or 513 (RFC 3261 §21).
    """
    if len(data) > limits.message_octets:
        allowed = limits.message_octets
        raise RemoteProtocolError(f"message of {len(data)} octets; {allowed} are allowed", status=TOO_LARGE)
    data = data.lstrip(b"\r\n")
    end = _END_OF_HEAD.search(data, 0, limits.head_octets)
    if end is None:
        raise no_end_of_head(len(data), limits)
    # Folding is undone on the text: a continuation counts as one space (§7.3.1).
    head = _FOLD.sub(" ", data[: end.start()].decode("utf-8", "surrogateescape"))
    start_line, *lines = [line.removesuffix("\r") for line in head.split("\n")]
    message = _parse_start_line(start_line, limits)
    message.headers = _parse_headers(lines, limits)
    message.body = _cut_body(data[end.end() :], message.headers, limits)
    _check(message)
    return message


def _parse_headers(lines: list[str], limits: Limits) -> Headers:
    if len(lines) > limits.header_fields:
        allowed = limits.header_fields
        raise RemoteProtocolError(f"{len(lines)} header fields; {allowed} are allowed", status=TOO_LARGE)
    headers = Headers()
    for number, line in enumerate(lines, start=1):
        name, colon, value = line.partition(":")
        if not colon:
            raise RemoteProtocolError(f"header field {number} has no colon")
        if len(line) > limits.field_characters:
            problem = f"header field {number} is longer than {limits.field_characters}"
            raise RemoteProtocolError(problem, status=TOO_LARGE)
        try:
            headers.add(name.rstrip(WHITESPACE), value)
        except LocalProtocolError as error:
            raise RemoteProtocolError(f"header field {number}: {error}") from None
    repeated = headers.repeated()
    for name in _ONCE if repeated else ():
        if name.lower() in repeated:
            raise RemoteProtocolError(f"{name} stands more than once")
    return headers


def _cut_body(rest: bytes, headers: Headers, limits: Limits) -> bytes:
    text = headers.get("Content-Length")
    if text is None:
        return rest
    length = decimal(text, below=2**31)
    if length is None:
        raise RemoteProtocolError("Content-Length is not a number of octets")
    if length > limits.body_octets:
        problem = f"body of {length} octets; {limits.body_octets} are allowed"
        raise RemoteProtocolError(problem, status=BODY_TOO_LARGE)
    if length > len(rest):
        raise RemoteProtocolError(f"Content-Length says {length} octets, the body has {len(rest)}")
    headers.remove("Content-Length")
    return rest[:length]


def no_end_of_head(octets: int, limits: Limits) -> RemoteProtocolError:
    """The refusal of a message whose headers do not end, of which `octets` came."""
    if not octets:
        return RemoteProtocolError("empty message")
    problem = f"no empty line within {limits.head_octets} octets ends the headers"
    return RemoteProtocolError(problem, status=TOO_LARGE if octets > limits.head_octets else BAD_REQUEST)


def _parse_start_line(line: str, limits: Limits) -> Message:
    if "\r" in line:
        raise RemoteProtocolError("start line: a carriage return inside")
    if line[:4].upper() == "SIP/":
        version, _, rest = line.partition(" ")
        digits, _, reason = rest.partition(" ")
        _check_version(version)
        status = decimal(digits, below=700)
        if status is None or status < 100 or len(digits) != 3:
            raise RemoteProtocolError("start line: the status code is not from 100 to 699")
        return Response(status, reason)
    parts = line.split(" ")
    if len(parts) != 3:
        raise RemoteProtocolError("start line: not method, Request-URI and version with one space between")
    method, uri, version = parts
    _check_version(version)
    if not is_token(method):
        raise RemoteProtocolError("start line: the method is not a token")
    if len(uri) > limits.uri_characters:
        problem = f"start line: the Request-URI is longer than {limits.uri_characters}"
        raise RemoteProtocolError(problem, status=URI_TOO_LONG)
    request = Request(method, Uri.parse(uri))
    if request.uri.headers:
        raise RemoteProtocolError("start line: the Request-URI has headers")
    return request


def _check_version(version: str) -> None:
    if version.upper() != VERSION:
        raise RemoteProtocolError("start line: the version is not SIP/2.0", status=OTHER_VERSION)


def _check(message: Message) -> None:
    """Read once all that the properties of a message give, so that later readers meet no refusal.

    Contact and the routes of a failure are let pass: nobody sends anything there, and a call must not hang
    because its refusal has a bad Contact.
    """
    _ = message.via, message.vias, message.from_, message.to, message.call_id, message.cseq
    if isinstance(message, Response) and message.status >= 400:
        return
    _ = message.contacts, message.record_routes, message.routes
    if isinstance(message, Request) and message.cseq.method != message.method:
        raise RemoteProtocolError("CSeq: its method is not that of the request")
