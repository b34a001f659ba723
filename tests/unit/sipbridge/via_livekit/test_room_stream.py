"""Audio over a room: pace, marks, interruption, recording, and the real library's tracks."""

from __future__ import annotations

import asyncio
import contextlib
import time
from typing import TypeVar

import numpy as np
import pytest

from tuner_sipbridge.audio import g711
from tuner_sipbridge.errors import MediaError
from tuner_sipbridge.media import engine as media
from tuner_sipbridge.via_livekit.room import Samples
from tuner_sipbridge.via_livekit.room_stream import RoomStream
from tuner_sipbridge.via_livekit.rtc_room import RtcRoom, SpokenTrack, heard

from .livekit_api import LiveKitApi
from .memory_room import TONE, MemoryRoom

EventT = TypeVar("EventT", bound=media.MediaEvent)
SPEECH = g711.encode(np.tile(TONE, 10), "PCMU")
"""200 ms."""


async def until(stream: RoomStream, kind: type[EventT]) -> EventT:
    async with asyncio.timeout(3):
        async for event in stream.events():
            if isinstance(event, kind):
                return event
    raise AssertionError("the stream ended")


async def test_speech_leaves_whole_and_at_its_pace(room: MemoryRoom) -> None:
    stream = RoomStream(room)
    stream.start()
    began = time.monotonic()
    stream.play(SPEECH, mark="say:0")
    stream.finish("say:0")
    ended = await until(stream, media.PlayoutEnded)
    assert (ended.mark, ended.samples, ended.interrupted) == ("say:0", 1600, False)
    assert time.monotonic() - began >= 0.16
    result = await stream.close()
    assert result.recording is not None
    assert bytes(result.recording.caller).count(SPEECH[:160]) >= 1
    assert room.voiced_frames == 10
    assert result.statistics == media.MediaStatistics()


async def test_what_is_dropped_is_not_sent(room: MemoryRoom) -> None:
    stream = RoomStream(room)
    stream.start()
    stream.play(SPEECH, mark="say:0")
    await until(stream, media.PlayoutStarted)
    stream.clear()
    ended = await until(stream, media.PlayoutEnded)
    assert ended.interrupted
    assert ended.samples < 1600
    await stream.close()


async def test_the_callee_is_heard_and_lies_in_the_recording_where_it_spoke(room: MemoryRoom) -> None:
    stream = RoomStream(room)
    stream.start()
    await asyncio.sleep(0.1)
    speaking = asyncio.create_task(room.sounds(0.2))
    started = await until(stream, media.SpeechStarted)
    stopped = await until(stream, media.SpeechStopped)
    await speaking
    assert stopped.at - started.at == pytest.approx(0.2, abs=0.1)
    recording = (await stream.close()).recording
    assert recording is not None
    voiced = np.flatnonzero(recording.agent != 0xFF)
    assert recording.started_at + voiced[0] / 8000 == pytest.approx(started.at, abs=0.03)
    assert 1 <= np.count_nonzero(recording.arrivals_ns) <= 10


async def test_a_room_that_takes_no_audio_fails_the_stream(room: MemoryRoom) -> None:
    async def broken(samples: Samples) -> None:
        raise MediaError("the track is gone")

    room.send = broken
    stream = RoomStream(room)
    stream.start()
    failed = await until(stream, media.StreamFailed)
    assert "the track is gone" in failed.reason
    await stream.close()


async def test_only_digits_of_a_keypad_are_pressed(room: MemoryRoom) -> None:
    stream = RoomStream(room)
    stream.start()
    with pytest.raises(ValueError, match="not digits of a keypad"):
        stream.send_digits("12x")
    stream.send_digits("1a", mark="digits:2")
    assert (await until(stream, media.DigitsSent)).mark == "digits:2"
    assert room.pressed == ["1", "A"]
    await stream.close()


async def test_the_library_carries_a_track_from_end_to_end() -> None:
    """Its own source, track and stream in this process; what a server would do between is not part of it."""
    spoken = SpokenTrack()
    frames: list[Samples] = []

    async def hear() -> None:
        async with contextlib.aclosing(heard(spoken.track)) as arriving:
            async for samples in arriving:
                frames.append(samples)
                if sum(bool(np.abs(one).max() > 3000) for one in frames) >= 10:
                    return

    hearing = asyncio.create_task(hear())
    async with asyncio.timeout(5):
        while not hearing.done():
            await spoken.send(TONE)
            await asyncio.sleep(0.015)
    await hearing
    await spoken.aclose()
    assert {len(samples) for samples in frames} == {160}
    loud = np.concatenate([one for one in frames if np.abs(one).max() > 3000][2:8]).astype(float)
    spectrum = np.abs(np.fft.rfft(loud))
    assert np.argmax(spectrum) * 8000 / len(loud) == pytest.approx(440, abs=10)


async def test_a_server_that_is_no_livekit_cannot_be_joined(livekit: LiveKitApi) -> None:
    room = RtcRoom(livekit.account.websocket_url, "a.token.here", "callee")
    with pytest.raises(MediaError, match="the room could not be joined") as raised:
        await room.join()
    assert "a.token.here" not in str(raised.value)
    await room.leave()
