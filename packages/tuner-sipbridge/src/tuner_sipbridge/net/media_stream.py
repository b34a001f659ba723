"""One call's media as the application sees it; what it does happens in the worker."""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import secrets
import socket
from collections import deque
from collections.abc import AsyncIterator, Callable
from dataclasses import replace

from tuner_sipbridge.audio.g711 import Law
from tuner_sipbridge.errors import MediaError, NetworkError
from tuner_sipbridge.media import messages
from tuner_sipbridge.media.assembly import result_of
from tuner_sipbridge.media.engine import (
    MediaEvent,
    MediaParameters,
    MediaResult,
    MediaStatistics,
    SrtpMismatch,
    StreamFailed,
)
from tuner_sipbridge.net import clock
from tuner_sipbridge.net.media_channel import Channel
from tuner_sipbridge.net.media_process import WorkerProcess
from tuner_sipbridge.net.stun_questions import StunQuestions
from tuner_sipbridge.rtp.dtmf import DIGITS

logger = logging.getLogger("tuner_sipbridge.media")

_FRAMES_MAX = 500
"""Ten seconds of audio that a live stream's reader may be behind before the oldest is dropped."""


class PyMediaStream:
    """A `MediaStream` of `PyMediaEngine`."""

    def __init__(
        self,
        worker: WorkerProcess,
        number: int,
        *,
        host: str,
        live: bool,
        record: bool,
        closed: Callable[[PyMediaStream], None],
    ) -> None:
        """`number` is unique among the streams of the worker; `closed` is told when the stream is gone."""
        self._closed = closed
        self._worker, self._number = worker, number
        self._host, self._live, self._record = host, live, record
        self._parameters: MediaParameters | None = None
        self._events: Channel[MediaEvent] = Channel()
        self._frames: Channel[bytes] = Channel(_FRAMES_MAX)
        self._local: tuple[str, int] = ("", 0)
        self._opening: asyncio.Future[None] | None = None
        self._starting: deque[asyncio.Future[None]] = deque()
        self._received = bytearray()
        self._played: list[tuple[int, Law, bytes]] = []
        self._log: asyncio.Future[messages.StreamLog | None] = asyncio.get_running_loop().create_future()
        self._closing: asyncio.Task[MediaResult] | None = None
        self._lost = ""
        self._mapped: tuple[str, int] | None = None
        self._server: tuple[str, int] = ("", 0)
        self._questions = StunQuestions(self._send_stun, what="media")

    @property
    def local(self) -> tuple[str, int]:
        """Address and port that the stream is bound to."""
        return self._local

    @property
    def mapped(self) -> tuple[str, int] | None:
        """Address and port that a NAT shows for `local`; None when no STUN server was asked."""
        return self._mapped

    async def open(self) -> None:
        """Bind the port.

        Raises:
            MediaError: no port could be bound, or the worker is gone.
        """
        self._opening = asyncio.get_running_loop().create_future()
        self._worker.attach(self._number, self)
        self._worker.send(
            messages.Open(
                stream=self._number,
                host=self._host,
                live=self._live,
                record=self._record,
                ssrc=secrets.randbits(32),
                sequence=secrets.randbits(15),
                timestamp=secrets.randbits(32),
            )
        )
        try:
            await self._opening
        except asyncio.CancelledError:
            self._worker.send(messages.Close(self._number))
            self._worker.detach(self._number)
            raise

    async def ask(self, server: tuple[str, int]) -> None:
        """Ask a STUN server what a NAT shows for the port: from the port, before it starts.

        Raises:
            MediaError: the server does not answer, or refuses.
        """
        self._server = server
        try:
            self._mapped = await self._questions.ask(server)
        except NetworkError as error:
            raise MediaError(self._lost or str(error)) from error

    async def start(self, parameters: MediaParameters) -> None:
        """Send and receive from now on; a second call changes the parameters in place.

        Raises:
            MediaError: the worker is gone, the stream is closed, the remote host has no address, or a number is out of
                its range.
        """
        _check(parameters)
        remote = await self._resolve(parameters.remote)
        self._check_open()
        # 0.0.0.0 is how hold was said before there were directions (RFC 3264 §8.4).
        held = ipaddress.ip_address(remote[0]).is_unspecified
        self._parameters = replace(parameters, remote=remote, send=parameters.send and not held)
        started: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._starting.append(started)
        self._worker.send(messages.Start(self._number, self._parameters))
        await started

    def play(self, payload: bytes, *, mark: str = "") -> None:
        """Queue G.711 octets behind what is queued already."""
        self._worker.send(messages.Play(self._number, bytes(payload), mark))

    def finish(self, mark: str) -> None:
        """Say that nothing more follows under `mark`."""
        self._worker.send(messages.Finish(self._number, mark))

    def clear(self) -> None:
        """Drop all audio that is queued; silence from the next packet on."""
        self._worker.send(messages.Clear(self._number))

    def send_digits(self, digits: str, *, mark: str = "") -> None:
        """Send telephone events in place of audio.

        Raises:
            MediaError: the stream was not started, or the far end takes no telephone events.
            ValueError: there is no digit, or a character is not on a keypad.
        """
        if self._parameters is None or self._parameters.telephone_event is None:
            raise MediaError("digits cannot be sent: no telephone-event was agreed on for this stream")
        if not digits or any(digit not in DIGITS for digit in digits.upper()):
            raise ValueError(f"not digits of a keypad: {digits!r}")
        self._worker.send(messages.SendDigits(self._number, digits, mark))

    def events(self) -> AsyncIterator[MediaEvent]:
        """What happens on the stream, in order; ends when the stream is closed."""
        return self._events

    def frames(self) -> AsyncIterator[bytes]:
        """The far end's audio, 160 octets every 20 ms; ends when the stream is closed.

        A reader who falls ten seconds behind loses the oldest audio.
        """
        return self._frames

    async def close(self) -> MediaResult:
        """Stop, free the port, and give back recording and statistics; a second call gives the same result."""
        if self._closing is None:
            self._closing = asyncio.get_running_loop().create_task(self._close())
        return await asyncio.shield(self._closing)

    def on_report(self, report: messages.Report) -> None:
        """The worker says something about this stream."""
        match report:
            case messages.Happened():
                if isinstance(report.event, SrtpMismatch):
                    logger.warning("%d packets came and SRTP refused them all", report.event.packets)
                self._events.put(report.event)
            case messages.Opened():
                self._local = report.local
                _settle(self._opening)
            case messages.OpenFailed():
                self._worker.detach(self._number)
                _settle(self._opening, MediaError(report.reason))
            case messages.StunCame():
                self._questions.receive(report.data, self._server)
            case messages.Started():
                _settle(self._starting.popleft())
            case messages.Kept():
                self._received += report.received
                self._played += report.played
            case messages.Closed():
                self._worker.detach(self._number)
                log = replace(report.log, received=bytes(self._received), played=self._played)
                if not self._log.done():
                    self._log.set_result(log)
            case messages.Failed():
                self._worker.detach(self._number)
                self.on_worker_lost(report.reason)
            case _:
                pass

    def on_frame(self, frame: bytes) -> None:
        """The worker gives out one frame of the far end's audio."""
        self._frames.put(frame)

    def on_worker_lost(self, reason: str) -> None:
        """The worker is gone: everything that waits for it ends."""
        self._lost = reason
        self._events.put(StreamFailed(clock.now(), reason))
        self._end()
        for waiting in (self._opening, *self._starting):
            _settle(waiting, MediaError(reason))
        self._starting.clear()
        if not self._log.done():
            self._log.set_result(None)

    async def _close(self) -> MediaResult:
        if not self._lost:
            self._worker.send(messages.Close(self._number))
            if not self._worker.alive:
                self.on_worker_lost("the media worker is gone")
        log = await self._log
        self._closed(self)
        self._end()
        for waiting in self._starting:
            _settle(waiting, MediaError("the stream was closed"))
        if log is None:
            return MediaResult(None, MediaStatistics())
        return await asyncio.to_thread(result_of, log, record=self._record)

    def _send_stun(self, request: bytes, server: tuple[str, int]) -> None:
        self._worker.send(messages.Ask(self._number, request, server))

    def _end(self) -> None:
        self._events.end()
        self._frames.end()

    def _check_open(self) -> None:
        if self._lost or not self._worker.alive:
            raise MediaError(self._lost or "the media worker is gone")
        if self._closing is not None:
            raise MediaError("the stream was closed")

    async def _resolve(self, remote: tuple[str, int]) -> tuple[str, int]:
        """The remote address in numbers: the worker must never wait for a name server."""
        host, port = remote
        ours = ipaddress.ip_address(self._host)
        try:
            address = ipaddress.ip_address(host)
        except ValueError:
            pass
        else:
            if address.is_unspecified:
                return ("0.0.0.0" if ours.version == 4 else "::"), port
            if address.version != ours.version:
                raise MediaError(f"no media from {ours} to {address}: one is IPv4, the other IPv6")
            return str(address), port
        family = socket.AF_INET if ours.version == 4 else socket.AF_INET6
        try:
            found = await asyncio.get_running_loop().getaddrinfo(
                host, port, family=family, type=socket.SOCK_DGRAM
            )
        except OSError as error:
            raise MediaError(f"no address for the media host {host}: {error.strerror}") from error
        return str(found[0][4][0]), port


def _check(parameters: MediaParameters) -> None:
    if not 0 < parameters.remote[1] < 1 << 16:
        raise MediaError(f"not a port to send media to: {parameters.remote[1]}")
    for payload_type in (parameters.payload_type, parameters.telephone_event):
        if payload_type is not None and not 0 <= payload_type < 1 << 7:
            raise MediaError(f"not an RTP payload type: {payload_type}")


def _settle(waiting: asyncio.Future[None] | None, error: MediaError | None = None) -> None:
    """Complete a future, unless whoever waited for it has gone."""
    if waiting is None or waiting.done():
        return
    if error is None:
        waiting.set_result(None)
    else:
        waiting.set_exception(error)
