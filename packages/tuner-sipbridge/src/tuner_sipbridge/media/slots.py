"""The packets of all calls that share one phase of the 20 ms grid, as rows of one table.

Headers of a whole slot are written by a few numpy operations; only rows that carry audio or digits cost Python, and
rows of a codec other than G.711, whose frames are coded one by one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from tuner_sipbridge.media.engine import FRAME_SAMPLES
from tuner_sipbridge.media.lateness import LatenessTable
from tuner_sipbridge.media.transmission import SendTo, Transmission
from tuner_sipbridge.rtp.packet import HEADER_SIZE

Entry: TypeAlias = tuple[SendTo, memoryview | bytes, tuple[Any, ...]]
"""What one packet is sent with: the socket's `sendto`, the packet, the address."""

_PACKET_SIZE = HEADER_SIZE + FRAME_SAMPLES
_EVENT_SIZE = HEADER_SIZE + 4
_MARKER = 0x80


class TransmitSlot:
    """A table of packets, one row a call, dense from row 0.

    Attributes:
        entries: what to send in this slot's turn, in order; made by `fill`.
    """

    def __init__(self, rows: int = 32) -> None:
        self.entries: list[Entry] = []
        self._transmissions: list[Transmission] = []
        self._active: set[Transmission] = set()
        self._fresh: list[Transmission] = []
        self._odd: set[Transmission] = set()
        self._coded: set[Transmission] = set()
        self._dialling: set[Transmission] = set()
        self._arranged = True
        self._packets = np.zeros((rows, _PACKET_SIZE), np.uint8)
        self._sequence = np.zeros(rows, np.uint16)
        self._timestamp = np.zeros(rows, np.uint32)
        self._step = np.zeros(rows, np.uint32)
        self._sends = np.zeros(rows, np.uint16)
        self._sent = np.zeros(rows, np.int64)
        self._late = LatenessTable(rows)
        self._sending = np.zeros(0, np.intp)
        self._views: list[memoryview] = []
        self._payloads: list[memoryview] = []
        self._cut_views()

    def __len__(self) -> int:
        return len(self._transmissions)

    def add(self, transmission: Transmission, *, ssrc: int, sequence: int, timestamp: int) -> None:
        """Give a stream a row; the next `fill` makes its first packet, with these numbers."""
        row = transmission.row = len(self._transmissions)
        if row == len(self._packets):
            self._grow(2 * row)
        self._transmissions.append(transmission)
        self._packets[row, 0] = 0x80
        self._packets[row, 8:12] = np.frombuffer(ssrc.to_bytes(4, "big"), np.uint8)
        self._sequence[row] = (sequence - 1) & 0xFFFF
        self._timestamp[row] = (timestamp - transmission.step) & 0xFFFFFFFF
        self._step[row] = transmission.step
        self._sent[row] = 0
        self._late.reset(row)
        self._fresh.append(transmission)
        self.refresh(transmission)

    def refresh(self, transmission: Transmission) -> None:
        """Take over changed parameters of a stream.

        A stream that goes on at another clock is another source, each time: RFC 7160 §4.1 demands it of senders
        without RTCP, and back at an earlier source the packets between would count as lost.
        """
        row = transmission.row
        self._sends[row] = transmission.parameters.send
        if self._step[row] != transmission.step:
            ssrc = int.from_bytes(self._packets[row, 8:12].tobytes(), "big")
            ssrc = ((ssrc + 1) & 0xFFFFFFFF).to_bytes(4, "big")
            self._packets[row, 8:12] = np.frombuffer(ssrc, np.uint8)
            self._step[row] = transmission.step
            if transmission not in self._fresh:
                self._fresh.append(transmission)
        (self._coded.discard if transmission.encoder is None else self._coded.add)(transmission)
        self._odd.add(transmission)
        self._arranged = False
        self.awaken(transmission)

    def awaken(self, transmission: Transmission) -> None:
        """The stream has, or no longer has, something to say: look at it in the next turn."""
        self._active.add(transmission)

    def account(self, transmission: Transmission) -> tuple[int, tuple[float, float, float] | None]:
        """Packets sent, and median, 99th percentile and maximum of their lateness in seconds."""
        return int(self._sent[transmission.row]), self._late.summary(transmission.row)

    def remove(self, transmission: Transmission) -> None:
        """Take a stream out."""
        row, last = transmission.row, len(self._transmissions) - 1
        moved = self._transmissions.pop()
        if row != last:
            self._transmissions[row] = moved
            moved.row = row
            for column in self._columns:
                column[row] = column[last]
            self._late.move(last, row)
        for group in (self._active, self._odd, self._coded):
            group.discard(transmission)
        if transmission in self._fresh:
            self._fresh.remove(transmission)
        self._arranged = False

    def fill(self, tick: int, at: float) -> list[Transmission]:
        """Make the packets of `tick`, due at `at` (Unix seconds).

        Returns:
            The transmissions on which something happens when these packets leave.
        """
        count = len(self._transmissions)
        if not self._arranged:
            self._arrange()
        if not count:
            return []
        for transmission in self._odd:
            self._make_plain(transmission)
        self._odd.clear()
        for transmission in self._fresh:
            self._packets[transmission.row, 1] |= _MARKER
            self._odd.add(transmission)
        self._fresh.clear()
        self._sequence[:count] += self._sends[:count]
        self._timestamp[:count] += self._step[:count]
        self._sequence_field[:count] = self._sequence[:count]
        self._timestamp_field[:count] = self._timestamp[:count]
        eventful = self._fill_active(tick, at)
        for transmission in self._coded - self._dialling:
            self._code(transmission)
        self._dialling.clear()
        return eventful

    def skip(self, ticks: int) -> None:
        """Let the timestamps move on over ticks in which nothing was sent."""
        self._timestamp[: len(self)] += self._step[: len(self)] * np.uint32(ticks)
        for transmission in self._active:
            transmission.end_run()

    def note_sent(self, late_s: Sequence[float], refused: Sequence[int]) -> None:
        """Count the packets of one turn.

        Args:
            late_s: how late each entry left.
            refused: which entries the kernel did not take.
        """
        if late_s:
            self._sent[self._sending] += 1
            self._late.note(self._sending, np.array(late_s))
        for entry in refused:
            self._sent[self._sending[entry]] -= 1

    def _fill_active(self, tick: int, at: float) -> list[Transmission]:
        payloads = self._payloads
        eventful: list[Transmission] = []
        for transmission in tuple(self._active):
            run = transmission.run
            if run is not None and run.offset < run.end:
                begin = run.offset
                run.offset = end = begin + FRAME_SAMPLES
                payloads[transmission.row][:] = run.octets[begin:end]
                continue
            if transmission.parameters.send:
                self._fill_row(transmission, tick, at)
            if transmission.has_events:
                eventful.append(transmission)
        return eventful

    def _fill_row(self, transmission: Transmission, tick: int, at: float) -> None:
        row = transmission.row
        if transmission.digits.busy:
            self._fill_digit(transmission, at)
            self._odd.add(transmission)
        else:
            self._payloads[row][:] = transmission.next_frame(tick, at)
        if not transmission.active:
            self._active.discard(transmission)
            self._odd.add(transmission)

    def _fill_digit(self, transmission: Transmission, at: float) -> None:
        packet = transmission.next_digit_packet(at)
        event_type = transmission.parameters.telephone_event
        if packet is None or event_type is None:
            return
        self._dialling.add(transmission)
        row = transmission.row
        began = (int(self._timestamp[row]) - packet.elapsed_ticks * transmission.step) & 0xFFFFFFFF
        view = self._views[row]
        view[1] = event_type | (_MARKER if packet.marker else 0)
        view[4:8] = began.to_bytes(4, "big")
        view[HEADER_SIZE:_EVENT_SIZE] = packet.payload
        self._enter(transmission, view[:_EVENT_SIZE])

    def _code(self, transmission: Transmission) -> None:
        """Send the row's frame in the codec of the stream: beside the table, as packets differ in length."""
        if transmission.parameters.send:
            row = transmission.row
            packet = self._views[row][:HEADER_SIZE].tobytes() + transmission.encoded(self._payloads[row])
            self._enter(transmission, packet)
            self._odd.add(transmission)

    def _make_plain(self, transmission: Transmission) -> None:
        """Bring a row back to what most packets are: audio without marker, silence."""
        row = transmission.row
        self._packets[row, 1] = transmission.parameters.payload_type
        self._payloads[row][:] = transmission.silence
        if transmission.parameters.send:
            self._enter(transmission, self._views[row])

    def _enter(self, transmission: Transmission, packet: memoryview | bytes) -> None:
        """Let this be what the stream sends next."""
        entry = int(np.searchsorted(self._sending, transmission.row))
        self.entries[entry] = self._entry(transmission, packet)

    def _entry(self, transmission: Transmission, packet: memoryview | bytes) -> Entry:
        return transmission.send, packet, transmission.parameters.remote

    def _arrange(self) -> None:
        senders = [transmission for transmission in self._transmissions if transmission.parameters.send]
        self.entries = [self._entry(one, self._views[one.row]) for one in senders]
        self._sending = np.array([transmission.row for transmission in senders], np.intp)
        self._arranged = True

    def _grow(self, rows: int) -> None:
        added = rows - len(self._packets)
        self._packets = np.concatenate([self._packets, np.zeros((added, _PACKET_SIZE), np.uint8)])
        self._sequence = np.append(self._sequence, np.zeros(added, np.uint16))
        self._timestamp = np.append(self._timestamp, np.zeros(added, np.uint32))
        self._step = np.append(self._step, np.zeros(added, np.uint32))
        self._sends = np.append(self._sends, np.zeros(added, np.uint16))
        self._sent = np.append(self._sent, np.zeros(added, np.int64))
        self._late.grow(rows)
        self._cut_views()
        self._arranged = False

    @property
    def _columns(self) -> tuple[NDArray[Any], ...]:
        return self._packets, self._sequence, self._timestamp, self._step, self._sends, self._sent

    def _cut_views(self) -> None:
        self._sequence_field = self._packets[:, 2:4].view(">u2")[:, 0]
        self._timestamp_field = self._packets[:, 4:8].view(">u4")[:, 0]
        self._views = [packet.data for packet in self._packets]
        self._payloads = [view[HEADER_SIZE:] for view in self._views]
