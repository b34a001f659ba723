"""The streams of one media worker: commands in, sockets and tables, reports out."""

from __future__ import annotations

import contextlib
import logging
import socket
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from tuner_sipbridge.audio.g711 import Law
from tuner_sipbridge.errors import MediaError
from tuner_sipbridge.media import messages
from tuner_sipbridge.media.engine import SAMPLE_RATE, MediaEvent, MediaParameters, SrtpMismatch
from tuner_sipbridge.media.grid import Grid
from tuner_sipbridge.media.playout import PlayoutQueue
from tuner_sipbridge.media.reception import Reception
from tuner_sipbridge.media.reception_table import ReceptionTable
from tuner_sipbridge.media.slots import TransmitSlot
from tuner_sipbridge.media.transmission import Transmission
from tuner_sipbridge.net.media_sockets import Poller, PortCandidates, ReceiveInto, open_media_socket
from tuner_sipbridge.net.media_srtp import SrtpSocket
from tuner_sipbridge.rtp.packet import is_stun

logger = logging.getLogger("tuner_sipbridge.media")

_PIECE = 1 << 16
_STUN_SIZE = 1500
_PEEK = int(socket.MSG_PEEK)
_STUN_READS = 4
"""Datagrams read at a time from a port that asks: whoever floods it does not hold up the grid."""


@dataclass(slots=True, eq=False)
class _Running:
    """What a stream has from its start on."""

    slot: TransmitSlot
    transmission: Transmission
    reception: Reception
    started_at: float
    law: Law
    laws: dict[int, Law]


@dataclass(slots=True, eq=False)
class _Stream:
    """One call's media: a bound socket and a queue, and when it was started the rest.

    `answered`: STUN has come to the socket.
    """

    opened: messages.Open
    media: socket.socket
    queue: PlayoutQueue
    srtp: SrtpSocket | None = None
    running: _Running | None = None
    answered: bool = False


