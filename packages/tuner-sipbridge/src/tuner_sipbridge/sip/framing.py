"""Octets of a stream to messages (RFC 3261 §18.3, §20.14), with the keep-alives between them (RFC 5626 §3.5.1).

A stream has no datagrams to say where a message ends: Content-Length does, and a message without it cannot be
told from the next. Whatever leaves the place of the next message open breaks the stream for good, because what
follows would be read wrongly.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TypeAlias

from tuner_sipbridge.errors import RemoteProtocolError
from tuner_sipbridge.sip.grammar import decimal
from tuner_sipbridge.sip.message import Message
from tuner_sipbridge.sip.parser import TOO_LARGE, Limits, no_end_of_head, parse_datagram

PING = b"\r\n\r\n"
"""What a client sends between messages to keep its connection open (RFC 5626 §3.5.1)."""
PONG = b"\r\n"
"""The answer to `PING`."""


class Ping:
    """The far end sent a keep-alive and waits for a `PONG`."""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Ping)

    def __hash__(self) -> int:
        return hash(Ping)

    def __repr__(self) -> str:
        return "Ping()"


class Pong:
    """The far end answered our keep-alive."""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Pong)

    def __hash__(self) -> int:
        return hash(Pong)

    def __repr__(self) -> str:
        return "Pong()"


@dataclass(frozen=True, slots=True)
class Malformed:
    """Octets that should have been a message, and why they are none.

    Attributes:
        octets: the whole message where its end was known, else its headers, as far as they may go.
        fault: what is wrong; its `status` is what a request is answered with.
    """

    octets: bytes = field(repr=False)
    fault: RemoteProtocolError = field(compare=False)


Frame: TypeAlias = Message | Ping | Pong | Malformed

_DEFAULT_LIMITS = Limits()
_END_OF_HEAD = re.compile(rb"\r?\n\r?\n")
_FOLD = re.compile(rb"\r?\n[ \t]+")
_LENGTH = re.compile(rb"^(?:content-length|l)[ \t]*:([^\n]*)", re.IGNORECASE | re.MULTILINE)
_LONGEST_BREAK = len(b"\r\n\r\n")


class StreamFramer:
    """Cuts one stream into frames: the same frames however the octets were cut on their way."""

    def __init__(self, limits: Limits = _DEFAULT_LIMITS) -> None:
        """Begin with an empty stream.

        Args:
            limits: bounds on sizes, as for datagrams.
        """
        self._limits = limits
        self._waiting = bytearray()
        self._searched = self._head_octets = 0
        self._first: int | None = None
        self.broken: str | None = None
        """Why nothing more can be read, in plain words; None while the stream is sound."""
        self.awaits_pong = False
        """Set by whoever sent a `PING`: the next line break between messages is its answer, then it is reset."""

    @property
    def midway(self) -> bool:
        """True when a message has begun and is not complete."""
        return bool(self._waiting.strip(b"\r\n"))

    def receive(self, data: bytes) -> list[Frame]:
        """Take what came; give the frames that it completes, in order.

        A message that is malformed, but whose end is known, is one frame among others (`Malformed`). When the end is
        not known, the frames before it and its headers are given and `broken` says why; what comes later is dropped.
        """
        frames: list[Frame] = []
        if self.broken is None:
            self._waiting += data
            try:
                while (frame := self._next()) is not None:
                    frames.append(frame)
            except RemoteProtocolError as error:
                self.broken = str(error)
                known = self._head_octets or (self._limits.head_octets if error.status == TOO_LARGE else 0)
                if known:
                    frames.append(Malformed(bytes(self._waiting[:known]), error))
                self._waiting.clear()
        return frames

    def _next(self) -> Frame | None:
        if (keep_alive := self._skip_line_breaks()) is not None:
            return keep_alive
        length = self._length_of_first()
        if length is None or len(self._waiting) < length:
            return None
        octets = bytes(self._waiting[:length])
        del self._waiting[:length]
        self._searched, self._head_octets, self._first = 0, 0, None
        try:
            return parse_datagram(octets, self._limits)
        except RemoteProtocolError as fault:
            return Malformed(octets, fault)

    def _skip_line_breaks(self) -> Ping | Pong | None:
        """Drop line breaks before a message, and tell those that are a keep-alive. What may become one is left."""
        waiting = self._waiting
        while waiting.startswith((b"\r", b"\n")):
            if self.awaits_pong and waiting.startswith(PONG):
                del waiting[: len(PONG)]
                self.awaits_pong = False
                return Pong()
            if waiting.startswith(PING):
                del waiting[: len(PING)]
                return Ping()
            if PING.startswith(waiting):
                return None
            del waiting[:1]
        return None

    def _length_of_first(self) -> int | None:
        """Octets of the first message, None while its head is not complete."""
        waiting, most = self._waiting, self._limits.head_octets
        if self._first is not None:
            return self._first
        if not waiting or waiting.startswith((b"\r", b"\n")):
            return None
        if not chr(waiting[0]).isascii() or not chr(waiting[0]).isprintable():
            # TLS where none is spoken, above all: no more of it need be waited for.
            raise RemoteProtocolError(f"no SIP message begins with the octet 0x{waiting[0]:02x}")
        end = _END_OF_HEAD.search(waiting, self._searched, most)
        if end is None:
            if len(waiting) >= most:
                raise no_end_of_head(len(waiting) + 1, self._limits)
            self._searched = max(0, len(waiting) - _LONGEST_BREAK)
            return None
        self._searched, self._head_octets = end.start(), end.end()
        # Folding is undone first: a continuation line is no header (RFC 3261 §7.3.1).
        lengths = _LENGTH.findall(_FOLD.sub(b" ", bytes(waiting[: end.start()])))
        if len(lengths) != 1:
            raise RemoteProtocolError(
                "Content-Length stands more than once"
                if lengths
                else "Content-Length is missing, so the end of the message on the stream is unknown"
            )
        length = lengths[0].removesuffix(b"\r").strip(b" \t")
        body = decimal(length.decode("ascii", "replace"), below=2**31)
        if body is None:
            raise RemoteProtocolError("Content-Length is not a number of octets")
        if end.end() + body > self._limits.message_octets:
            allowed = self._limits.message_octets
            problem = f"message of {end.end() + body} octets; {allowed} are allowed"
            raise RemoteProtocolError(problem, status=TOO_LARGE)
        # Kept: the body may come octet by octet, and the headers are read once.
        self._first = end.end() + body
        return self._first
