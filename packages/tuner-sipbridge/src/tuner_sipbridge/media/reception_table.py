"""Received packets of all calls at once: told apart, measured for speech, logged.

One batch holds at most one packet of each call, so that every numpy operation sees each row once.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from tuner_sipbridge.audio.activity import ActivityTable, SpeechThresholds
from tuner_sipbridge.audio.g711 import Law
from tuner_sipbridge.media.engine import (
    FRAME_SAMPLES,
    MediaEvent,
    MediaParameters,
    SpeechStarted,
    SpeechStopped,
)
from tuner_sipbridge.media.latch import Source
from tuner_sipbridge.media.packet_log import OVERHEAD, PREFIX_SIZE, RecordFields
from tuner_sipbridge.media.reception import Reception
from tuner_sipbridge.rtp.packet import HEADER_SIZE

DATAGRAM_SIZE = 1500
"""The largest datagram that is looked at; RTP of a telephone call is far smaller."""

_LAWS: tuple[Law, ...] = ("PCMU", "PCMA")

StreamEvent = tuple[int, MediaEvent]
"""Number of the stream, and what happened on it."""


@dataclass(slots=True)
class Batch:
    """Datagrams as they came off the sockets, at most one of each call; `receptions[i]` lies in row `i`.

    A row has room for the prefix of a log record and a datagram, so that a record is logged as it lies there.

    Attributes:
        rows_max: how many datagrams it holds.
        matrix: the rows, shape (rows_max, octets).
        records: each row.
        fields: the rows' prefixes and headers, column by column.
        whole: of each row as much as a record of 20 ms takes.
        windows: where to receive the datagram of each row.
        receptions: whose socket each datagram came from.
        rows: their rows in the table.
        sizes: octets of each datagram, 0 when it was cut short.
        strange: where those came from whose source is not the latched one, by row.
    """

    rows_max: int
    fields: RecordFields = field(init=False)
    matrix: NDArray[np.uint8] = field(init=False)
    windows: list[tuple[memoryview]] = field(init=False)
    records: list[memoryview] = field(init=False)
    whole: list[memoryview] = field(init=False)
    receptions: list[Reception] = field(default_factory=list[Reception])
    rows: list[int] = field(default_factory=list[int])
    sizes: list[int] = field(default_factory=list[int])
    strange: dict[int, Source] = field(default_factory=dict[int, Source])

    def __post_init__(self) -> None:
        self.matrix = np.zeros((self.rows_max, PREFIX_SIZE + DATAGRAM_SIZE), np.uint8)
        self.fields = RecordFields(self.matrix)
        self.records = [row.data for row in self.matrix]
        self.windows = [(record[PREFIX_SIZE:],) for record in self.records]
        self.whole = [record[: OVERHEAD + FRAME_SAMPLES] for record in self.records]

    def clear(self) -> None:
        """Make room for the next datagrams."""
        self.receptions.clear()
        self.rows.clear()
        self.sizes.clear()
        self.strange.clear()


class ReceptionTable:
    """What must be known of every call to take its packets in."""

    def __init__(self, thresholds: SpeechThresholds, rows: int = 64) -> None:
        self._payload_type = np.full(rows, -1, np.int16)
        self._ssrc = np.full(rows, -1, np.int64)
        self._law = np.zeros(rows, np.int16)
        self._last_at = np.full(rows, -np.inf)
        self._activity = ActivityTable(thresholds, rows)
        self._receptions: list[Reception | None] = [None] * rows
        self._live: dict[int, Reception] = {}

    def add(self, stream: int, parameters: MediaParameters, *, live: bool, record: bool) -> Reception:
        """Give a stream a row."""
        if None not in self._receptions:
            self._grow(2 * len(self._receptions))
        row = self._receptions.index(None)
        reception = Reception(stream, parameters, row=row, live=live, record=record)
        self.change(reception, parameters)
        self._ssrc[row], self._last_at[row] = -1, -np.inf
        self._activity.reset(row)
        self._receptions[row] = reception
        if live:
            self._live[stream] = reception
        return reception

    def change(self, reception: Reception, parameters: MediaParameters) -> None:
        """Take packets of these parameters from now on."""
        reception.change(parameters)
        self._payload_type[reception.row] = reception.plain_type
        self._law[reception.row] = _LAWS.index(parameters.law)

    def remove(self, reception: Reception) -> None:
        """Free a stream's row."""
        self._receptions[reception.row] = None
        self._payload_type[reception.row] = -1
        self._activity.reset(reception.row)
        self._live.pop(reception.stream, None)

    def pop_frames(self) -> list[tuple[int, bytes]]:
        """The next frame of each live stream."""
        return [
            (stream, reception.buffer.pop())
            for stream, reception in self._live.items()
            if reception.buffer is not None
        ]

    def settle(self, now: float) -> list[StreamEvent]:
        """Speech that has ended by `now`."""
        return [(self._stream(row), SpeechStopped(at)) for row, at in self._activity.settle(now)]

    def take(self, batch: Batch, arrival_ns: NDArray[np.int64]) -> list[StreamEvent]:
        """Take a batch in.

        Args:
            batch: the datagrams.
            arrival_ns: when each arrived, Unix nanoseconds.

        Returns:
            What happened.
        """
        count = len(batch.receptions)
        rows, sizes, at = np.array(batch.rows), np.array(batch.sizes), arrival_ns.astype(np.float64) * 1e-9
        lengths = sizes - HEADER_SIZE
        plain = self._plain(batch.fields, rows, lengths)
        plain[list(batch.strange)] = False
        events: list[StreamEvent] = []
        if not plain.all():
            for entry in np.flatnonzero(~plain).tolist():
                lengths[entry] = self._admit(batch, entry, float(at[entry]), events)
        self._last_at[rows] = np.where(lengths >= 0, at, self._last_at[rows])
        batch.fields.arrival_ns[:count] = arrival_ns
        batch.fields.length[:count] = np.maximum(lengths, 0)
        events += self._listen(batch.matrix[:count], rows, lengths, at)
        _keep(batch, lengths)
        return events

    def _plain(
        self, fields: RecordFields, rows: NDArray[np.intp], lengths: NDArray[np.int64]
    ) -> NDArray[np.bool_]:
        """Which packets are one more packet of audio of the latched source, with the shortest header."""
        count = len(rows)
        is_audio = (fields.type[:count] & 0x7F) == self._payload_type[rows]
        is_source = fields.ssrc[:count] == self._ssrc[rows]
        return (fields.flags[:count] == 0x80) & is_audio & is_source & (lengths > 0)

    def _admit(self, batch: Batch, entry: int, at: float, events: list[StreamEvent]) -> int:
        """Octets of audio of a packet that is not plain, -1 when it does not belong."""
        reception = batch.receptions[entry]
        admitted = reception.admit(
            batch.records[entry],
            batch.sizes[entry],
            batch.strange.get(entry) or reception.source or (),
            at=at,
            last_at=float(self._last_at[reception.row]),
        )
        if admitted is None:
            return -1
        self._ssrc[reception.row] = reception.ssrc
        self._payload_type[reception.row] = reception.plain_type
        events += [(reception.stream, event) for event in admitted.events]
        return admitted.length

    def _listen(
        self,
        matrix: NDArray[np.uint8],
        rows: NDArray[np.intp],
        lengths: NDArray[np.int64],
        at: NDArray[np.float64],
    ) -> list[StreamEvent]:
        """Find speech; packets of one length and one law are measured together."""
        kinds = lengths * len(_LAWS) + self._law[rows]
        first = int(kinds[0])
        events: list[StreamEvent] = []
        if (kinds == first).all():
            groups = [(first, slice(None))]
        else:
            groups = [(int(kind), np.flatnonzero(kinds == kind)) for kind in np.unique(kinds)]
        for kind, members in groups:
            length, law = divmod(kind, len(_LAWS))
            if length <= 0:
                continue
            payload = matrix[members, OVERHEAD : OVERHEAD + length]
            for row, began in self._activity.hear(rows[members], payload, _LAWS[law], at[members]):
                events.append((self._stream(row), SpeechStarted(began)))
        return events

    def _stream(self, row: int) -> int:
        reception = self._receptions[row]
        return -1 if reception is None else reception.stream

    def _grow(self, rows: int) -> None:
        added = rows - len(self._receptions)
        self._payload_type = np.append(self._payload_type, np.full(added, -1, np.int16))
        self._ssrc = np.append(self._ssrc, np.full(added, -1, np.int64))
        self._law = np.append(self._law, np.zeros(added, np.int16))
        self._last_at = np.append(self._last_at, np.full(added, -np.inf))
        self._activity.grow(rows)
        self._receptions += [None] * added


def _keep(batch: Batch, lengths: NDArray[np.int64]) -> None:
    """Append each packet to its call's log, and to the jitter buffer of a live call."""
    for reception, record, whole, length in zip(
        batch.receptions, batch.records, batch.whole, lengths.tolist(), strict=False
    ):
        log = reception.simple_log
        if log is not None and length == FRAME_SAMPLES:
            log += whole
            continue
        if length < 0:
            continue
        buffer = reception.buffer
        if buffer is not None and length:
            buffer.insert(int.from_bytes(record[16:20], "big"), record[OVERHEAD : OVERHEAD + length])
        log = reception.log
        if reception.record:
            log += record[: OVERHEAD + length]
        else:
            record[8:10] = b"\0\0"
            log += record[:OVERHEAD]
