"""LiveKit's audio ends over a real media stream: positions, pause and interruption at the RTP port."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import numpy as np
import pytest
from livekit import rtc

from tuner_sipbridge.agents.livekit_io import SipAudioInput, SipAudioOutput
from tuner_sipbridge.audio import g711
from tuner_sipbridge.media.engine import MediaParameters, PlayoutEnded, PlayoutStarted
from tuner_sipbridge.net.media_engine import PyMediaEngine

_TONE = np.full(8000, 8000, np.int16)
"""A second in which every sample is loud, so that samples can be counted."""


def _frame(samples: np.ndarray) -> rtc.AudioFrame:
    return rtc.AudioFrame(samples.tobytes(), 8000, 1, len(samples))


class Ends:
    """Our end under test and the far end that records what arrives."""

    def __init__(self, ours: Any, far: Any) -> None:
        self.ours, self.far = ours, far
        self.output, self.input = SipAudioOutput(ours, "PCMU"), SipAudioInput(ours, "PCMU")
        self.finished: list[Any] = []
        self.started: list[Any] = []
        self.output.on("playback_finished", self.finished.append)
        self.output.on("playback_started", self.started.append)
        self._following = asyncio.create_task(self._follow())

    async def _follow(self) -> None:
        async for event in self.ours.events():
            if isinstance(event, PlayoutStarted):
                self.output.playout_started(event)
            elif isinstance(event, PlayoutEnded):
                self.output.playout_ended(event)
        self.output.close()

    async def heard(self) -> np.ndarray:
        """Which samples arrived loud at the far end."""
        await asyncio.sleep(0.1)  # the last packet is on its way
        result = await self.far.close()
        return g711.decode(result.recording.agent, "PCMU") > 1000


@pytest.fixture
async def ends() -> AsyncIterator[Ends]:
    async with PyMediaEngine() as engine:
        ours, far = await engine.open(live=True), await engine.open()
        await ours.start(MediaParameters(remote=far.local))
        await far.start(MediaParameters(remote=ours.local))
        yield Ends(ours, far)


async def test_a_segment_plays_to_its_end(ends: Ends):
    await ends.output.capture_frame(_frame(_TONE[:4000]))
    ends.output.flush()
    played = await asyncio.wait_for(ends.output.wait_for_playout(), 3)
    assert (played.playback_position, played.interrupted) == (0.5, False)
    assert len(ends.started) == len(ends.finished) == 1
    assert (await ends.heard()).sum() == 4000


async def test_an_interruption_stops_the_port_and_tells_how_much_was_played(ends: Ends):
    await ends.output.capture_frame(_frame(_TONE))
    ends.output.flush()
    await asyncio.sleep(0.3)
    ends.output.clear_buffer()
    played = await asyncio.wait_for(ends.output.wait_for_playout(), 1)
    await asyncio.sleep(0.2)
    assert played.interrupted
    assert 0.2 <= played.playback_position <= 0.4
    assert (await ends.heard()).sum() == round(played.playback_position * 8000)


async def test_a_pause_keeps_what_was_not_played(ends: Ends):
    await ends.output.capture_frame(_frame(_TONE[:4000]))
    await asyncio.sleep(0.2)
    ends.output.pause()
    await ends.output.capture_frame(_frame(_TONE[4000:]))
    ends.output.flush()
    await asyncio.sleep(0.3)
    assert not ends.finished
    ends.output.resume()
    played = await asyncio.wait_for(ends.output.wait_for_playout(), 3)
    assert (played.playback_position, played.interrupted) == (1.0, False)
    loud = await ends.heard()
    assert loud.sum() == 8000
    first, last = np.flatnonzero(loud)[[0, -1]]
    assert (~loud[first:last]).sum() >= 1600


async def test_a_pause_and_an_immediate_resume_lose_nothing(ends: Ends):
    await ends.output.capture_frame(_frame(_TONE))
    ends.output.flush()
    await asyncio.sleep(0.1)
    ends.output.pause()
    ends.output.resume()
    played = await asyncio.wait_for(ends.output.wait_for_playout(), 3)
    assert (played.playback_position, played.interrupted) == (1.0, False)
    assert (await ends.heard()).sum() == 8000


async def test_an_interruption_during_a_pause_ends_the_segment(ends: Ends):
    await ends.output.capture_frame(_frame(_TONE))
    ends.output.flush()
    await asyncio.sleep(0.2)
    ends.output.pause()
    await asyncio.sleep(0.1)
    ends.output.clear_buffer()
    played = await asyncio.wait_for(ends.output.wait_for_playout(), 1)
    assert played.interrupted
    assert 0.1 <= played.playback_position <= 0.3
    ends.output.resume()
    await ends.output.capture_frame(_frame(_TONE[:1600]))
    ends.output.flush()
    following = await asyncio.wait_for(ends.output.wait_for_playout(), 2)
    assert (following.playback_position, following.interrupted) == (0.2, False)


async def test_a_stream_that_is_closed_leaves_nobody_waiting(ends: Ends):
    await ends.output.capture_frame(_frame(_TONE))
    ends.output.flush()
    await ends.ours.close()
    played = await asyncio.wait_for(ends.output.wait_for_playout(), 2)
    assert played.interrupted
    async with asyncio.timeout(2):
        async for _ in ends.input:
            pass


async def test_the_callers_voice_comes_in_frames(ends: Ends):
    ends.far.play(g711.encode(_TONE[:1600], "PCMU"))
    loud = 0
    async with asyncio.timeout(3):
        while loud < 8:
            frame = await anext(ends.input)
            assert (frame.sample_rate, frame.samples_per_channel) == (8000, 160)
            loud += np.abs(np.frombuffer(frame.data, np.int16)).max() > 1000
