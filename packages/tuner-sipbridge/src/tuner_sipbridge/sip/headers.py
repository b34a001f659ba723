"""Header fields: their ordered collection, and the values that a user agent reads (RFC 3261 §7.3, §20)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from tuner_sipbridge.errors import LocalProtocolError, RemoteProtocolError
from tuner_sipbridge.sip.grammar import (
    WHITESPACE,
    Params,
    bracketed,
    changed_params,
    check_params,
    decimal,
    end_of_enclosed,
    is_host,
    is_token,
    param_of,
    quote,
    remembering,
    split_host_port,
    split_outside,
    split_params,
    split_word,
    unquote,
    write_params,
)
from tuner_sipbridge.sip.header_names import COMPACT_NAMES, KEYS
from tuner_sipbridge.sip.uri import Uri

_read_uri = remembering(Uri.parse)

BRANCH_COOKIE = "z9hG4bK"
"""What every branch of an RFC 3261 element begins with (§8.1.1.7)."""


class Headers:
    """Header fields in their order. Names compare without case, and a compact name is the long one.

    Values are kept as text without line breaks; one that came folded over lines is one line here.

    Attributes:
        readings: what was read out of fields, by their names in lower case; gone when one of that name changes.
    """

    __slots__ = ("_fields", "readings")

    def __init__(self, fields: Iterable[tuple[str, str]] = ()) -> None:
        self._fields: list[tuple[str, str, str]] = []
        self.readings: dict[str, Any] = {}
        for name, value in fields:
            self.add(name, value)

    def get(self, name: str) -> str | None:
        """Value of the first field called `name`, or None."""
        key = KEYS.get(name) or name.lower()
        for present, _, value in self._fields:
            if present == key:
                return value
        return None

    def get_all(self, name: str) -> list[str]:
        """Values of all fields called `name`, one an occurrence: comma-separated lists are left whole."""
        key = KEYS.get(name) or name.lower()
        return [value for present, _, value in self._fields if present == key]

    def elements(self, name: str) -> list[str]:
        """Elements of a comma-separated header over all its occurrences: Via, Route, Supported, Allow.

        Not for headers whose values have commas of their own: WWW-Authenticate, Authorization, Date.

        Raises:
            RemoteProtocolError: a quote or a `<` is never closed.
        """
        return [element for value in self.get_all(name) if value for element in split_outside(value, ",")]

    def repeated(self) -> set[str]:
        """Names in lower case of the fields that stand more than once."""
        names = [name for name, _, _ in self._fields]
        return {name for name in names if names.count(name) > 1} if len(set(names)) < len(names) else set()

    def add(self, name: str, value: str) -> None:
        """Append a field.

        Raises:
            LocalProtocolError: the name is not a token, or the value has a line break.
        """
        new = _checked(name, value)
        self._fields.append(new)
        self.readings.pop(new[0], None)

    def insert_first(self, name: str, value: str) -> None:
        """Put a field before all others, as an element puts its Via.

        Raises:
            LocalProtocolError: the name is not a token, or the value has a line break.
        """
        new = _checked(name, value)
        self._fields.insert(0, new)
        self.readings.pop(new[0], None)

    def set(self, name: str, value: str) -> None:
        """Put one field in place of all called `name`, where the first of them stood, or at the end.

        Raises:
            LocalProtocolError: the name is not a token, or the value has a line break.
        """
        new = _checked(name, value)
        self.readings.pop(new[0], None)
        for place, (present, _, _) in enumerate(self._fields):
            if present == new[0]:
                rest = [other for other in self._fields[place + 1 :] if other[0] != new[0]]
                self._fields[place:] = [new, *rest]
                return
        self._fields.append(new)

    def set_via(self, via: Via) -> None:
        """Put one Via, which need not be read again, in place of all there are, or at the end."""
        self.set("Via", str(via))
        self.readings["via"] = via

    def remove(self, name: str) -> None:
        """Drop all fields called `name`; none is fine."""
        key = KEYS.get(name) or name.lower()
        self._fields = [other for other in self._fields if other[0] != key]
        self.readings.pop(key, None)

    def items(self, *, without: str = "") -> Iterator[tuple[str, str]]:
        """(name, value) of each field not called `without`, in order; compact names come as long ones."""
        key = without.lower()
        return ((name, value) for present, name, value in self._fields if present != key)

    def lines(self, *, without: str = "") -> list[str]:
        """The fields that `items` gives as they are written, without line breaks."""
        key = without.lower()
        return [f"{name}: {value}" for present, name, value in self._fields if present != key]

    def copy(self) -> Headers:
        """A copy that can be changed without changing this one."""
        twin = Headers()
        twin._fields, twin.readings = self._fields.copy(), self.readings.copy()
        return twin

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and self.get(name) is not None

    def __len__(self) -> int:
        return len(self._fields)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Headers):
            return NotImplemented
        mine = [(key, value) for key, _, value in self._fields]
        return mine == [(key, value) for key, _, value in other._fields]

    __hash__ = None  # pyright: ignore[reportAssignmentType]

    def __repr__(self) -> str:
        """Names only: values have telephone numbers and credentials."""
        return f"Headers({', '.join(name for _, name, _ in self._fields)})"


@dataclass(frozen=True, slots=True)
class NameAddr:
    """An address as in From, To, Contact, Route and Record-Route (RFC 3261 §20.10).

    Attributes:
        uri: the address itself.
        display: display name without its quotes and escapes, empty when there is none.
        params: parameters of the header, not those of the URI.
    """

    uri: Uri
    display: str = field(default="", repr=False)
    params: Params = ()

    def __post_init__(self) -> None:
        check_params(self.params)

    @classmethod
    def parse(cls, text: str) -> NameAddr:
        """Read one address, in angle brackets or bare.

        A bare URI ends at the first semicolon: what follows are parameters of the header (RFC 3261 §20). A
        display name with characters that would need quotes is taken without them, if a bracket ends it.

        Raises:
            RemoteProtocolError: it is not an address.
        """
        text = text.strip(WHITESPACE)
        # A quoted display name may itself have a "<" in it.
        start = end_of_enclosed(text, 0) if text.startswith('"') else 0
        opening = text.find("<", start)
        if opening < 0:
            return cls._parse_bare(text, start)
        end = end_of_enclosed(text, opening)
        display = text[:opening].strip(WHITESPACE)
        if start and text[start:opening].strip(WHITESPACE):
            raise RemoteProtocolError("address: something stands between the display name and the bracket")
        if not start and '"' in display:
            raise RemoteProtocolError("address: a quote in the midst of the display name")
        uri = _read_uri(text[opening + 1 : end - 1].strip(WHITESPACE))
        return cls._read(uri, unquote(display), text[end:])

    @classmethod
    def _parse_bare(cls, text: str, start: int) -> NameAddr:
        bare, semicolon, params = text.partition(";")
        if start or "?" in bare or "," in bare:
            raise RemoteProtocolError('address: a display name, "?" or "," needs "<" and ">" around the URI')
        return cls._read(_read_uri(bare.rstrip(WHITESPACE)), "", semicolon + params)

    @classmethod
    def _read(cls, uri: Uri, display: str, params: str) -> NameAddr:
        try:
            return cls(uri, display, split_params(params))
        except LocalProtocolError as error:
            raise RemoteProtocolError(str(error)) from None

    def __str__(self) -> str:
        display = f"{quote(self.display)} " if self.display else ""
        return f"{display}<{self.uri}>{write_params(self.params)}"

    @property
    def tag(self) -> str | None:
        """The tag parameter, None when absent or empty."""
        return param_of(self.params, "tag") or None

    def param(self, name: str) -> str | None:
        """Value of header parameter `name` (any case) without quotes, empty for a bare name, else None."""
        return param_of(self.params, name)

    def with_tag(self, tag: str) -> NameAddr:
        """The same address with this tag."""
        return replace(self, params=changed_params(self.params, [("tag", tag)]))


@dataclass(frozen=True, slots=True)
class Via:
    """One hop of a Via header (RFC 3261 §20.42).

    Attributes:
        transport: in upper case, `"UDP"`, `"TCP"`, `"TLS"` or another.
        host: sent-by host, IPv6 without brackets.
        port: sent-by port, None when not given.
        params: parameters in order.
    """

    transport: str
    host: str
    port: int | None = None
    params: Params = ()

    def __post_init__(self) -> None:
        if not is_token(self.transport) or not is_host(self.host) or not 0 < (self.port or 1) < 65536:
            raise LocalProtocolError("Via: transport, host or port is none")
        check_params(self.params)

    @classmethod
    def parse(cls, text: str) -> Via:
        """Read one Via value (one hop).

        Raises:
            RemoteProtocolError: it is not `SIP/2.0/transport host[:port]` with parameters.
        """
        parts = [part.strip(WHITESPACE) for part in text.split("/", 2)]
        if len(parts) != 3 or parts[0].upper() != "SIP" or parts[1] != "2.0":
            raise RemoteProtocolError('Via: does not begin with "SIP/2.0/"')
        transport, rest = split_word(parts[2])
        sent_by, semicolon, params = rest.partition(";")
        host_port = split_host_port(sent_by.strip(WHITESPACE))
        if not is_token(transport) or host_port is None:
            raise RemoteProtocolError("Via: no transport, or no host with an optional port from 1 to 65535")
        try:
            return cls(transport.upper(), *host_port, params=split_params(semicolon + params))
        except LocalProtocolError as error:
            raise RemoteProtocolError(str(error)) from None

    def __str__(self) -> str:
        port = "" if self.port is None else f":{self.port}"
        return f"SIP/2.0/{self.transport} {bracketed(self.host)}{port}{write_params(self.params)}"

    @property
    def branch(self) -> str | None:
        """The branch parameter, None when absent or empty."""
        return param_of(self.params, "branch") or None

    @property
    def received(self) -> str | None:
        """Address that the next hop saw the request come from, without brackets; None when absent."""
        value = param_of(self.params, "received")
        return value.strip("[]") if value else None

    @property
    def rport(self) -> int | None:
        """Port that the next hop saw the request come from; None when absent or not filled in (RFC 3581)."""
        return decimal(param_of(self.params, "rport") or "", below=65536) or None

    def param(self, name: str) -> str | None:
        """Value of parameter `name` (any case) without quotes, empty for a bare name, else None."""
        return param_of(self.params, name)

    def received_from(self, host: str, port: int) -> Via:
        """The same hop as the server writes it down on arrival (RFC 3261 §18.2.1, RFC 3581 §4).

        `received` is added when the source differs from sent-by or the client asked for `rport`, which is
        then filled in.
        """
        asked = self.param("rport") is not None
        changes: list[tuple[str, str | None]] = []
        if asked or host != self.host:
            changes.append(("received", host))
        if asked:
            changes.append(("rport", str(port)))
        return replace(self, params=changed_params(self.params, changes))

    @property
    def response_address(self) -> tuple[str, int]:
        """Where a response goes over UDP: back to the source when `rport` was asked for (RFC 3581 §4).

        Otherwise to `maddr`, else `received`, else the sent-by host, at the sent-by port (RFC 3261 §18.2.2).
        """
        if self.rport:
            return self.received or self.host, self.rport
        default = 5061 if self.transport == "TLS" else 5060
        return self.param("maddr") or self.received or self.host, self.port or default


@dataclass(frozen=True, slots=True)
class CSeq:
    """A CSeq value (RFC 3261 §20.16).

    Attributes:
        number: below 2**31.
        method: compares with case, as all methods do.
    """

    number: int
    method: str

    @classmethod
    def parse(cls, text: str) -> CSeq:
        """Read a CSeq value.

        Raises:
            RemoteProtocolError: it is not a number below 2**31 and a method.
        """
        digits, method = split_word(text.strip(WHITESPACE))
        number = decimal(digits, below=2**31)
        if number is None or not is_token(method):
            raise RemoteProtocolError("CSeq: not a number below 2**31 and a method")
        return cls(number, method)

    def __str__(self) -> str:
        return f"{self.number} {self.method}"


def _checked(name: str, value: str) -> tuple[str, str, str]:
    key = KEYS.get(name)
    if key is None:
        if not is_token(name):
            raise LocalProtocolError("a header name is not a token")
        key = name.lower()
    if "\r" in value or "\n" in value:
        raise LocalProtocolError(f"the value of {name} has a line break")
    if len(name) == 1:
        name = COMPACT_NAMES.get(name.lower(), name)
    return key, name, value.strip(WHITESPACE)
