"""What one stream has received, and what its packets mean beyond plain audio."""

from __future__ import annotations

from dataclasses import dataclass

from tuner_sipbridge.audio.g711 import SILENCE, translate
from tuner_sipbridge.media.engine import Codec, DigitReceived, FirstPacket, MediaEvent, MediaParameters
from tuner_sipbridge.media.latch import Source, SourceLatch
from tuner_sipbridge.media.packet_log import OVERHEAD, PREFIX_SIZE
from tuner_sipbridge.rtp.dtmf import EventReceiver
from tuner_sipbridge.rtp.jitter_buffer import JitterBuffer
from tuner_sipbridge.rtp.packet import HEADER_SIZE, RtpHeader, is_rtcp, parse_header

_COMFORT_NOISE = 13
"""Payload type of RFC 3389."""
_LAWS: dict[int, Codec] = {0: "PCMU", 8: "PCMA"}
"""Static payload types of RFC 3551 that a far end may use although the answer preferred the other."""


_LIVE_DELAY_S = 0.03
"""Playout delay to begin with: a packet and a half, so that packets may come on either side of the tick."""


def _buffer(codec: Codec) -> JitterBuffer:
    return JitterBuffer(silence=SILENCE[codec], delay_s=_LIVE_DELAY_S)


@dataclass(frozen=True, slots=True)
class Admitted:
    """A packet that belongs to the stream; `length` octets of audio now lie right behind a plain header."""

    length: int
    events: tuple[MediaEvent, ...] = ()


class Reception:
    """The receiving half of one stream.

    Attributes:
        stream: the stream's number.
        row: its row in the `ReceptionTable`.
        log: received packets in the layout of `packet_log`.
        record: whether the log keeps payloads.
        simple_log: the log, when all there is to do with a packet is to append it; otherwise None.
        buffer: jitter buffer of a live stream.
        source: address latched onto; packets from elsewhere need `admit`.
        discarded: datagrams that were not RTP of this stream; RTCP, which an agent may send to the same port, is none.
    """

    __slots__ = (
        "_digits",
        "_latch",
        "buffer",
        "discarded",
        "log",
        "parameters",
        "record",
        "row",
        "simple_log",
        "source",
        "stream",
    )

    def __init__(
        self, stream: int, parameters: MediaParameters, *, row: int, live: bool, record: bool
    ) -> None:
        self.stream, self.row, self.record, self.parameters = stream, row, record, parameters
        self.log = bytearray()
        self.buffer = _buffer(parameters.codec) if live else None
        self.simple_log = self.log if record and not live else None
        self.source: Source | None = None
        self.discarded = 0
        self._latch = SourceLatch()
        self._digits = EventReceiver()

    @property
    def ssrc(self) -> int:
        """Synchronisation source of the stream, -1 before its first packet."""
        return self._latch.ssrc

    def change(self, parameters: MediaParameters) -> None:
        """Go on with other parameters; a live stream whose codec changes begins a new jitter buffer."""
        before, self.parameters = self.parameters, parameters
        if self.buffer is not None and before.codec != parameters.codec:
            self.buffer = _buffer(parameters.codec)

    def admit(
        self, record: memoryview, size: int, source: Source, *, at: float, last_at: float
    ) -> Admitted | None:
        """Look at a packet that is not plainly one more of the stream, and make it plain if it belongs.

        Args:
            record: a record of the log's layout whose datagram is in place.
            size: octets of the datagram, 0 when it was cut short.
            source: where it came from.
            at: when it arrived, Unix seconds.
            last_at: when the stream's last packet arrived.

        Returns:
            What it is, or None for what does not belong to the stream.
        """
        datagram = record[PREFIX_SIZE : PREFIX_SIZE + size]
        header = parse_header(datagram)
        if header is None or not self._knows(header.payload_type):
            self.discarded += not is_rtcp(datagram)
            return None
        is_event = header.payload_type in self._events
        if is_event and source == self.source and header.ssrc != self.ssrc:
            return Admitted(0, self._receive_event(header, datagram, at))
        first = self._listen(header, source, at, last_at)
        if source != self.source or header.ssrc != self.ssrc:
            self.discarded += 1
            return None
        if is_event:
            return Admitted(0, first + self._receive_event(header, datagram, at))
        return Admitted(self._make_plain(record, datagram, header), first)

    def _knows(self, payload_type: int) -> bool:
        agreed = (self.parameters.payload_type, _COMFORT_NOISE)
        return payload_type in agreed or payload_type in self._events or payload_type in _LAWS

    @property
    def _events(self) -> tuple[int | None, int | None]:
        """Numbers of telephone-events: the one we described, and the far end's own, which some use for both ways."""
        return self.parameters.events_received, self.parameters.telephone_event

    def _listen(self, header: RtpHeader, source: Source, at: float, last_at: float) -> tuple[MediaEvent, ...]:
        verdict = self._latch.judge(
            source,
            header.ssrc,
            header.sequence,
            at=at,
            last_at=last_at,
            announced=self.parameters.remote,
        )
        self.source = self._latch.source
        if verdict == "restarted" and self.buffer is not None:
            self.buffer.restart()
        return (FirstPacket(at, (str(source[0]), int(source[1]))),) if verdict == "first" else ()

    def _receive_event(self, header: RtpHeader, datagram: memoryview, at: float) -> tuple[MediaEvent, ...]:
        payload = bytes(datagram[header.offset : header.offset + header.length])
        digit = self._digits.receive(payload, ssrc=header.ssrc, timestamp=header.timestamp)
        return () if digit is None else (DigitReceived(at, digit),)

    def _make_plain(self, record: memoryview, datagram: memoryview, header: RtpHeader) -> int:
        """Put the payload behind the fixed header, in the stream's law; gives its length."""
        if header.payload_type == _COMFORT_NOISE != self.parameters.payload_type:
            return 0
        payload = bytes(datagram[header.offset : header.offset + header.length])
        if header.payload_type != self.parameters.payload_type:
            payload = translate(payload, _LAWS[header.payload_type], self.parameters.codec)
        plain = RtpHeader(
            self.parameters.payload_type, header.sequence, header.timestamp, header.ssrc, header.marker
        )
        record[PREFIX_SIZE : PREFIX_SIZE + HEADER_SIZE] = plain.to_bytes()
        record[OVERHEAD : OVERHEAD + len(payload)] = payload
        return len(payload)
