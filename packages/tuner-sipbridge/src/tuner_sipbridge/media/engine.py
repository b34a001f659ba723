"""What a media engine is: the interface that the dialer and the agents see, whichever engine runs below.

One engine serves many calls. A call opens a `MediaStream` (a UDP port of its own), tells its address in the SDP
(behind a NAT the one that is shown there), and starts the stream when the far end's SDP is known. From then on the
engine sends one packet every 20 ms, silence when nothing is queued, and records both sides on one clock.

Times are Unix seconds. Audio is G.711, one octet a sample at 8000 Hz, whatever codec the packets have: G.722 and Opus
are made of it on the way out and turned into it on the way in.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Protocol, TypeAlias

from tuner_sipbridge.audio.codecs import Codec, law_of
from tuner_sipbridge.audio.g711 import Law
from tuner_sipbridge.media.recording import Recording
from tuner_sipbridge.sdp.codecs import CODECS, DEFAULT_CLOCK_RATE
from tuner_sipbridge.sdp.crypto import SrtpKeys

SAMPLE_RATE = 8000
"""Samples a second of G.711 (RFC 3551 §4.5.14)."""
FRAME_SAMPLES = 160
"""Samples, and octets, of one 20 ms packet."""
FRAME_S = 0.020
"""Packet time in seconds (ptime of RFC 3551 §4.5.14 by default)."""


@dataclass(frozen=True, slots=True)
class MediaParameters:
    """What offer and answer agreed on for one stream.

    Attributes:
        remote: address and port of the far end's SDP.
        codec: what our packets carry.
        payload_type: number of the codec in our packets.
        telephone_event: payload type of RFC 4733 events, None when the far end takes none.
        send: False when the far end wants to hear nothing (hold: `sendonly` or `inactive`): nothing is sent.
        events_received: payload type of events in the far end's packets, where it is not `telephone_event`.
        srtp: keys to protect our packets with and to open the far end's; None sends and takes plain RTP.
        event_clock_rate: clock in Hz in which the durations of our events are counted.
        received: codecs in the far end's packets by their numbers, beside the static ones of G.711; without any,
            `codec` under `payload_type`.
    """

    remote: tuple[str, int]
    codec: Codec = "PCMU"
    payload_type: int = 0
    telephone_event: int | None = None
    send: bool = True
    events_received: int | None = None
    srtp: SrtpKeys | None = field(default=None, repr=False)
    event_clock_rate: int = DEFAULT_CLOCK_RATE
    received: Mapping[int, Codec] = field(default_factory=dict[int, Codec])

    @property
    def law(self) -> Law:
        """The law of what is played, heard and recorded."""
        return law_of(self.codec)

    @property
    def clock_rate(self) -> int:
        """Units of our timestamps in a second."""
        return CODECS[self.codec].clock_rate


@dataclass(frozen=True, slots=True)
class FirstPacket:
    """The first RTP packet of the far end; `source` may differ from the SDP's address."""

    at: float
    source: tuple[str, int]


@dataclass(frozen=True, slots=True)
class SpeechStarted:
    """The far end began to speak; `at` is the kernel's arrival time of the first loud packet."""

    at: float


@dataclass(frozen=True, slots=True)
class SpeechStopped:
    """The far end fell silent; `at` is the arrival time of the last loud packet plus its 20 ms.

    The event comes later than `at`, by the hang-over that tells a pause from an end.
    """

    at: float


@dataclass(frozen=True, slots=True)
class PlayoutStarted:
    """The first packet of what was queued under `mark` left the port."""

    at: float
    mark: str


@dataclass(frozen=True, slots=True)
class PlayoutEnded:
    """The last packet of what was queued under `mark` left, or `clear` dropped the rest.

    Attributes:
        at: when the last octet sent under the mark ends (send time plus 20 ms).
        mark: as given to `play`.
        samples: how many samples under this mark were sent, at 8000 Hz.
        interrupted: True when `clear` cut it short.
    """

    at: float
    mark: str
    samples: int
    interrupted: bool


@dataclass(frozen=True, slots=True)
class DigitReceived:
    """One RFC 4733 event of the far end, told when its first packet arrives, once."""

    at: float
    digit: str


@dataclass(frozen=True, slots=True)
class DigitsSent:
    """The last packet of the digits queued under `mark` left the port."""

    at: float
    mark: str


@dataclass(frozen=True, slots=True)
class SrtpMismatch:
    """Packets come, and not one passes the authentication of SRTP; told once for each key.

    The far end protects with another key than its SDP says, or not at all.

    Attributes:
        at: when it was concluded.
        packets: how many were refused until then.
    """

    at: float
    packets: int


@dataclass(frozen=True, slots=True)
class StreamFailed:
    """The stream cannot go on (the worker died); no event follows."""

    at: float
    reason: str


