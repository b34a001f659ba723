"""A room of LiveKit's, joined with its real-time library."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable

import numpy as np
from livekit import rtc

from tuner_sipbridge.errors import MediaError
from tuner_sipbridge.media.engine import SAMPLE_RATE
from tuner_sipbridge.rtp.dtmf import DIGITS
from tuner_sipbridge.via_livekit.room import (
    CalleeLeft,
    CalleeShown,
    DigitHeard,
    RoomEvent,
    RoomLost,
    Samples,
)

QUEUE_MS = 100
"""How much of our speech the library may hold: enough for its own pace, little to drop when we fall silent."""
FRAME_MS = 20
JOIN_TIMEOUT_S = 15.0


class SpokenTrack:
    """Our own audio track: what is sent goes out as a microphone's."""

    def __init__(self) -> None:
        self._source = rtc.AudioSource(SAMPLE_RATE, 1, queue_size_ms=QUEUE_MS)
        self.track = rtc.LocalAudioTrack.create_audio_track("caller", self._source)

    async def send(self, samples: Samples) -> None:
        """Queue samples; returns when the library has room for them."""
        await self._source.capture_frame(rtc.AudioFrame(samples.tobytes(), SAMPLE_RATE, 1, len(samples)))

    async def aclose(self) -> None:
        """Free the source."""
        await self._source.aclose()


async def heard(track: rtc.Track) -> AsyncGenerator[Samples]:
    """A track's audio, 160 samples every 20 ms, until it ends."""
    stream = rtc.AudioStream(track, sample_rate=SAMPLE_RATE, num_channels=1, frame_size_ms=FRAME_MS)
    try:
        async for event in stream:
            yield np.frombuffer(event.frame.data, np.int16).copy()
    finally:
        await stream.aclose()


class RtcRoom:
    """A `Room` on a LiveKit server.

    Args:
        url: WebSocket address of the server.
        token: lets us in.
        callee: identity of the participant that is called.
    """

    def __init__(self, url: str, token: str, callee: str) -> None:
        self._url, self._token, self._callee = url, token, callee
        self._room = rtc.Room()
        self._spoken: SpokenTrack | None = None
        self._events: asyncio.Queue[RoomEvent] = asyncio.Queue()
        self._frames: asyncio.Queue[Samples | None] = asyncio.Queue()
        self._hearing: set[asyncio.Task[None]] = set()
        self._left = False
        self._listen()

    async def join(self) -> None:
        """Join and publish the caller's track.

        Raises:
            MediaError: the server does not answer or does not let us in.
        """
        try:
            async with asyncio.timeout(JOIN_TIMEOUT_S):
                await self._room.connect(self._url, self._token)
                self._spoken = SpokenTrack()
                microphone = rtc.TrackPublishOptions(source=rtc.TrackSource.SOURCE_MICROPHONE)
                await self._room.local_participant.publish_track(self._spoken.track, microphone)
        except TimeoutError:
            raise MediaError(f"the room could not be joined within {JOIN_TIMEOUT_S:g} s") from None
        except (rtc.ConnectError, rtc.participant.PublishTrackError) as error:
            words = error.message.replace(self._token, "[token]")
            raise MediaError(f"the room could not be joined: {words}") from None
        for participant in self._room.remote_participants.values():
            self._shown(participant)

    async def events(self) -> AsyncIterator[RoomEvent]:
        """What happens to the callee, in order."""
        while True:
            yield await self._events.get()

    async def send(self, samples: Samples) -> None:
        """Say so much to the room."""
        if self._spoken is not None and not self._left:
            await self._spoken.send(samples)

    async def frames(self) -> AsyncIterator[Samples]:
        """The callee's audio as it comes."""
        while (samples := await self._frames.get()) is not None:
            yield samples

    async def press(self, digit: str) -> None:
        """Send a digit to the callee; LiveKit's SIP service makes an RFC 4733 event of it."""
        await self._room.local_participant.publish_dtmf(code=DIGITS.index(digit), digit=digit)

    async def leave(self) -> None:
        """Leave; a second call does nothing."""
        if self._left:
            return
        self._left = True
        for task in self._hearing:
            task.cancel()
        await asyncio.gather(*self._hearing, return_exceptions=True)
        self._frames.put_nowait(None)
        if self._room.isconnected():
            await self._room.disconnect()
        if self._spoken is not None:
            await self._spoken.aclose()

    def _listen(self) -> None:
        handlers: dict[str, Callable[..., None]] = {
            "participant_connected": self._shown,
            "participant_attributes_changed": self._changed,
            "participant_disconnected": self._gone,
            "track_subscribed": self._subscribed,
            "sip_dtmf_received": self._digit,
            "disconnected": self._lost,
        }
        for name, handler in handlers.items():
            self._room.on(name, handler)  # pyright: ignore[reportArgumentType, reportUnknownMemberType]

    def _shown(self, participant: rtc.RemoteParticipant) -> None:
        if participant.identity == self._callee:
            self._events.put_nowait(CalleeShown(dict(participant.attributes)))

    def _changed(self, changed: dict[str, str], participant: rtc.Participant) -> None:
        if participant.identity == self._callee:
            self._events.put_nowait(CalleeShown(dict(changed)))

    def _gone(self, participant: rtc.RemoteParticipant) -> None:
        if participant.identity == self._callee:
            self._events.put_nowait(CalleeLeft(_name(participant.disconnect_reason)))

    def _subscribed(self, track: rtc.Track, publication: object, participant: rtc.RemoteParticipant) -> None:
        if participant.identity != self._callee or track.kind != rtc.TrackKind.KIND_AUDIO:
            return
        task = asyncio.get_running_loop().create_task(self._hear(track))
        self._hearing.add(task)
        task.add_done_callback(self._hearing.discard)

    async def _hear(self, track: rtc.Track) -> None:
        async for samples in heard(track):
            self._frames.put_nowait(samples)

    def _digit(self, dtmf: rtc.SipDTMF) -> None:
        if dtmf.participant is not None and dtmf.participant.identity == self._callee:
            self._events.put_nowait(DigitHeard(dtmf.digit))

    def _lost(self, reason: rtc.DisconnectReason.ValueType) -> None:
        if not self._left:
            self._events.put_nowait(RoomLost(_name(reason)))


def _name(reason: rtc.DisconnectReason.ValueType | None) -> str:
    return "UNKNOWN_REASON" if reason is None else rtc.DisconnectReason.Name(reason)
