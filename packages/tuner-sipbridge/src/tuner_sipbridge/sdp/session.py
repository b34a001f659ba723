"""Session descriptions as values (RFC 8866).

A description keeps every line in its order, known or not: what is not understood is written again as it was read.
The properties read out of the lines what a telephone call needs.
"""

from __future__ import annotations

import re
import string
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Literal, TypeAlias

from tuner_sipbridge.errors import LocalProtocolError, RemoteProtocolError

CONTENT_TYPE = "application/sdp"
"""Media type of a session description."""

Line: TypeAlias = tuple[str, str]
"""One line: its letter and what follows the equals sign."""

Direction: TypeAlias = Literal["sendrecv", "sendonly", "recvonly", "inactive"]

_LINE = re.compile(r"([a-z])=([^\x00\r\n]*)")
_LETTERS = frozenset(string.ascii_lowercase) - {"v", "m"}
"""What may begin a line; `v=` and `m=` have places of their own."""
_BREAK = re.compile(r"[\x00\r\n]")
_MEDIA = re.compile(r"(\S+) +([0-9]{1,5})(?:/([0-9]{1,5}))? +(\S+)((?: +\S+)*) *", re.ASCII)
_WORD = re.compile(r"[^\s\x00]+", re.ASCII)
_RTPMAP = re.compile(r"([0-9]{1,3}) +([^\s/]+)/([0-9]{1,9})(?:/([0-9]{1,3}))? *", re.ASCII)
_RTCP = re.compile(r"([0-9]{1,5})(?: +IN +IP[46] +(\S+))? *", re.ASCII | re.IGNORECASE)
_BANDWIDTH = re.compile(r"([^\s:]+): *([0-9]{1,18}) *", re.ASCII)
_FORMATS_KNOWN = 64
"""Lists of codecs whose reading is kept: one call reads them several times, and far ends have few of them."""
_DIRECTIONS: tuple[Direction, ...] = ("sendrecv", "sendonly", "recvonly", "inactive")


@dataclass(frozen=True, slots=True)
class RtpMap:
    """What a payload type stands for (RFC 8866 §6.6).

    Attributes:
        payload_type: from 0 to 127.
        encoding: encoding name as written; it compares without case.
        clock_rate: RTP clock in Hz.
        channels: number of channels.
    """

    payload_type: int
    encoding: str
    clock_rate: int
    channels: int = 1

    @property
    def key(self) -> tuple[str, int, int]:
        """Encoding in upper case, clock rate and channels: equal keys are the same codec."""
        return self.encoding.upper(), self.clock_rate, self.channels


_STATIC = {
    codec.payload_type: codec
    for codec in (
        RtpMap(0, "PCMU", 8000),
        RtpMap(3, "GSM", 8000),
        RtpMap(4, "G723", 8000),
        RtpMap(8, "PCMA", 8000),
        RtpMap(9, "G722", 8000),
        RtpMap(13, "CN", 8000),
        RtpMap(15, "G728", 8000),
        RtpMap(18, "G729", 8000),
    )
}