class StreamTable:
    """Carries out commands; what they lead to is appended to `reports`.

    Attributes:
        reports: what to tell the application, in order.
        slots: what is sent in each slot.
        reception: what is known of the packets received.
        closing: of each stream that was closed what is left to tell, piece by piece.
        receivers: for each descriptor of a started stream how to read it, and who it is for.
    """

    def __init__(self, settings: messages.WorkerSettings, grid: Grid, now: Callable[[], float]) -> None:
        self.reports: list[messages.Report] = []
        self.slots = [TransmitSlot() for _ in range(settings.slots)]
        self.reception = ReceptionTable(settings.thresholds)
        self.receivers: dict[int, tuple[ReceiveInto, Reception]] = {}
        self.closing: deque[Iterator[messages.Report]] = deque()
        self._poller = Poller()
        self._grid, self._now = grid, now
        self._ports = PortCandidates(settings.ports)
        self._streams: dict[int, _Stream] = {}
        self._asking: dict[int, _Stream] = {}

    def ready(self, most: int) -> list[tuple[int, int]]:
        """Descriptors with something to read, at most `most`, without waiting."""
        return self._poller.ready(most)

    def tell(self, stream: int, events: Sequence[MediaEvent]) -> None:
        """Report events of a stream."""
        self.reports += [messages.Happened(stream, event) for event in events]

    def collect(self, transmissions: Sequence[Transmission]) -> None:
        """Report what happened on the sending side of these streams."""
        for transmission in transmissions:
            self.tell(transmission.stream, transmission.events())

    def carry_out(self, command: messages.Command) -> None:
        """Do what the application asks; a command for a stream that is gone does nothing.

        A command that cannot be carried out costs its own stream, never the others.
        """
        try:
            self._carry_out(command)
        except Exception as error:
            logger.exception("stream %d is given up", command.stream)
            self._give_up(command.stream)
            self.reports.append(messages.Failed(command.stream, f"media worker: {error!r}"))

    def hear_answers(self) -> None:
        """Report what STUN has come to the ports that ask; anything else there came before its time.

        Once the server has answered, the port may be known to the far end: its audio waits for the start.
        """
        for number, stream in self._asking.items():
            for _ in range(_STUN_READS):
                try:
                    data = stream.media.recv(_STUN_SIZE, _PEEK if stream.answered else 0)
                    if stream.answered:
                        if not is_stun(data):
                            break
                        stream.media.recv(_STUN_SIZE)
                except OSError:
                    break
                if is_stun(data):
                    stream.answered = True
                    self.reports.append(messages.StunCame(number, data))

    def hand_over(self) -> None:
        """Report one more piece of what closed streams have left."""
        piece = next(self.closing[0], None)
        if piece is None:
            self.closing.popleft()
        else:
            self.reports.append(piece)

    def _carry_out(self, command: messages.Command) -> None:
        if isinstance(command, messages.Open):
            self._open(command)
            return
        stream = self._streams.get(command.stream)
        if stream is None:
            return
        match command:
            case messages.Start():
                self._start(stream, command.parameters)
            case messages.Close():
                self._close(stream)
            case messages.Ask():
                self._ask(stream, command)
            case _:
                self._queue(stream, command)

    def _queue(
        self, stream: _Stream, command: messages.Play | messages.Finish | messages.Clear | messages.SendDigits
    ) -> None:
        """Change what the stream has to say."""
        running = stream.running
        match command:
            case messages.Play():
                stream.queue.play(command.payload, command.mark, now=self._now())
            case messages.Finish():
                stream.queue.finish(command.mark, now=self._now())
            case messages.Clear():
                stream.queue.clear(now=self._now())
                if running is not None:
                    running.transmission.end_run()
            case messages.SendDigits():
                if running is not None:
                    running.transmission.end_run()
                    running.transmission.digits.queue(command.digits, mark=command.mark)
        if running is not None:
            running.slot.awaken(running.transmission)
        elif stream.queue.has_events:
            self.tell(command.stream, stream.queue.events())

    def _open(self, command: messages.Open) -> None:
        try:
            media = open_media_socket(command.host, self._ports)
        except MediaError as error:
            self.reports.append(messages.OpenFailed(command.stream, str(error)))
            return
        self._streams[command.stream] = _Stream(command, media, PlayoutQueue(keep=command.record))
        host, port = media.getsockname()[:2]
        self.reports.append(messages.Opened(command.stream, (host, port)))

    def _ask(self, stream: _Stream, command: messages.Ask) -> None:
        if stream.running is None:
            self._asking[command.stream] = stream
            with contextlib.suppress(OSError):  # no route to the server is no answer either
                stream.media.sendto(command.request, command.server)

    def _start(self, stream: _Stream, parameters: MediaParameters) -> None:
        running = stream.running
        self._asking.pop(stream.opened.stream, None)
        self._secure(stream, parameters)
        way = stream.media if parameters.srtp is None or stream.srtp is None else stream.srtp
        if running is None:
            running = stream.running = self._begin(stream, parameters)
        else:
            running.laws[parameters.payload_type] = parameters.law
            running.transmission.change(parameters)
            running.slot.refresh(running.transmission)
            self.reception.change(running.reception, parameters)
        running.transmission.send = way.sendto
        self.receivers[stream.media.fileno()] = (way.recvmsg_into, running.reception)
        self.reports.append(messages.Started(stream.opened.stream))

    def _secure(self, stream: _Stream, parameters: MediaParameters) -> None:
        """Take over keys of SRTP; a stream that goes on in the clear keeps what it had counted."""
        if parameters.srtp is None:
            return
        if stream.srtp is None:
            number = stream.opened.stream
            stream.srtp = SrtpSocket(
                stream.media, lambda packets: self.tell(number, (SrtpMismatch(self._now(), packets),))
            )
        stream.srtp.change(parameters.srtp)

    def _begin(self, stream: _Stream, parameters: MediaParameters) -> _Running:
        opened = stream.opened
        index = min(range(len(self.slots)), key=lambda slot: len(self.slots[slot]))
        step = self._grid.next_step_of(index)
        reception = self.reception.add(opened.stream, parameters, live=opened.live, record=opened.record)
        transmission = Transmission(
            opened.stream,
            stream.media.sendto,
            parameters,
            first_tick=step // self._grid.slots,
            queue=stream.queue,
        )
        self.slots[index].add(
            transmission, ssrc=opened.ssrc, sequence=opened.sequence, timestamp=opened.timestamp
        )
        self._poller.add(stream.media.fileno())
        return _Running(
            slot=self.slots[index],
            transmission=transmission,
            reception=reception,
            started_at=self._grid.due_of(step),
            law=parameters.law,
            laws={parameters.payload_type: parameters.law},
        )

    def _close(self, stream: _Stream) -> None:
        number, running = stream.opened.stream, stream.running
        stream.queue.clear(now=self._now())
        self.tell(number, stream.queue.events())
        if running is None:
            self.reports.append(messages.Closed(number, messages.StreamLog.empty()))
        else:
            played = running.transmission.played()
            until = played[-1][0] + len(played[-1][2]) if played else 0
            log = self._log(stream, running, until)
            self.closing.append(_pieces(number, log, running.reception.log, played))
        self._give_up(number)

    def _give_up(self, number: int) -> None:
        """Free what a stream holds; any part of it may be missing."""
        stream = self._streams.pop(number, None)
        self._asking.pop(number, None)
        if stream is None:
            return
        if self.receivers.pop(stream.media.fileno(), None) is not None:
            self._poller.remove(stream.media.fileno())
        if stream.running is not None:
            stream.running.slot.remove(stream.running.transmission)
            self.reception.remove(stream.running.reception)
        stream.media.close()

    def _log(self, stream: _Stream, running: _Running, samples_min: int) -> messages.StreamLog:
        """What is kept of a stream, apart from its audio."""
        sent, late = running.slot.account(running.transmission)
        source, remote = running.reception.source, running.transmission.parameters.remote
        elapsed_s = max(0.0, self._now() - running.started_at)
        return messages.StreamLog(
            codec=running.law,
            codecs=running.laws,
            started_at=running.started_at,
            samples=max(round(elapsed_s * SAMPLE_RATE), samples_min),
            sent=sent,
            played=[],
            received=b"",
            discarded=running.reception.discarded,
            unauthenticated=0 if stream.srtp is None else stream.srtp.refused,
            source=None if source is None else (str(source[0]), int(source[1])),
            remote=remote,
            send_late_s=late,
        )


def _pieces(
    number: int, log: messages.StreamLog, received: bytearray, played: list[tuple[int, Law, bytes]]
) -> Iterator[messages.Report]:
    """All that is left of a stream, in pieces that are quickly sent."""
    for at in range(0, len(received), _PIECE):
        yield messages.Kept(number, received=bytes(received[at : at + _PIECE]))
    for stretch in played:
        yield messages.Kept(number, played=(stretch,))
    yield messages.Closed(number, log)
