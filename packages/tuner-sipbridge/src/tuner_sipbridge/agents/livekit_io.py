"""Audio ends of a LiveKit `AgentSession` over the media stream of a SIP call.

The session works in frames and segments, the stream in G.711 and marks. Positions are the engine's own: how
many samples of a mark left the RTP port, so an interrupted turn knows how much of it was sent.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import numpy as np
from livekit import rtc
from livekit.agents.voice.io import AudioInput, AudioOutput, AudioOutputCapabilities

from tuner_sipbridge.audio import g711
from tuner_sipbridge.media.engine import SAMPLE_RATE, MediaStream, PlayoutEnded, PlayoutStarted


class SipAudioInput(AudioInput):
    """The caller's voice: a frame of 16-bit samples at 8000 Hz every 20 ms, until the stream is closed.

    Args:
        stream: opened live; this is its one reader of `frames`.
        law: G.711 flavour of the stream.
    """

    def __init__(self, stream: MediaStream, law: g711.Law) -> None:
        super().__init__(label="SIP")
        self._frames: AsyncIterator[bytes] = stream.frames()
        self._law: g711.Law = law

    async def __anext__(self) -> rtc.AudioFrame:
        """The next frame.

        Raises:
            StopAsyncIteration: the stream was closed.
        """
        octets = await anext(self._frames)
        return rtc.AudioFrame(g711.decode(octets, self._law).tobytes(), SAMPLE_RATE, 1, len(octets))


@dataclass(slots=True)
class _Segment:
    """One stretch of agent speech between two flushes.

    Attributes:
        octets: all of it that was handed over.
        sent: octets given to the engine.
        played: octets of ended marks that left the port.
        mark: the mark that is playing, empty when none is.
        cut: the mark was cut short and its end is awaited.
        started: the session was told of the first packet.
        flushed: nothing more follows.
        cleared: the session wants no more of it.
        reported: the session was told of its end.
    """

    octets: bytearray = field(default_factory=bytearray)
    sent: int = 0
    played: int = 0
    mark: str = ""
    cut: bool = False
    started: bool = False
    flushed: bool = False
    cleared: bool = False
    reported: bool = False


class SipAudioOutput(AudioOutput):
    """The agent's voice: plays through the stream's queue and reports positions as the engine told them.

    Interruption and pause both take effect at the RTP port with the next packet. What was queued when the
    session paused is kept here and played on from the very sample when it resumes.

    Args:
        stream: where the audio goes; its events must be handed to `playout_started` and `playout_ended`.
        law: G.711 flavour of the stream.
    """

    def __init__(self, stream: MediaStream, law: g711.Law) -> None:
        super().__init__(
            label="SIP", sample_rate=SAMPLE_RATE, capabilities=AudioOutputCapabilities(pause=True)
        )
        self._stream = stream
        self._law: g711.Law = law
        self._segment: _Segment | None = None
        self._marks = 0
        self._paused = False
        self._closed = False

    async def capture_frame(self, frame: rtc.AudioFrame) -> None:
        """Queue a frame of mono samples at 8000 Hz; returns at once, faster than it plays."""
        await super().capture_frame(frame)
        segment = self._segment = self._segment or _Segment()
        if self._closed:
            self._report(segment, interrupted=True)
        elif not segment.cleared:
            segment.octets += g711.encode(np.frombuffer(frame.data, np.int16), self._law)
            self._send(segment)

    def flush(self) -> None:
        """Nothing more follows in this segment."""
        super().flush()
        segment = self._segment
        if segment is None:
            return
        segment.flushed = True
        if segment.reported:
            self._segment = None
        elif segment.mark:
            self._stream.finish(segment.mark)

    def clear_buffer(self) -> None:
        """Stop now: silence from the next packet on, and the rest of the segment is dropped."""
        segment = self._segment
        if segment is None or segment.cleared:
            return
        segment.cleared = True
        if segment.mark:
            self._cut(segment)
        else:
            self._report(segment, interrupted=True)

    def pause(self) -> None:
        """Fall silent with the next packet and keep the rest."""
        super().pause()
        self._paused = True
        if self._segment is not None and self._segment.mark:
            self._cut(self._segment)

    def resume(self) -> None:
        """Go on with the first sample that was not sent."""
        super().resume()
        self._paused = False
        if self._segment is not None:
            self._send(self._segment)

    def playout_started(self, event: PlayoutStarted) -> None:
        """The first packet of a mark left the port."""
        segment = self._segment
        if segment is not None and event.mark == segment.mark and not segment.started:
            segment.started = True
            self.on_playback_started(created_at=event.at)

    def playout_ended(self, event: PlayoutEnded) -> None:
        """The last packet of a mark left the port."""
        segment = self._segment
        if segment is None or event.mark != segment.mark:
            return
        segment.played = min(segment.played + event.samples, len(segment.octets))
        segment.sent, segment.mark, segment.cut = segment.played, "", False
        if segment.cleared:
            self._report(segment, interrupted=True)
        elif segment.flushed and segment.played >= len(segment.octets):
            self._report(segment, interrupted=False)
        else:
            self._send(segment)

    def close(self) -> None:
        """The stream is gone: end what plays, so that nobody waits for it."""
        self._closed = True
        if self._segment is not None:
            self._report(self._segment, interrupted=True)

    def _send(self, segment: _Segment) -> None:
        """Give the engine what it has not had yet, under the mark that plays or a new one."""
        if self._paused or segment.cleared or segment.reported or segment.sent >= len(segment.octets):
            return
        if not segment.mark:
            self._marks += 1
            segment.mark = f"agent-{self._marks}"
        elif segment.cut:
            return
        self._stream.play(bytes(segment.octets[segment.sent :]), mark=segment.mark)
        segment.sent = len(segment.octets)
        if segment.flushed:
            self._stream.finish(segment.mark)

    def _cut(self, segment: _Segment) -> None:
        """Drop what the engine still holds; it tells in `PlayoutEnded` how much of it had left."""
        segment.cut = True
        self._stream.clear()
        self._stream.finish(segment.mark)

    def _report(self, segment: _Segment, *, interrupted: bool) -> None:
        """Tell the session once that the segment is over; frames that still come for it are dropped."""
        if segment.reported:
            return
        segment.cleared = segment.reported = True
        if segment.flushed:
            self._segment = None
        self.on_playback_finished(playback_position=segment.played / SAMPLE_RATE, interrupted=interrupted)
