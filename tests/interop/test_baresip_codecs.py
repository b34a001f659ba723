"""Opus and G.722 against baresip: what each end says is what the other hears, keys, TLS, SRTP and hold."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from pathlib import Path

import numpy as np
import pytest
import pytest_asyncio
from numpy.typing import NDArray

from tuner_sipbridge.agents.line import Line
from tuner_sipbridge.answerer import Answerer
from tuner_sipbridge.audio import g711
from tuner_sipbridge.caller.scenario import Scenario
from tuner_sipbridge.caller.tone import tone
from tuner_sipbridge.dialer.dialer import Dialer
from tuner_sipbridge.dialer.run import CallRun
from tuner_sipbridge.net.media_engine import PyMediaEngine
from tuner_sipbridge.net.tls import TlsSettings

from ..certificates import Authority
from .peers.baresip import TONE, Baresip

pytestmark = pytest.mark.asyncio(loop_scope="module")

TONE_HZ = 440
OPUS_RATE, G722_RATE = 48000, 16000
"""At what baresip decodes."""


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def engine() -> AsyncGenerator[PyMediaEngine]:
    """The media of all calls of this file."""
    async with PyMediaEngine(codecs=("opus", "G722")) as started:
        yield started


@pytest.fixture
def baresip(tmp_path: Path) -> Baresip:
    return Baresip(tmp_path)


def beep(*steps: dict[str, object] | str) -> Scenario:
    return Scenario.model_validate({"name": "beep", "persona": {"voice": "tone"}, "steps": list(steps)})


def strongest(samples: NDArray[np.int16], rate: int = g711.SAMPLE_RATE) -> float:
    """The frequency in which most of the power lies, in Hz."""
    return float(np.abs(np.fft.rfft(samples)).argmax() * rate / len(samples))


def sides(run: CallRun) -> tuple[NDArray[np.int16], NDArray[np.int16]]:
    assert run.recording is not None
    caller, agent = (
        g711.decode(side, run.recording.codec) for side in (run.recording.caller, run.recording.agent)
    )
    return caller, agent


def assert_clean(run: CallRun, codec: str) -> None:
    """It ended well, in this codec, and the packets came in the time that their timestamps say."""
    assert run.outcome.passed, run.outcome.detail
    started = run.trace.first("media.started")
    assert started is not None
    assert started.fields["codec"] == codec
    assert (run.statistics.lost, run.statistics.discarded, run.statistics.unauthenticated) == (0, 0, 0)
    assert run.statistics.jitter_s is not None
    assert run.statistics.jitter_s < 0.05


@pytest.mark.parametrize(("codec", "rate"), [("opus", OPUS_RATE), ("G722", G722_RATE)])
async def test_each_end_hears_the_tone_and_the_keys_of_the_other(
    baresip: Baresip, authority: Authority, engine: PyMediaEngine, codec: str, rate: int
):
    async with (
        baresip.running(authority, TONE),
        Dialer(engine=engine, codecs=(codec, "PCMU")) as dialer,
    ):
        run = await dialer.run(baresip.uri("plain"), beep({"say": "one"}, {"dtmf": "4#"}, {"pause_s": 0.3}))
        keys = [(await baresip.event("CALL_DTMF_START"))["param"] for _ in "4#"]
    assert_clean(run, codec)
    caller, agent = sides(run)
    assert strongest(agent[1600:]) == pytest.approx(TONE_HZ, abs=2)
    assert strongest(baresip.heard(), rate) == pytest.approx(strongest(caller), abs=2)
    assert keys == ["4", "#"]


async def test_opus_over_tls_and_srtp_is_held_and_resumed(
    baresip: Baresip, authority: Authority, engine: PyMediaEngine
):
    async def hold_and_resume() -> None:
        await baresip.event("CALL_ESTABLISHED")
        await asyncio.sleep(0.4)
        await baresip.select("strict")
        await baresip.command("hold")
        await asyncio.sleep(0.3)
        await baresip.command("resume")

    tls = TlsSettings(ca_file=authority.file)
    async with (
        baresip.running(authority, TONE),
        Dialer(engine=engine, tls=tls, srtp="required", codecs=("opus",)) as dialer,
    ):
        changing = asyncio.ensure_future(hold_and_resume())
        run = await dialer.run(baresip.uri("strict", "tls"), beep({"say": "one"}, {"pause_s": 1.0}))
        await changing
    assert_clean(run, "opus")
    assert {event.fields["transport"] for event in run.trace.of("sip.sent", "sip.received")} == {"tls"}
    changes = [(event.fields["send"], event.fields["codec"]) for event in run.trace.of("call.renegotiated")]
    assert changes == [(False, "opus"), (True, "opus")]
    _, agent = sides(run)
    assert strongest(agent[-2400:]) == pytest.approx(TONE_HZ, abs=4)


@pytest.mark.parametrize(("user", "rate"), [("opus", OPUS_RATE), ("g722", G722_RATE)])
async def test_a_call_of_baresip_is_answered_in_its_codec(
    baresip: Baresip, authority: Authority, engine: PyMediaEngine, user: str, rate: int
):
    heard: list[bytes] = []

    async def agent(line: Line) -> None:
        line.stream.play(g711.encode(tone(700, 1.0), "PCMU"), mark="tone")
        async for frame in line.stream.frames():
            heard.append(frame)
            if len(heard) == 45:
                return

    async with (
        Answerer(agent, port=0, engine=engine, codecs=("PCMU", "G722", "opus")) as answerer,
        baresip.running(authority, TONE),
    ):
        await baresip.dial(user, answerer.uri)
        await baresip.event("CALL_CLOSED")
    listened = g711.decode(b"".join(heard[-25:]), "PCMU")
    assert strongest(listened) == pytest.approx(TONE_HZ, abs=4)
    assert strongest(baresip.heard(), rate) == pytest.approx(700, abs=4)
