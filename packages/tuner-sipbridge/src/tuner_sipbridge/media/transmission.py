"""What one stream sends: its queue, its digits, and what of it went out when."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

from tuner_sipbridge.audio.codecs import Encoder, encoder_of
from tuner_sipbridge.audio.g711 import Law, decode, silence, translate
from tuner_sipbridge.media.engine import (
    FRAME_S,
    FRAME_SAMPLES,
    DigitsSent,
    MediaEvent,
    MediaParameters,
)
from tuner_sipbridge.media.playout import PlayoutQueue, Run
from tuner_sipbridge.rtp.dtmf import EventPacket, EventSender

SendTo: TypeAlias = Callable[[memoryview | bytes, tuple[Any, ...]], object]
"""A socket's `sendto`."""

_SILENCE: dict[Law, bytes] = {
    "PCMU": silence(FRAME_SAMPLES, "PCMU"),
    "PCMA": silence(FRAME_SAMPLES, "PCMA"),
}


class Transmission:
    """The sending half of one stream, apart from the packet itself, which lies in a `TransmitSlot`.

    Attributes:
        send: takes packet and address.
        parameters: what was agreed on last.
        queue: the audio to send.
        digits: the telephone events to send; audio waits until they are through.
        encoder: makes of each frame what goes into the packet; None for G.711, which goes as it is.
        step: one packet time in units of the codec's clock.
        run: whole frames that may be taken on the next ticks without asking `next_frame`.
        stream: the stream's number.
        row: row in the slot's table, kept by the slot.
    """

    __slots__ = (
        "_events",
        "_first_tick",
        "_played",
        "digits",
        "encoder",
        "parameters",
        "queue",
        "row",
        "run",
        "send",
        "step",
        "stream",
    )

    def __init__(
        self,
        stream: int,
        send: SendTo,
        parameters: MediaParameters,
        *,
        first_tick: int,
        queue: PlayoutQueue,
    ) -> None:
        """`first_tick` is the tick of the stream's first packet: sample 0 of the recording."""
        self.stream = stream
        self.send = send
        self.parameters = parameters
        self.queue = queue
        self.digits = EventSender()
        self.run: Run | None = None
        self.row = -1
        self._first_tick = first_tick
        self._played: list[tuple[int, Law, bytes]] = []
        self._events: list[MediaEvent] = []
        self.encoder: Encoder | None = encoder_of(parameters.codec)
        self._keep_time()

    @property
    def active(self) -> bool:
        """Whether the next packet is to carry anything but silence."""
        return self.digits.busy or self.queue.has_audio

    @property
    def silence(self) -> bytes:
        """One frame of the law's silence."""
        return _SILENCE[self.parameters.law]

    @property
    def has_events(self) -> bool:
        """Whether `events` would give any."""
        return bool(self._events) or self.queue.has_events

    def events(self) -> list[MediaEvent]:
        """What happened since the last call."""
        events = self._events + self.queue.events()
        self._events = []
        return events

    def next_digit_packet(self, at: float) -> EventPacket | None:
        """The event packet of the tick due at `at`; None in the pause between two digits."""
        packet = self.digits.next_packet()
        if packet is not None and packet.finishes is not None:
            self._events.append(DigitsSent(at + FRAME_S, packet.finishes))
        return packet

    def next_frame(self, tick: int, at: float) -> bytes:
        """The 160 octets of the tick due at `at`, with silence where the queue has none."""
        position = (tick - self._first_tick) * FRAME_SAMPLES
        frame = self.queue.next_frame(at, position)
        if len(frame) < FRAME_SAMPLES:
            return frame + self.silence[len(frame) :]
        self.run = self.queue.begin_run(at + FRAME_S, position + FRAME_SAMPLES)
        return frame

    def end_run(self) -> None:
        """Something else than a next frame is about to happen."""
        self.run = None
        self.queue.end_run()

    def change(self, parameters: MediaParameters) -> None:
        """Go on with other parameters; what is queued is carried over into another codec."""
        self.end_run()
        before, self.parameters = self.parameters, parameters
        if before.codec != parameters.codec:
            self.encoder = encoder_of(parameters.codec)
        if before.law != parameters.law:
            self._collect_played(before.law)
            self.queue.convert(lambda octets: translate(octets, before.law, parameters.law))
        self._keep_time()

    def encoded(self, octets: bytes | memoryview) -> bytes:
        """What goes into a packet for one frame of the law's octets."""
        if self.encoder is None:
            return bytes(octets)
        return self.encoder.encode(decode(octets, self.parameters.law))

    def played(self) -> list[tuple[int, Law, bytes]]:
        """Stretches of audio that were sent: position in samples, law, octets."""
        self.end_run()
        self._collect_played(self.parameters.law)
        return self._played

    def _keep_time(self) -> None:
        self.step = round(self.parameters.clock_rate * FRAME_S)
        self.digits.tick_units = round(self.parameters.event_clock_rate * FRAME_S)

    def _collect_played(self, law: Law) -> None:
        self._played.extend((position, law, bytes(octets)) for position, octets in self.queue.taken())
