"""One TCP or TLS connection: octets to messages and back, and its keep-alives (RFC 3261 §18.3, RFC 5626 §4.4.1)."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

from tuner_sipbridge.net.connect_errors import words_of
from tuner_sipbridge.net.tls import alternatives_of
from tuner_sipbridge.sip.framing import PING, PONG, Malformed, Ping, Pong, StreamFramer
from tuner_sipbridge.sip.message import Message, Request, Response
from tuner_sipbridge.sip.parser import Limits
from tuner_sipbridge.sip.routing import Hop, Transport

logger = logging.getLogger("tuner_sipbridge.net")


@dataclass(frozen=True, slots=True)
class StreamLimits:
    """How much and how long TCP and TLS connections may take; times in seconds.

    Attributes:
        connections: accepted connections that stand at the same time; more are closed at once, and counted.
        connect_s: longest time to connect, TLS handshake included.
        idle_s: a connection without calls is closed when nothing was said on it for so long.
        keep_alive_s: pause after which a connection that we opened is pinged (RFC 5626 §4.4.1 asks for 95 to 120).
        pong_s: longest time for the answer to a ping; counts only where the far end has answered one before.
        message_s: longest time from the first octet of a message to its last.
        look_after_s: how often the times above are looked at.
        unsent_octets: what may wait to be taken by the far end.
        message: bounds on a single message.
    """

    connections: int = 1000
    connect_s: float = 5.0
    idle_s: float = 180.0
    keep_alive_s: float = 100.0
    pong_s: float = 10.0
    message_s: float = 30.0
    look_after_s: float = 5.0
    unsent_octets: int = 1 << 20
    message: Limits = Limits()


class ConnectionUser:
    """Who is told about connections; called in the event loop."""

    def on_made(self, connection: Connection) -> None:
        """A connection stands; the user may abort it."""

    def on_message(self, message: Message, connection: Connection) -> None:
        """A message came."""

    def on_malformed(self, malformed: Malformed, connection: Connection) -> None:
        """Something came that should have been a message and is none."""

    def on_lost(self, connection: Connection, why: str) -> None:
        """A connection is gone; `why` is in plain words."""


class Connection(asyncio.Protocol):
    """One connection, whoever opened it."""

    def __init__(
        self,
        user: ConnectionUser,
        kind: Transport,
        limits: StreamLimits,
        *,
        opened_by_us: bool,
        name: str | None = None,
    ) -> None:
        self._user, self._limits = user, limits
        self._kind: Transport = kind
        self._framer = StreamFramer(limits.message)
        self._transport: asyncio.Transport | None = None
        self._now: Callable[[], float] = asyncio.get_running_loop().time
        self._midway_since: float | None = None
        self._pinged_at: float | None = None
        self._answers_pings = False
        self._octets_at = self._message_at = self._now()
        self.opened_by_us = opened_by_us
        self.name = name
        """Whom the far end's certificate must be for, on one that we opened."""
        self.ended: str | None = None
        """Why it is over or being closed, in plain words; None while it stands."""
        self.peer = Hop(kind, "", 0)
        """The far end, as the socket says."""
        self.heard = False
        """Whether a message came on it."""
        self._calls: dict[str, set[Hop]] = {}
        self.gone = asyncio.Event()
        """Set when the socket is free again."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Called by asyncio once it stands, after the TLS handshake."""
        self._transport = cast(asyncio.Transport, transport)
        host, port = transport.get_extra_info("peername")[:2]
        self.peer = Hop(self._kind, host, port)
        self._user.on_made(self)

    @property
    def certificate(self) -> bytes | None:
        """The far end's certificate (DER), None when it showed none."""
        tls = self._transport.get_extra_info("ssl_object") if self._transport is not None else None
        return tls.getpeercert(binary_form=True) if tls is not None else None

    @property
    def alternatives(self) -> tuple[tuple[str, str], ...]:
        """The subjectAltName entries of the far end's certificate; none when it was not checked."""
        tls = self._transport.get_extra_info("ssl_object") if self._transport is not None else None
        return alternatives_of(tls)

    def data_received(self, data: bytes) -> None:
        """Called by asyncio with octets."""
        self._octets_at = self._now()
        for frame in self._framer.receive(data):
            if isinstance(frame, Ping):
                self._write(PONG)
            elif isinstance(frame, Pong):
                self._answers_pings, self._pinged_at = True, None
            elif isinstance(frame, Malformed):
                self._user.on_malformed(frame, self)
            else:
                self.heard, self._message_at = True, self._octets_at
                self._calls.setdefault(frame.call_id, set())
                self._user.on_message(frame, self)
        if not self._framer.midway:
            self._midway_since = None
        elif self._midway_since is None:
            self._midway_since = self._octets_at
        if self._framer.broken is not None:
            # In order, so that a refusal still goes out.
            self.close(f"the far end sent what is no SIP: {self._framer.broken}")

    def connection_lost(self, exc: Exception | None) -> None:
        """Called by asyncio when it is gone."""
        self.ended = self.ended or words_of(exc)
        self.gone.set()
        self._user.on_lost(self, self.ended)

    def refuse(self, refusal: Response) -> None:
        """Send the answer to a request that could not be read."""
        self._write(refusal.to_bytes())

    def send(self, message: Message, hop: Hop) -> None:
        """Send a message; `hop` is where it is meant to go, for `hops`."""
        self._message_at = self._now()
        hops = self._calls.setdefault(message.call_id, set())
        if isinstance(message, Request):
            hops.add(hop)
        self._write(message.to_bytes())

    @property
    def hops(self) -> set[Hop]:
        """Where the requests that went over it were meant to go, those of calls that are over left out."""
        return {hop for hops in self._calls.values() for hop in hops}

    def look_after(self, is_live: Callable[[str], bool], *, now: float) -> None:
        """Ping, or close when it is idle, stuck, or answers no ping.

        Args:
            is_live: whether the call of a Call-ID goes on; a connection with calls is not idle.
            now: the loop's time.
        """
        limits = self._limits
        self._calls = {call_id: hops for call_id, hops in self._calls.items() if is_live(call_id)}
        if self._midway_since is not None and now - self._midway_since > limits.message_s:
            self.abort(f"a message of the far end was not complete after {limits.message_s:g} s")
        elif not self._calls and now - self._said_at > limits.idle_s:
            self.close(f"idle for {limits.idle_s:g} s")
        elif self._pinged_at is not None and now - self._pinged_at > limits.pong_s:
            self._pinged_at, self._framer.awaits_pong = None, False
            if self._answers_pings:
                self.abort(f"the far end did not answer a keep-alive within {limits.pong_s:g} s")
        elif self.opened_by_us and now - max(self._octets_at, self._message_at) > limits.keep_alive_s:
            self._pinged_at, self._octets_at = now, now
            self._framer.awaits_pong = True
            self._write(PING)

    def close(self, why: str) -> None:
        """Close in order: what was written still goes out."""
        self.ended = self.ended or why
        if self._transport is not None:
            self._transport.close()

    def abort(self, why: str) -> None:
        """Close at once."""
        self.ended = self.ended or why
        if self._transport is not None:
            self._transport.abort()

    @property
    def _said_at(self) -> float:
        """When it was last of use: to us by a message, to the far end that opened it by any sign of life."""
        return self._message_at if self.opened_by_us else max(self._octets_at, self._message_at)

    def _write(self, data: bytes) -> None:
        if self._transport is None or self._transport.is_closing():
            return
        self._transport.write(data)
        if self._transport.get_write_buffer_size() > self._limits.unsent_octets:
            self.abort("the far end takes nothing more")