@dataclass(frozen=True, slots=True)
class MediaDescription:
    """One `m=` line and the lines below it.

    Attributes:
        media: `"audio"`, `"video"` or another.
        port: 0 for a stream that is refused or not wanted (RFC 3264 §6).
        protocol: transport and profile, such as `"RTP/AVP"`.
        formats: payload types as text, in order of preference.
        lines: the lines that follow, in order.
        port_count: number of ports when the line says one, else None.
        address: of the stream's own `c=` line, without TTL; None when there is none.

    Raises:
        LocalProtocolError: a part has a space or a line break, or the port is out of range.
    """

    media: str
    port: int
    protocol: str
    formats: tuple[str, ...]
    lines: tuple[Line, ...] = field(default=(), repr=False)  # may hold SRTP keys
    port_count: int | None = None
    address: str | None = field(init=False, repr=False, compare=False)
    _attributes: tuple[tuple[str, str], ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        words = (self.media, self.protocol, *self.formats)
        if not all(_WORD.fullmatch(word) for word in words) or not 0 <= self.port < 65536:
            raise LocalProtocolError("SDP: a part of an m= line is empty, has a space, or is no port")
        _check_lines(self.lines)
        object.__setattr__(self, "address", _address_of(self.lines))
        object.__setattr__(self, "_attributes", _attributes_of(self.lines))

    def __str__(self) -> str:
        count = "" if self.port_count is None else f"/{self.port_count}"
        head = " ".join((self.media, f"{self.port}{count}", self.protocol, *self.formats))
        return f"m={head}\r\n{_write(self.lines)}"

    @property
    def direction(self) -> Direction | None:
        """The stream's own direction attribute; None when there is none."""
        return _direction_of(self._attributes)

    @property
    def codecs(self) -> list[RtpMap]:
        """What the formats stand for, in their order; static payload types need no `rtpmap` (RFC 3551 §6).

        Formats that are no payload type, or of which nothing is said, are left out.
        """
        return list(_codecs_of(self.formats, tuple(self.attributes("rtpmap"))))

    @property
    def ptime_ms(self) -> int | None:
        """Length of packet the describer would like to get, in ms; None when not said or not a whole number."""
        return _milliseconds(self.attribute("ptime"))

    @property
    def maxptime_ms(self) -> int | None:
        """Length of the longest packet the describer takes, in ms (RFC 8866 §6.4); None as for `ptime_ms`."""
        return _milliseconds(self.attribute("maxptime"))

    @property
    def bandwidths(self) -> dict[str, int]:
        """The `b=` lines: kilobits a second (AS, CT) or bits (TIAS) by their type (RFC 8866 §5.8, RFC 3890)."""
        return _bandwidths_of(self.lines)

    @property
    def rtcp_mux(self) -> bool:
        """Whether RTCP may come to the RTP port (RFC 5761 §5.1.1, RFC 8858)."""
        return self.attribute("rtcp-mux") is not None or self.attribute("rtcp-mux-only") is not None

    @property
    def rtcp(self) -> tuple[int, str | None] | None:
        """Port, and address if it says one, of the `rtcp` attribute (RFC 3605); None when there is none."""
        match = _RTCP.fullmatch(self.attribute("rtcp") or "")
        if match is None or not 0 < int(match[1]) < 65536:
            return None
        return int(match[1]), match[2]

    def attribute(self, name: str) -> str | None:
        """Value of the first attribute `name`, empty for a bare name, None when absent."""
        return next(iter(self.attributes(name)), None)

    def attributes(self, name: str) -> list[str]:
        """Values of all attributes `name`, in order."""
        return [value for present, value in self._attributes if present == name]


@dataclass(frozen=True, slots=True)
class SessionDescription:
    """A session description.

    Attributes:
        lines: session-level lines behind `v=0`, in order.
        media: the media descriptions, in order: offer and answer are paired by place.
        address: of the session-level `c=` line, without TTL; None when there is none.

    Raises:
        LocalProtocolError: a line is not a letter and a text without line break.
    """

    lines: tuple[Line, ...] = field(default=(), repr=False)
    media: tuple[MediaDescription, ...] = ()
    address: str | None = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        _check_lines(self.lines)
        object.__setattr__(self, "address", _address_of(self.lines))

    @classmethod
    def parse(cls, data: bytes | str) -> SessionDescription:
        """Read a description.

        Line feeds alone are taken for line ends, and octets that are not UTF-8 are kept. Lines that RFC 8866 demands
        and a call does not need (`s=`, `t=`) may be missing.

        Raises:
            RemoteProtocolError: it does not begin with `v=0`, or a line is not of the form letter=text, or an
                `m=` line is not well formed; the text names the line.
        """
        text = data.decode("utf-8", "surrogateescape") if isinstance(data, bytes) else data
        rows = [row.removesuffix("\r") for row in text.rstrip("\r\n").split("\n")]
        if rows[0].rstrip(" ") != "v=0":
            raise RemoteProtocolError('SDP line 1: not "v=0"')
        sections: list[list[Line]] = [[]]
        heads: list[tuple[int, str]] = []
        for number, row in enumerate(rows[1:], start=2):
            match = _LINE.fullmatch(row)
            if match is None or match[1] == "v":
                raise RemoteProtocolError(f"SDP line {number}: not a letter, an equals sign and a text")
            if match[1] == "m":
                heads.append((number, match[2]))
                sections.append([])
            else:
                sections[-1].append((match[1], match[2]))
        media = (_parse_media(*head, lines) for head, lines in zip(heads, sections[1:], strict=True))
        return cls(tuple(sections[0]), tuple(media))

    def __str__(self) -> str:
        return f"v=0\r\n{_write(self.lines)}{''.join(map(str, self.media))}"

    def to_bytes(self) -> bytes:
        """The description as the body of a message; octets that were not UTF-8 come out as they came in."""
        return str(self).encode("utf-8", "surrogateescape")

    @property
    def direction(self) -> Direction | None:
        """The session-level direction attribute; None when there is none."""
        return _direction_of(_attributes_of(self.lines))

    @property
    def bandwidths(self) -> dict[str, int]:
        """The session-level `b=` lines by their type, as `MediaDescription.bandwidths`."""
        return _bandwidths_of(self.lines)

    @property
    def version(self) -> int | None:
        """Version in `o=`: one higher with each change of the description (RFC 3264 §8); None when not there."""
        words = self._origin()
        return int(words[2]) if len(words) > 2 and re.fullmatch("[0-9]{1,20}", words[2]) else None

    def with_version(self, version: int) -> SessionDescription:
        """The same description with this version in `o=`; unchanged when it has no `o=` of six words."""
        words = self._origin()
        if len(words) != 6:
            return self
        origin = " ".join((*words[:2], str(version), *words[3:]))
        return replace(self, lines=tuple(("o", origin) if line[0] == "o" else line for line in self.lines))

    def address_of(self, media: MediaDescription) -> str | None:
        """Address of one of the streams: its own, else the session's (RFC 8866 §5.7)."""
        return media.address or self.address

    def direction_of(self, media: MediaDescription) -> Direction:
        """Direction of one of the streams: its own, else the session's, else `sendrecv` (RFC 8866 §6.7)."""
        return media.direction or self.direction or "sendrecv"

    def _origin(self) -> list[str]:
        found = [value for letter, value in self.lines if letter == "o"]
        return found[0].split(" ") if found else []


def _parse_media(number: int, text: str, lines: list[Line]) -> MediaDescription:
    match = _MEDIA.fullmatch(text)
    if match is None or int(match[2]) > 65535:
        raise RemoteProtocolError(f"SDP line {number}: not media, port, protocol and formats")
    media, port, count, protocol, formats = match.groups()
    return MediaDescription(
        media,
        int(port),
        protocol,
        tuple(word for word in formats.split(" ") if word),
        tuple(lines),
        port_count=int(count) if count else None,
    )


@lru_cache(_FORMATS_KNOWN)
def _codecs_of(formats: tuple[str, ...], maps: tuple[str, ...]) -> tuple[RtpMap, ...]:
    mapped = dict(_STATIC)
    for value in maps:
        match = _RTPMAP.fullmatch(value)
        if match:
            number, encoding, rate, channels = match.groups()
            mapped[int(number)] = RtpMap(int(number), encoding, int(rate), int(channels or 1))
    numbers = [int(text) for text in formats if text.isascii() and text.isdigit() and len(text) < 4]
    return tuple(mapped[number] for number in numbers if number < 128 and number in mapped)


def _check_lines(lines: tuple[Line, ...]) -> None:
    for letter, value in lines:
        if letter not in _LETTERS or _BREAK.search(value):
            raise LocalProtocolError(f'SDP: "{letter}=" cannot stand there, or its text has a line break')


def _write(lines: tuple[Line, ...]) -> str:
    return "".join(f"{letter}={value}\r\n" for letter, value in lines)


def _attributes_of(lines: tuple[Line, ...]) -> tuple[tuple[str, str], ...]:
    parts = [value.partition(":") for letter, value in lines if letter == "a"]
    return tuple((name.strip(" "), rest.strip(" ")) for name, _, rest in parts)


def _milliseconds(value: str | None) -> int | None:
    return int(value) if value and re.fullmatch(r"[1-9][0-9]{0,3}", value) else None


def _bandwidths_of(lines: tuple[Line, ...]) -> dict[str, int]:
    found = (_BANDWIDTH.fullmatch(value) for letter, value in lines if letter == "b")
    return {match[1]: int(match[2]) for match in found if match}


def _address_of(lines: tuple[Line, ...]) -> str | None:
    for words in (value.split() for letter, value in lines if letter == "c"):
        if len(words) == 3 and words[0].upper() == "IN":
            return words[2].partition("/")[0]
    return None


def _direction_of(attributes: tuple[tuple[str, str], ...]) -> Direction | None:
    found = {name for name, _ in attributes}
    return next((direction for direction in _DIRECTIONS if direction in found), None)
