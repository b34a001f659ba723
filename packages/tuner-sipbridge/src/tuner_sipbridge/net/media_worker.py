"""The media worker: a process of its own whose one thread sends and receives for all calls on an absolute grid.

Started by `PyMediaEngine` as `python -m tuner_sipbridge.net.media_worker FD`, FD being its end of a socket pair. It
ends when the other end closes, or when its parent is gone.

Each step of the grid: send the packets of one slot, which lie ready; look at all sockets (arrival times are the
kernel's, so looking once a step loses nothing); give live streams their frames; carry out commands; make the packets
of the next slot. Nothing waits for a packet, so nothing is woken by one.
"""

from __future__ import annotations

import contextlib
import gc
import os
import signal
import socket
import struct
import sys
import time
from collections import deque

import numpy as np
from numpy.typing import NDArray

from tuner_sipbridge.audio import codecs
from tuner_sipbridge.media import messages
from tuner_sipbridge.media.grid import Grid
from tuner_sipbridge.media.reception_table import Batch
from tuner_sipbridge.media.transmission import Transmission
from tuner_sipbridge.net.media_link import WorkerLink
from tuner_sipbridge.net.media_schedule import be_punctual
from tuner_sipbridge.net.media_sockets import ANCILLARY_SIZE, raise_descriptor_limit
from tuner_sipbridge.net.media_streams import StreamTable

_BATCH = 256
_TRUNCATED = int(socket.MSG_TRUNC)
"""As a plain number: the enumeration's own arithmetic costs more than receiving the packet."""
_STREAMS_A_LOOK = 400
"""A look costs much the same for few packets as for many, and arrival times are the kernel's anyway; but a look at more
sockets than this would make the next slot late."""
_ROUNDS = 8
"""How many packets a look takes from one socket at most: what a flood sends beyond that waits in the kernel."""
_COMMANDS_LEAVE_S = 0.001
"""Commands are left for the next step when less than this remains of the step."""
_PARENT_CHECK_STEPS = 200


