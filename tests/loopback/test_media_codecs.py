"""Opus and G.722 between two streams of the engine: live, recorded, protected, and changed in mid-call."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator

import numpy as np
import pytest
import pytest_asyncio

from tuner_sipbridge.audio import g711
from tuner_sipbridge.audio.codecs import Codec
from tuner_sipbridge.caller.tone import tone
from tuner_sipbridge.media.engine import MediaParameters, MediaStream
from tuner_sipbridge.net.media_engine import PyMediaEngine
from tuner_sipbridge.sdp.codecs import CODECS
from tuner_sipbridge.sdp.crypto import SrtpKeys

pytestmark = pytest.mark.asyncio(loop_scope="module")

OURS, THEIRS = bytes(range(30)), bytes(range(100, 130))
SUITE = "AES_CM_128_HMAC_SHA1_80"


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def engine() -> AsyncGenerator[PyMediaEngine]:
    async with PyMediaEngine(codecs=("opus", "G722")) as running:
        yield running


def parameters(codec: Codec, there: MediaStream, send: bytes, receive: bytes) -> MediaParameters:
    return MediaParameters(
        remote=there.local,
        codec=codec,
        payload_type=CODECS[codec].payload_type,
        telephone_event=101,
        event_clock_rate=CODECS[codec].clock_rate,
        srtp=SrtpKeys(SUITE, send, receive),
    )


async def agree(codec: Codec, one: MediaStream, other: MediaStream) -> None:
    await other.start(parameters(codec, one, THEIRS, OURS))
    await one.start(parameters(codec, other, OURS, THEIRS))


async def test_a_call_that_changes_its_codec_is_heard_throughout(engine: PyMediaEngine):
    one, other = await engine.open(), await engine.open(live=True)
    kinds: tuple[Codec, ...] = ("opus", "PCMA", "G722", "opus")
    heard: list[bytes] = []
    frames = other.frames()
    one.play(g711.encode(tone(700, 3.0), "PCMU"), mark="tone")
    for codec in kinds:
        await agree(codec, one, other)
        coded = [await anext(frames) for _ in range(20)]
        heard.append(g711.decode(b"".join(coded[-10:]), "PCMA" if codec == "PCMA" else "PCMU").tobytes())
    sent, got = await asyncio.gather(one.close(), other.close())
    for codec, samples in zip(kinds, heard, strict=True):
        spectrum = np.abs(np.fft.rfft(np.frombuffer(samples, np.int16)))
        assert spectrum.argmax() * 8000 / 1600 == pytest.approx(700, abs=5), codec
    assert got.recording is not None
    agent = np.abs(g711.decode(got.recording.agent, got.recording.codec))
    blocks = [agent[at : at + 80].max() for at in range(1600, len(agent) - 800, 80)]
    quiet = np.array(blocks) < 500
    assert quiet.mean() < 0.1  # at a change some packets may find no place
    assert (got.statistics.lost, got.statistics.unauthenticated) == (0, 0)
    assert got.statistics.jitter_max_s is not None
    assert got.statistics.jitter_max_s < 0.05
    assert sent.statistics.sent >= 70


async def test_a_codec_whose_library_was_not_loaded_is_loaded_by_its_first_call():
    async with PyMediaEngine() as late:
        one, other = await late.open(), await late.open()
        await agree("opus", one, other)
        one.play(g711.encode(tone(700, 0.2), "PCMU"), mark="tone")
        await asyncio.sleep(0.3)
        assert (await other.close()).statistics.received > 5
