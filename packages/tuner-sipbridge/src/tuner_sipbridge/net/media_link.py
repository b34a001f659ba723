"""The worker's end of the socket pair to the application; never blocks while the grid runs."""

from __future__ import annotations

import select
import socket
from collections import deque
from typing import cast

from tuner_sipbridge.media import messages

_READ_SIZE = 1 << 18
_BACKLOG_MAX = 1000
"""Batches: some ten seconds of them, one a step."""


class WorkerLink:
    """Messages in and out over one stream socket.

    Raises:
        BrokenPipeError, ConnectionResetError: from `send`, when the application is gone.
    """

    def __init__(self, end: socket.socket) -> None:
        self._end = end
        self._unpacker = messages.Unpacker()
        self._out: deque[memoryview] = deque()

    @property
    def pending(self) -> bool:
        """Whether something waits for room in the socket."""
        return bool(self._out)

    @property
    def congested(self) -> bool:
        """Whether the application has not read for so long that audio is better dropped."""
        return len(self._out) > _BACKLOG_MAX

    def receive_settings(self) -> messages.WorkerSettings | None:
        """Wait for the first message; None when the application is gone."""
        self._end.setblocking(True)
        while octets := self._end.recv(_READ_SIZE):
            for message in self._unpacker.feed(octets):
                self._end.setblocking(False)
                return cast(messages.WorkerSettings, message)
        return None

    def receive(self, commands: deque[messages.Command]) -> bool:
        """Append what has come to `commands`; False when the application has closed its end."""
        try:
            octets = self._end.recv(_READ_SIZE)
        except BlockingIOError:
            return True
        except ConnectionResetError:
            return False
        commands.extend(cast(messages.Command, message) for message in self._unpacker.feed(octets))
        return bool(octets)

    def send(self, reports: list[messages.Report]) -> None:
        """Send reports, which is emptied; what the socket does not take now waits."""
        if reports:
            self._out.append(memoryview(messages.pack(reports)))
            reports.clear()
        self._flush()

    def wait_writable(self, timeout_s: float) -> None:
        """Wait until the socket takes more, at most so long, and give it more."""
        if select.select([], [self._end], [], timeout_s)[1]:
            self._flush()

    def _flush(self) -> None:
        while self._out:
            try:
                taken = self._end.send(self._out[0])
            except BlockingIOError:
                return
            if taken == len(self._out[0]):
                self._out.popleft()
            else:
                self._out[0] = self._out[0][taken:]
                return