class MediaWorker:
    """The loop over the grid's steps."""

    def __init__(self, link: WorkerLink, settings: messages.WorkerSettings) -> None:
        self._link = link
        self._offset_s = settings.clock_offset_s
        self._grid = Grid(self._now() + 0.02, settings.slots)
        self._streams = StreamTable(settings, self._grid, self._now)
        self._batch = Batch(_BATCH)
        self._stamps: list[bytes] = []
        self._commands: deque[messages.Command] = deque()
        self._leaving: list[Transmission] = []

    def run(self) -> None:
        """Run until the application is gone."""
        parent = os.getppid()
        while True:
            self._wait()
            slot, due = self._grid.slot, self._grid.due
            self._send(slot, due)
            if self._looks_in(slot):
                self._receive()
            if slot == 0:
                self._each_tick()
            self._grid.advance()
            if not self._link.receive(self._commands):
                return
            self._carry_out_commands()
            self._prepare()
            if self._streams.closing:
                self._streams.hand_over()
            self._link.send(self._streams.reports)
            if self._grid.step % _PARENT_CHECK_STEPS == 0 and os.getppid() != parent:
                return

    def _now(self) -> float:
        return time.monotonic() + self._offset_s

    def _wait(self) -> None:
        """Sleep until the next step is due; what is left to tell of closed streams goes out meanwhile."""
        while (left := self._grid.due - self._now()) > 0:
            if self._link.pending and left > _COMMANDS_LEAVE_S:
                self._link.wait_writable(left - _COMMANDS_LEAVE_S / 2)
            elif self._streams.closing and left > _COMMANDS_LEAVE_S:
                self._streams.hand_over()
                self._link.send(self._streams.reports)
            else:
                time.sleep(left)
        skipped = self._grid.skip_stall(self._now())
        if skipped:
            for slot in self._streams.slots:
                slot.skip(skipped)

    def _send(self, slot: int, due: float) -> None:
        table = self._streams.slots[slot]
        origin, clock = due - self._offset_s, time.monotonic
        left_at: list[float] = []
        refused: list[int] = []
        stamp = left_at.append
        for send, packet, address in table.entries:
            try:
                send(packet, address)
            except OSError:
                refused.append(len(left_at))
            stamp(clock() - origin)
        table.note_sent(left_at, refused)
        self._streams.collect(self._leaving)

    def _looks_in(self, slot: int) -> bool:
        """Whether this slot's step looks at the sockets: one of a tick does, and more the more streams there are."""
        looks = 1 + len(self._streams.receivers) // _STREAMS_A_LOOK
        return slot % max(1, self._grid.slots // looks) == 0

    def _receive(self) -> None:
        """Take in what came to the sockets, one packet a socket in each round."""
        correction_ns = time.time_ns() - round(self._now() * 1e9)
        for _ in range(_ROUNDS + len(self._streams.receivers) // _BATCH):
            ready = self._streams.ready(_BATCH)
            if not ready:
                return
            self._read(ready)
            if self._batch.receptions:
                arrivals = self._arrivals() - correction_ns
                for stream, event in self._streams.reception.take(self._batch, arrivals):
                    self._streams.tell(stream, (event,))

    def _read(self, ready: list[tuple[int, int]]) -> None:
        """Fill the batch with one datagram of each ready socket."""
        batch, receivers, stamps = self._batch, self._streams.receivers, self._stamps
        batch.clear()
        stamps.clear()
        receptions, rows, sizes, windows = batch.receptions, batch.rows, batch.sizes, batch.windows
        strange = batch.strange
        entry = 0
        for descriptor, _ in ready:
            receive, reception = receivers[descriptor]
            try:
                size, ancillary, flags, source = receive(windows[entry], ANCILLARY_SIZE)
            except OSError:
                continue
            receptions.append(reception)
            rows.append(reception.row)
            sizes.append(0 if flags & _TRUNCATED else size)
            stamps.append(ancillary[0][2] if ancillary else _timespec(time.time_ns()))
            if source != reception.source:
                strange[entry] = source
            entry += 1

    def _arrivals(self) -> NDArray[np.int64]:
        times = np.frombuffer(b"".join(self._stamps), np.int64).reshape(-1, 2)
        return times[:, 0] * 1_000_000_000 + times[:, 1]

    def _each_tick(self) -> None:
        streams = self._streams
        streams.hear_answers()
        for stream, event in streams.reception.settle(self._now()):
            streams.tell(stream, (event,))
        frames = streams.reception.pop_frames()
        if frames and not self._link.congested:
            streams.reports.append(messages.Heard(frames))

    def _carry_out_commands(self) -> None:
        commands, enough = self._commands, self._grid.due - _COMMANDS_LEAVE_S
        if any(isinstance(command, messages.Close) for command in commands):
            self._receive()  # what has come for a stream that closes is still its own
        while commands:
            self._streams.carry_out(commands.popleft())
            if self._now() > enough:
                return

    def _prepare(self) -> None:
        """Make the packets of the next step; their events are told when they have left."""
        slot = self._streams.slots[self._grid.slot]
        self._leaving = slot.fill(self._grid.tick, self._grid.due)


def _timespec(nanoseconds: int) -> bytes:
    return struct.pack("@qq", *divmod(nanoseconds, 1_000_000_000))


def main() -> None:
    """Run a worker on the socket pair whose descriptor is the first argument."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    link = WorkerLink(socket.socket(fileno=int(sys.argv[1])))
    settings = link.receive_settings()
    if settings is None:
        return
    codecs.load(settings.codecs)
    most = raise_descriptor_limit()
    be_punctual()
    worker = MediaWorker(link, settings)
    link.send([messages.Ready(most)])
    gc.collect()
    gc.freeze()
    gc.disable()
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):
        worker.run()


if __name__ == "__main__":
    main()
