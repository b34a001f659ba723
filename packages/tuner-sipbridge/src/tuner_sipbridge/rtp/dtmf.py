"""Telephone events: keypad digits as RTP payloads (RFC 4733)."""

from __future__ import annotations

import struct
from collections import deque
from dataclasses import dataclass

DIGITS = "0123456789*#ABCD"
"""Digit of each event code (RFC 4733 §3.2)."""

_EVENT = struct.Struct("!BBH")
_END = 0x80
_VOLUME = 10
"""Level in dBm0 with its sign dropped (RFC 4733 §2.3.3)."""
_END_REPEATS = 2
"""The final packet is sent three times in all (RFC 4733 §2.5.1.4)."""


@dataclass(frozen=True, slots=True)
class EventPacket:
    """One packet to send in place of a packet of audio.

    Attributes:
        payload: the four octets of RFC 4733 §2.3.
        elapsed_ticks: how far the event's timestamp, that of its beginning, lies behind the audio's, in packet times.
        marker: True on the first packet of an event.
        finishes: mark of the digits whose very last packet this is, None otherwise.
    """

    payload: bytes
    elapsed_ticks: int
    marker: bool
    finishes: str | None


class EventSender:
    """Turns digits into one packet a tick: the event, its end said three times, then a pause.

    The two repeats of the end fall into the pause, one a tick.

    Attributes:
        tick_units: one packet time in units of the events' clock, in which durations are counted (RFC 4733 §2.3.5).
    """

    def __init__(self, *, tone_ticks: int = 5, pause_ticks: int = 5, tick_units: int = 160) -> None:
        """A tick is one packet time; a pause shorter than three ticks is taken as three."""
        self._tone, self.tick_units = tone_ticks, tick_units
        self._period = tone_ticks + max(pause_ticks, _END_REPEATS + 1)
        self._queue: deque[tuple[int, str | None]] = deque()
        self._tick = 0

    @property
    def busy(self) -> bool:
        """Whether a digit is being sent, waits, or its pause still runs."""
        return bool(self._queue)

    def queue(self, digits: str, *, mark: str) -> None:
        """Send `digits` behind those that are queued.

        Raises:
            ValueError: there is no digit, or a character is not on a keypad.
        """
        codes = [DIGITS.find(digit) for digit in digits.upper()]
        if not codes or -1 in codes:
            raise ValueError(f"not digits of a keypad: {digits!r}")
        self._queue.extend((code, None) for code in codes[:-1])
        self._queue.append((codes[-1], mark))

    def next_packet(self) -> EventPacket | None:
        """The packet of this tick, or None in a pause; to be called once a tick while `busy`."""
        code, mark = self._queue[0]
        tick, self._tick = self._tick, self._tick + 1
        if self._tick == self._period:
            self._queue.popleft()
            self._tick = 0
        last = self._tone - 1
        if tick > last + _END_REPEATS:
            return None
        flags = _VOLUME | (_END if tick >= last else 0)
        duration = min(tick + 1, self._tone) * self.tick_units
        payload = _EVENT.pack(code, flags, duration)
        finishes = mark if tick == last + _END_REPEATS else None
        return EventPacket(payload, tick, tick == 0, finishes)


class EventReceiver:
    """Tells each event once, whichever of its packets comes first (RFC 4733 §2.5.2)."""

    def __init__(self) -> None:
        self._latest: tuple[int, int] | None = None

    def receive(self, payload: bytes, *, ssrc: int, timestamp: int) -> str | None:
        """Take one event packet in.

        An event is known by its timestamp, which all its packets share. Packets of an older event that come late are
        left aside, so are codes that are no digits (RFC 4733 §3.2 gives 16 a flash).

        Returns:
            The digit when this is the first packet of its event, otherwise None.
        """
        if len(payload) < _EVENT.size:
            return None
        code = payload[0]
        if self._latest is not None and self._latest[0] == ssrc:
            ahead = (timestamp - self._latest[1]) & 0xFFFFFFFF
            if ahead == 0 or ahead >= 1 << 31:
                return None
        self._latest = (ssrc, timestamp)
        return DIGITS[code] if code < len(DIGITS) else None
