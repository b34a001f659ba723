"""What one stream has received, and what its packets mean beyond plain audio."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from tuner_sipbridge.audio.codecs import BUILT_IN, Codec, Decoder, decoder_of, law_of
from tuner_sipbridge.audio.g711 import SILENCE, Law, encode, translate
from tuner_sipbridge.media.engine import DigitReceived, FirstPacket, MediaEvent, MediaParameters
from tuner_sipbridge.media.latch import Source, SourceLatch
from tuner_sipbridge.media.packet_log import OVERHEAD, PREFIX_SIZE
from tuner_sipbridge.rtp.dtmf import EventReceiver
from tuner_sipbridge.rtp.jitter_buffer import JitterBuffer
from tuner_sipbridge.rtp.packet import HEADER_SIZE, RtpHeader, is_rtcp, is_stun, parse_header
from tuner_sipbridge.rtp.sequence import ClockLine
from tuner_sipbridge.sdp.codecs import CODECS, DEFAULT_CLOCK_RATE

_COMFORT_NOISE = 13
"""Payload type of RFC 3389."""
_STATIC: dict[int, Codec] = {0: "PCMU", 8: "PCMA"}
"""Static payload types of RFC 3551 that a far end may use although the answer preferred another."""
_NEVER = -1
_DECODED_MAX = 64
"""Packets among which one that comes twice is known again: a decoder must not take it twice."""

_LIVE_DELAY_S = 0.03
"""Playout delay to begin with: a packet and a half, so that packets may come on either side of the tick."""


def _buffer(law: Law) -> JitterBuffer:
    return JitterBuffer(silence=SILENCE[law], delay_s=_LIVE_DELAY_S)


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
        discarded: datagrams that were not RTP of this stream; RTCP, which an agent may send to the same port, is none,
            nor is STUN.
    """

    __slots__ = (
        "_codecs",
        "_decoded",
        "_decoders",
        "_digits",
        "_latch",
        "_line",
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
        self.buffer = _buffer(parameters.law) if live else None
        self.simple_log = self.log if record and not live else None
        self.source: Source | None = None
        self.discarded = 0
        self._latch = SourceLatch()
        self._digits = EventReceiver()
        self._codecs: dict[int, Codec] = dict(_STATIC)
        self._decoders: dict[int, Decoder] = {}
        self._decoded: deque[tuple[int, int]] = deque(maxlen=_DECODED_MAX)
        self._line: ClockLine | None = None
        self._agree()

    @property
    def ssrc(self) -> int:
        """Synchronisation source of the stream, -1 before its first packet."""
        return self._latch.ssrc

    @property
    def plain_type(self) -> int:
        """Payload type of packets that are logged as they come: those of G.711, while no other clock was heard."""
        plain = self.parameters.codec in BUILT_IN and self._line is None
        return self.parameters.payload_type if plain else _NEVER

    def change(self, parameters: MediaParameters) -> None:
        """Go on with other parameters; packets of the codecs before may still be on their way."""
        before, self.parameters = self.parameters, parameters
        self._agree()
        if self.buffer is None:
            return
        if before.law != parameters.law:
            self.buffer = _buffer(parameters.law)
        elif before.clock_rate != parameters.clock_rate:
            self.buffer.restart()

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
            self.discarded += not (is_rtcp(datagram) or is_stun(datagram))
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
        return Admitted(self._make_plain(record, datagram, header, at), first)

    def _agree(self) -> None:
        """Learn the far end's payload types; one that stands for another codec than before gets another decoder."""
        agreed: dict[int, Codec] = {self.parameters.payload_type: self.parameters.codec}
        for number, codec in (agreed | dict(self.parameters.received)).items():
            if self._codecs.get(number) != codec:
                self._codecs[number] = codec
                self._decoders.pop(number, None)
        if self.parameters.clock_rate != DEFAULT_CLOCK_RATE:
            self._line = self._line or ClockLine()

    def _knows(self, payload_type: int) -> bool:
        return payload_type in self._codecs or payload_type in self._events or payload_type == _COMFORT_NOISE

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

    def _make_plain(self, record: memoryview, datagram: memoryview, header: RtpHeader, at: float) -> int:
        """Put the audio behind the fixed header, in the stream's law and at 8000 Hz; gives its length."""
        codec = self._codecs.get(header.payload_type)
        if codec is None:  # comfort noise
            return 0
        payload = bytes(datagram[header.offset : header.offset + header.length])
        if codec in BUILT_IN:
            payload = translate(payload, law_of(codec), self.parameters.law)
        else:
            payload = self._decode(header, codec, payload)[: len(record) - OVERHEAD]
        timestamp, clock_rate = header.timestamp, CODECS[codec].clock_rate
        if self._line is None and clock_rate != DEFAULT_CLOCK_RATE:
            self._line = ClockLine()
        if self._line is not None:
            timestamp = self._line.scaled(timestamp, clock_rate, at)
        plain = RtpHeader(
            self.parameters.payload_type, header.sequence, timestamp, header.ssrc, header.marker
        )
        record[PREFIX_SIZE : PREFIX_SIZE + HEADER_SIZE] = plain.to_bytes()
        record[OVERHEAD : OVERHEAD + len(payload)] = payload
        return len(payload)

    def _decode(self, header: RtpHeader, codec: Codec, payload: bytes) -> bytes:
        """Octets of the stream's law; none of a packet that was decoded before."""
        packet = (header.ssrc, header.sequence)
        if packet in self._decoded:
            return b""
        self._decoded.append(packet)
        decoder = self._decoders.get(header.payload_type) or decoder_of(codec)
        if decoder is None:
            return b""
        self._decoders[header.payload_type] = decoder
        return encode(decoder.decode(payload), self.parameters.law)