MediaEvent: TypeAlias = (
    FirstPacket
    | SpeechStarted
    | SpeechStopped
    | PlayoutStarted
    | PlayoutEnded
    | DigitReceived
    | DigitsSent
    | SrtpMismatch
    | StreamFailed
)


@dataclass(frozen=True, slots=True)
class MediaStatistics:
    """Counts and times of one stream; what is not known is None.

    Attributes:
        sent: packets sent.
        received: RTP packets received that belong to the stream.
        expected: packets the far end sent by its sequence numbers (RFC 3550 §A.3).
        lost: expected less received, never below 0.
        duplicates: packets received more than once.
        reordered: packets that came after one with a higher sequence number.
        discarded: datagrams that were not RTP of this stream; RTCP and STUN are not counted.
        unauthenticated: those of them that SRTP refused: tampered with, replayed, or protected by another key.
        jitter_s: interarrival jitter at the end of the call (RFC 3550 §6.4.1).
        jitter_max_s: the highest it was.
        longest_gap_s: longest time between two arrivals.
        source: address the packets came from; differs from the SDP with asymmetric RTP.
        asymmetric: True when `source` is not the SDP's address.
        send_late_p50_s: how late our own packets left against the call's 20 ms grid, median.
        send_late_p99_s: the same, 99th percentile.
        send_late_max_s: the same, maximum.
    """

    sent: int = 0
    received: int = 0
    expected: int = 0
    lost: int = 0
    duplicates: int = 0
    reordered: int = 0
    discarded: int = 0
    unauthenticated: int = 0
    jitter_s: float | None = None
    jitter_max_s: float | None = None
    longest_gap_s: float | None = None
    source: tuple[str, int] | None = None
    asymmetric: bool = False
    send_late_p50_s: float | None = None
    send_late_p99_s: float | None = None
    send_late_max_s: float | None = None


@dataclass(frozen=True, slots=True)
class MediaResult:
    """What is left of a stream when it is closed."""

    recording: Recording | None
    statistics: MediaStatistics


class SpokenStream(Protocol):
    """What a caller speaks over: it queues audio and digits, and is told what left and what the far end does."""

    def play(self, payload: bytes, *, mark: str = "") -> None:
        """Queue G.711 octets (of the parameters' law) behind what is queued already.

        Calls with the same mark in a row are one playout: an agent may hand over its speech in pieces. A mark ends
        when its queue has run dry and `finish` was called for it, or when another mark follows it.
        """
        ...

    def finish(self, mark: str) -> None:
        """Say that nothing more follows under `mark`: `PlayoutEnded` comes when it has run dry."""
        ...

    def clear(self) -> None:
        """Drop all audio that is queued; silence from the next packet on. Digits are sent to their end."""
        ...

    def send_digits(self, digits: str, *, mark: str = "") -> None:
        """Send RFC 4733 events, 100 ms each with 100 ms between, at once and in place of audio, which waits.

        Raises:
            MediaError: no telephone-event was agreed on.
            ValueError: not digits of a keypad.
        """
        ...

    def events(self) -> AsyncIterator[MediaEvent]:
        """What happens on the stream, in order; ends when the stream is closed. One reader only."""
        ...

    async def close(self) -> MediaResult:
        """Stop, free the port, and give back recording and statistics. A second call gives the same result."""
        ...


class MediaStream(SpokenStream, Protocol):
    """One call's RTP. Opened by an engine, used by one call, closed once."""

    @property
    def local(self) -> tuple[str, int]:
        """Address and port that the stream is bound to."""
        ...

    @property
    def mapped(self) -> tuple[str, int] | None:
        """Address and port that a NAT shows for `local`, by the STUN server that was asked; None when none was."""
        ...

    async def start(self, parameters: MediaParameters) -> None:
        """Send and receive from now on; a second call changes the parameters in place (re-INVITE)."""
        ...

    def frames(self) -> AsyncIterator[bytes]:
        """The far end's audio out of the jitter buffer, 160 octets every 20 ms, silence for what was lost.

        Only for a stream opened with `live=True`; ends when the stream is closed. One reader only.
        """
        ...


class MediaEngine(Protocol):
    """Opens streams. An async context manager that owns its worker."""

    async def open(
        self,
        *,
        host: str = "127.0.0.1",
        live: bool = False,
        record: bool = True,
        stun: tuple[str, int] | None = None,
    ) -> MediaStream:
        """Bind a port on `host` for one call.

        Args:
            host: local address to bind and announce.
            live: run the jitter buffer and give the far end's audio out through `frames`.
            record: keep both sides for `MediaResult.recording`.
            stun: numeric address and port of a STUN server to ask from the port what a NAT shows for it.

        Raises:
            MediaError: no port could be bound, the worker is gone, or the STUN server does not answer.
        """
        ...

    async def aclose(self) -> None:
        """Close all streams and end the worker."""
        ...
