"""SIP requests and responses as values (RFC 3261 §7).

Headers are text, and what a user agent asks for (`cseq`, `from_`, `via` …) is read out of it on asking.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import TypeAlias, TypeVar

from tuner_sipbridge.errors import LocalProtocolError, RemoteProtocolError
from tuner_sipbridge.sip.grammar import is_token, remembering, split_list
from tuner_sipbridge.sip.headers import CSeq, Headers, NameAddr, Via
from tuner_sipbridge.sip.uri import Uri, without_password

VERSION = "SIP/2.0"

REASONS = {
    100: "Trying",
    180: "Ringing",
    181: "Call Is Being Forwarded",
    182: "Queued",
    183: "Session Progress",
    199: "Early Dialog Terminated",
    200: "OK",
    202: "Accepted",
    204: "No Notification",
    300: "Multiple Choices",
    301: "Moved Permanently",
    302: "Moved Temporarily",
    305: "Use Proxy",
    380: "Alternative Service",
    400: "Bad Request",
    401: "Unauthorized",
    402: "Payment Required",
    403: "Forbidden",
    404: "Not Found",
    405: "Method Not Allowed",
    406: "Not Acceptable",
    407: "Proxy Authentication Required",
    408: "Request Timeout",
    410: "Gone",
    412: "Conditional Request Failed",
    413: "Request Entity Too Large",
    414: "Request-URI Too Long",
    415: "Unsupported Media Type",
    416: "Unsupported URI Scheme",
    420: "Bad Extension",
    421: "Extension Required",
    422: "Session Interval Too Small",
    423: "Interval Too Brief",
    428: "Use Identity Header",
    429: "Provide Referrer Identity",
    433: "Anonymity Disallowed",
    436: "Bad Identity Info",
    437: "Unsupported Credential",
    438: "Invalid Identity Header",
    469: "Bad Info Package",
    480: "Temporarily Unavailable",
    481: "Call/Transaction Does Not Exist",
    482: "Loop Detected",
    483: "Too Many Hops",
    484: "Address Incomplete",
    485: "Ambiguous",
    486: "Busy Here",
    487: "Request Terminated",
    488: "Not Acceptable Here",
    489: "Bad Event",
    491: "Request Pending",
    493: "Undecipherable",
    494: "Security Agreement Required",
    500: "Server Internal Error",
    501: "Not Implemented",
    502: "Bad Gateway",
    503: "Service Unavailable",
    504: "Server Time-out",
    505: "Version Not Supported",
    513: "Message Too Large",
    580: "Precondition Failure",
    600: "Busy Everywhere",
    603: "Decline",
    604: "Does Not Exist Anywhere",
    606: "Not Acceptable",
    607: "Unwanted",
    608: "Rejected",
}
"""Reason phrase that goes with each status code when nothing better is said (IANA's registry)."""

_DIALOG_FORMING = frozenset({"INVITE", "SUBSCRIBE", "REFER", "NOTIFY"})
_REMOVED = "<removed>"
_CREDENTIALS = frozenset({"authorization", "proxy-authorization"})
_SECRET_FIELD = re.compile(
    r'\b((?:username\*?|response)[ \t]*=[ \t]*)("[^"\\]*(?:\\.[^"\\]*)*"|"?[^",\s]+)', re.IGNORECASE
)
_SRTP_KEY = re.compile(
    r"(\binline:|^k=\w+:|^a=[ \t]*key-mgmt:[ \t]*\S+[ \t]+)[^|;\s]+", re.MULTILINE | re.IGNORECASE
)

_LENGTH = "Content-Length: "

_Value = TypeVar("_Value")

_read_address = remembering(NameAddr.parse)
_read_cseq = remembering(CSeq.parse)
_read_via = remembering(Via.parse)


class _Fields:
    """What request and response have in common."""

    __slots__ = ()

    headers: Headers
    body: bytes

    @property
    def start_line(self) -> str:
        """First line, without line break."""
        raise NotImplementedError

    @property
    def call_id(self) -> str:
        """The Call-ID, compared with case and byte by byte (RFC 3261 §20.8)."""
        return self._one("Call-ID", str)

    @property
    def cseq(self) -> CSeq:
        """Sequence number and method."""
        return self._one("CSeq", _read_cseq)

    @property
    def from_(self) -> NameAddr:
        """Who sent the request, with the UAC's tag."""
        return self._one("From", _read_address)

    @property
    def to(self) -> NameAddr:
        """Whom the request was meant for, with the UAS's tag when there is one."""
        return self._one("To", _read_address)

    @property
    def via(self) -> Via:
        """The topmost Via: the last hop of a request, ourselves in a response."""
        readings = self.headers.readings
        if (via := readings.get("via")) is None:
            text = next(filter(None, self.headers.get_all("Via")), None)
            if text is None:
                raise RemoteProtocolError("Via is missing")
            via = readings["via"] = _named("Via", _read_via, _named("Via", split_list, text)[0])
        return via

    @property
    def vias(self) -> list[Via]:
        """All hops, topmost first."""
        texts = self.headers.get_all("Via")
        return [
            _named("Via", _read_via, hop) for text in texts if text for hop in _named("Via", split_list, text)
        ]

    @property
    def contact(self) -> NameAddr | None:
        """The first Contact; None when there is none or it is `*`."""
        contacts = self.contacts
        return contacts[0] if contacts else None

    @property
    def contacts(self) -> list[NameAddr]:
        """All Contacts; none for `*`."""
        return [] if self.headers.get("Contact") == "*" else self._list("Contact", _read_address)

    @property
    def record_routes(self) -> list[NameAddr]:
        """Record-Route in the message's order; a UAC turns it round for its route set (RFC 3261 §12.1.2)."""
        return self._list("Record-Route", _read_address)

    @property
    def routes(self) -> list[NameAddr]:
        """Route in the order of the message."""
        return self._list("Route", _read_address)

    @property
    def content_type(self) -> str:
        """Media type of the body in lower case without parameters, empty when there is none."""
        return (self.headers.get("Content-Type") or "").partition(";")[0].strip(" \t").lower()

    def to_bytes(self) -> bytes:
        """The message as it goes on the wire. Content-Length is written here, from the body.

        Raises:
            LocalProtocolError: a text in it cannot be written as UTF-8.
        """
        return self._head(self.headers.lines(without="Content-Length")) + self.body

    def redacted(self) -> str:
        """The message as text for a trace, without what would let a reader log in or decrypt.

        Removed are user name and response of digest credentials, credentials of other schemes whole,
        passwords in URIs and SRTP keys. Octets that are not UTF-8 show as U+FFFD.
        """
        fields = self.headers.items(without="Content-Length")
        head = self._head(f"{name}: {_redacted_field(name, value)}" for name, value in fields)
        body = _SRTP_KEY.sub(rf"\g<1>{_REMOVED}", self.body.decode("utf-8", "replace"))
        return without_password(head.decode("utf-8", "replace"), mark=_REMOVED) + body

    def _head(self, fields: Iterable[str]) -> bytes:
        return _encoded("\r\n".join((self.start_line, *fields, f"{_LENGTH}{len(self.body)}\r\n\r\n")))

    def _one(self, name: str, parse: Callable[[str], _Value]) -> _Value:
        readings, key = self.headers.readings, name.lower()
        if (value := readings.get(key)) is None:
            text = self.headers.get(name)
            if not text:
                raise RemoteProtocolError(f"{name} is missing")
            value = readings[key] = _named(name, parse, text)
        return value

    def _list(self, name: str, parse: Callable[[str], _Value]) -> list[_Value]:
        readings, key = self.headers.readings, name.lower()
        if (values := readings.get(key)) is None:
            texts = self.headers.get_all(name)
            elements = [element for text in texts if text for element in _named(name, split_list, text)]
            values = readings[key] = tuple([_named(name, parse, element) for element in elements])
        return [*values]


@dataclass(slots=True)
class Request(_Fields):
    """A request.

    Attributes:
        method: compares with case.
        uri: the Request-URI.
        headers: header fields; Content-Length need not be among them.
        body: octets of the body.

    Raises:
        LocalProtocolError: the method is not a token.
    """

    method: str
    uri: Uri = field(repr=False)
    headers: Headers = field(default_factory=Headers)
    body: bytes = field(default=b"", repr=False)

    def __post_init__(self) -> None:
        if not is_token(self.method):
            raise LocalProtocolError("the method is not a token")

    @property
    def start_line(self) -> str:
        """The Request-Line, without line break."""
        return f"{self.method} {self.uri} {VERSION}"


@dataclass(slots=True)
class Response(_Fields):
    """A response.

    Attributes:
        status: from 100 to 699.
        reason: reason phrase, may be empty.
        headers: header fields; Content-Length need not be among them.
        body: octets of the body.

    Raises:
        LocalProtocolError: the status is out of range, or the reason has a line break.
    """

    status: int
    reason: str
    headers: Headers = field(default_factory=Headers)
    body: bytes = field(default=b"", repr=False)

    def __post_init__(self) -> None:
        if not 100 <= self.status <= 699:
            raise LocalProtocolError(f"status {self.status} is not from 100 to 699")
        if "\r" in self.reason or "\n" in self.reason:
            raise LocalProtocolError("the reason phrase has a line break")

    @property
    def start_line(self) -> str:
        """The Status-Line, without line break."""
        return f"{VERSION} {self.status} {self.reason}"


Message: TypeAlias = Request | Response


def response_to(
    request: Request,
    status: int,
    reason: str | None = None,
    *,
    to_tag: str | None = None,
    headers: Iterable[tuple[str, str]] = (),
    body: bytes = b"",
    content_type: str | None = None,
) -> Response:
    """Make the response of a UAS (RFC 3261 §8.2.6).

    Via, From, To, Call-ID and CSeq are those of the request; Record-Route too when the response can make a
    dialog (§12.1.1), and Timestamp in a 100.

    Args:
        request: what is answered.
        status: status code.
        reason: reason phrase, by default the usual one of the code.
        to_tag: tag to put on To, when it has none yet and the response is not a 100.
        headers: further fields, behind the copied ones.
        body: octets of the body.
        content_type: media type of the body.

    Raises:
        LocalProtocolError: status, reason or a header is not allowed.
    """
    answer = Headers(("Via", value) for value in request.headers.get_all("Via"))
    if request.method in _DIALOG_FORMING and 100 < status < 300:
        for value in request.headers.get_all("Record-Route"):
            answer.add("Record-Route", value)
    answer.add("From", request.headers.get("From") or "")
    to = request.headers.get("To") or ""
    answer.add("To", f"{to};tag={to_tag}" if to_tag and status > 100 and not request.to.tag else to)
    for name in ("Call-ID", "CSeq", *(("Timestamp",) if status == 100 else ())):
        value = request.headers.get(name)
        if value is not None:
            answer.add(name, value)
    for name, value in headers:
        answer.add(name, value)
    if content_type is not None:
        answer.set("Content-Type", content_type)
    return Response(status, REASONS.get(status, "") if reason is None else reason, answer, body)


def _named(name: str, parse: Callable[[str], _Value], text: str) -> _Value:
    try:
        return parse(text)
    except (RemoteProtocolError, LocalProtocolError) as error:
        message = str(error)
        raise RemoteProtocolError(message if message.startswith(name) else f"{name}: {message}") from None


def _encoded(text: str) -> bytes:
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        raise LocalProtocolError("the message has a character that UTF-8 cannot write") from None


def _redacted_field(name: str, value: str) -> str:
    if name.lower() not in _CREDENTIALS:
        return value
    scheme, _, _ = value.partition(" ")
    if scheme.lower() != "digest":
        return f"{scheme} {_REMOVED}"
    return _SECRET_FIELD.sub(rf'\g<1>"{_REMOVED}"', value)
