"""What the application and its media worker say to each other, pickled in batches over a socket pair.

Both ends are one version of this package in one interpreter version: the application starts the worker itself.
"""

from __future__ import annotations

import pickle
import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TypeAlias

from tuner_sipbridge.audio.activity import SpeechThresholds
from tuner_sipbridge.audio.codecs import Codec
from tuner_sipbridge.audio.g711 import Law
from tuner_sipbridge.media.engine import MediaEvent, MediaParameters


@dataclass(frozen=True, slots=True)
class WorkerSettings:
    """How a worker runs.

    Attributes:
        clock_offset_s: Unix time less the monotonic clock, as the application sampled it.
        slots: into how many phases the calls are spread within one packet time.
        thresholds: when speech begins and ends.
        ports: first and last UDP port to use, None for any.
        codecs: whose libraries to load before the first call; those of others are loaded by their first call.
    """

    clock_offset_s: float
    slots: int
    thresholds: SpeechThresholds
    ports: tuple[int, int] | None
    codecs: tuple[Codec, ...] = ()


@dataclass(frozen=True, slots=True)
class Open:
    """Bind a port for stream `stream`; answered by `Opened` or `OpenFailed`."""

    stream: int
    host: str
    live: bool
    record: bool
    ssrc: int
    sequence: int
    timestamp: int


@dataclass(frozen=True, slots=True)
class Start:
    """Send and receive with these parameters; answered by `Started`."""

    stream: int
    parameters: MediaParameters


@dataclass(frozen=True, slots=True)
class Play:
    """Queue octets."""

    stream: int
    payload: bytes
    mark: str


@dataclass(frozen=True, slots=True)
class Finish:
    """Nothing more follows under `mark`."""

    stream: int
    mark: str


@dataclass(frozen=True, slots=True)
class Clear:
    """Drop the audio that is queued."""

    stream: int


@dataclass(frozen=True, slots=True)
class SendDigits:
    """Send telephone events."""

    stream: int
    digits: str
    mark: str


@dataclass(frozen=True, slots=True)
class Close:
    """Stop and free the port; answered by `Closed`."""

    stream: int


@dataclass(frozen=True, slots=True)
class Ask:
    """Send a STUN request from the port of a stream that has not started; what comes back is `StunCame`."""

    stream: int
    request: bytes
    server: tuple[str, int]


Command: TypeAlias = Open | Start | Play | Finish | Clear | SendDigits | Close | Ask


@dataclass(frozen=True, slots=True)
class Ready:
    """The worker runs and can hold so many streams by its limit of file descriptors."""

    max_streams: int


@dataclass(frozen=True, slots=True)
class Opened:
    """The stream's port is bound."""

    stream: int
    local: tuple[str, int]


@dataclass(frozen=True, slots=True)
class OpenFailed:
    """No port could be bound."""

    stream: int
    reason: str


@dataclass(frozen=True, slots=True)
class StunCame:
    """A STUN message came to the port of a stream that asks."""

    stream: int
    data: bytes


@dataclass(frozen=True, slots=True)
class Started:
    """The parameters are in force."""

    stream: int


@dataclass(frozen=True, slots=True)
class Happened:
    """One event of a stream."""

    stream: int
    event: MediaEvent


@dataclass(frozen=True, slots=True)
class Heard:
    """One frame of the far end's audio for each live stream."""

    frames: list[tuple[int, bytes]]


@dataclass(frozen=True, slots=True)
class StreamLog:
    """All that a worker kept of one stream, to be made a result of by `media.assembly`.

    Attributes:
        codec: law of the first parameters, and so of the recording; None when the stream never started.
        codecs: law of each payload type that was agreed on, as it lies in `received`.
        started_at: Unix seconds at which the first packet was due, None when the stream never started.
        samples: length of the call in samples at 8000 Hz, from `started_at` on.
        sent: packets sent.
        played: position in samples, law and octets of each stretch of audio that was sent.
        received: received packets in the layout of `media.packet_log`.
        discarded: datagrams that were not RTP of this stream.
        source: address the packets came from last.
        remote: address of the SDP.
        send_late_s: median, 99th percentile and maximum of how late packets left.
        unauthenticated: those of the discarded that SRTP refused.
    """

    codec: Law | None
    codecs: dict[int, Law]
    started_at: float | None
    samples: int
    sent: int
    played: list[tuple[int, Law, bytes]]
    received: bytes
    discarded: int
    source: tuple[str, int] | None
    remote: tuple[str, int] | None
    send_late_s: tuple[float, float, float] | None
    unauthenticated: int = 0

    @classmethod
    def empty(cls) -> StreamLog:
        """The log of a stream that never started."""
        return cls(None, {}, None, 0, 0, [], b"", 0, None, None, None)


@dataclass(frozen=True, slots=True)
class Kept:
    """A part of a closed stream's log, in order; the parts come before `Closed`.

    A long call's log is large, so it goes over in pieces while the worker has nothing better to do.
    """

    stream: int
    received: bytes = b""
    played: tuple[tuple[int, Law, bytes], ...] = ()


@dataclass(frozen=True, slots=True)
class Closed:
    """The stream is gone; `log` lacks what `Kept` brought."""

    stream: int
    log: StreamLog


@dataclass(frozen=True, slots=True)
class Failed:
    """The worker could not do what was asked and has given the stream up."""

    stream: int
    reason: str


Report: TypeAlias = (
    Ready | Opened | OpenFailed | StunCame | Started | Happened | Heard | Kept | Closed | Failed
)
Message: TypeAlias = Command | Report | WorkerSettings

_LENGTH = struct.Struct("!I")


def pack(messages: Iterable[Message]) -> bytes:
    """Messages as one length-prefixed batch."""
    batch = pickle.dumps(list(messages), protocol=5)
    return _LENGTH.pack(len(batch)) + batch


class Unpacker:
    """Takes octets as they come off the socket pair and gives out the messages that are complete."""

    def __init__(self) -> None:
        self._pending = bytearray()

    def feed(self, octets: bytes) -> Iterator[Message]:
        """Messages completed by `octets`, in order."""
        self._pending += octets
        while len(self._pending) >= _LENGTH.size:
            end = _LENGTH.size + _LENGTH.unpack_from(self._pending)[0]
            if len(self._pending) < end:
                return
            batch = pickle.loads(memoryview(self._pending)[_LENGTH.size : end].tobytes())
            del self._pending[:end]
            yield from batch
