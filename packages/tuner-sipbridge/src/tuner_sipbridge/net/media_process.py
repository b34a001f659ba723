"""One media worker as the application sees it: its process, its link, and its streams."""

from __future__ import annotations

import asyncio
import logging
import socket
import subprocess
import sys
from typing import Protocol, cast

from tuner_sipbridge.errors import MediaError
from tuner_sipbridge.media import messages

logger = logging.getLogger("tuner_sipbridge.media")

_START_S = 30.0
_STOP_S = 2.0


class WorkerStreamObserver(Protocol):
    """A stream's end of the link."""

    def on_report(self, report: messages.Report) -> None:
        """The worker says something about this stream."""
        ...

    def on_frame(self, frame: bytes) -> None:
        """The worker gives out one frame of the far end's audio."""
        ...

    def on_worker_lost(self, reason: str) -> None:
        """The worker is gone."""
        ...


class WorkerProcess(asyncio.Protocol):
    """Starts a worker, speaks with it, and notices when it dies.

    Attributes:
        max_streams: how many streams it can hold by its limit of file descriptors.
    """

    def __init__(self) -> None:
        self.max_streams = 0
        self._process: subprocess.Popen[bytes] | None = None
        self._transport: asyncio.Transport | None = None
        self._unpacker = messages.Unpacker()
        self._outgoing: list[messages.Message] = []
        self._streams: dict[int, WorkerStreamObserver] = {}
        self._ready: asyncio.Future[int] | None = None
        self._ending = False
        self._lost = ""

    def __len__(self) -> int:
        return len(self._streams)

    @property
    def pid(self) -> int | None:
        """Process id, None before the start."""
        return None if self._process is None else self._process.pid

    @property
    def alive(self) -> bool:
        """Whether the worker runs and listens."""
        return self._transport is not None and not self._lost and not self._ending

    async def start(self, settings: messages.WorkerSettings) -> None:
        """Start the process and wait until it runs.

        Raises:
            MediaError: it does not start.
        """
        loop = asyncio.get_running_loop()
        self._ready = loop.create_future()
        ours = self._spawn()
        await loop.create_connection(lambda: self, sock=ours)
        self.send(settings)
        try:
            self.max_streams = await asyncio.wait_for(self._ready, _START_S)
        except TimeoutError as error:
            await self.stop()
            raise MediaError(f"the media worker did not start within {_START_S:.0f} s") from error

    async def stop(self) -> None:
        """End the process; streams that are still open are lost."""
        self._ending = True
        if self._transport is not None:
            self._transport.close()
        if self._process is not None:
            await asyncio.to_thread(self._reap, self._process)

    def attach(self, stream: int, observer: WorkerStreamObserver) -> None:
        """Let `observer` hear about a stream, from before it is opened until it is closed."""
        self._streams[stream] = observer

    def detach(self, stream: int) -> None:
        """Nobody listens to this stream any more."""
        self._streams.pop(stream, None)

    def send(self, message: messages.Message) -> None:
        """Send a message with all others of this turn of the event loop; dropped when the worker is gone."""
        if self._transport is None or self._lost:
            return
        if not self._outgoing:
            asyncio.get_running_loop().call_soon(self._flush)
        self._outgoing.append(message)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The link stands."""
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        """Hand out what the worker says."""
        for message in self._unpacker.feed(data):
            self._hand_out(cast(messages.Report, message))

    def connection_lost(self, exc: Exception | None) -> None:
        """The worker closed its end: it is dead or about to be."""
        self._lost = "the media worker was stopped" if self._ending else "the media worker died"
        if not self._ending:
            logger.error("%s; %d streams are lost", self._lost, len(self._streams))
        if self._ready is not None and not self._ready.done():
            self._ready.set_exception(MediaError("the media worker ended before it was ready"))
        for observer in list(self._streams.values()):
            observer.on_worker_lost(self._lost)
        self._streams.clear()

    def _hand_out(self, report: messages.Report) -> None:
        match report:
            case messages.Heard(frames):
                for stream, frame in frames:
                    if observer := self._streams.get(stream):
                        observer.on_frame(frame)
            case messages.Ready(most):
                if self._ready is not None and not self._ready.done():
                    self._ready.set_result(most)
            case _:
                if observer := self._streams.get(report.stream):
                    observer.on_report(report)

    def _flush(self) -> None:
        batch, self._outgoing = self._outgoing, []
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(messages.pack(batch))

    def _spawn(self) -> socket.socket:
        """Start the process; gives our end of its link. A fresh interpreter: forking beside threads is not safe."""
        ours, theirs = socket.socketpair()
        command = [sys.executable, "-m", "tuner_sipbridge.net.media_worker", str(theirs.fileno())]
        try:
            self._process = subprocess.Popen(
                command, pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL, start_new_session=True
            )
        except OSError as error:
            ours.close()
            raise MediaError(f"the media worker does not start: {error}") from error
        finally:
            theirs.close()
        return ours

    @staticmethod
    def _reap(process: subprocess.Popen[bytes]) -> None:
        try:
            process.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
