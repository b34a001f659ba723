"""Our two ends against baresip: each transport, SRTP, hold and resumption."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from pathlib import Path

import numpy as np
import pytest
import pytest_asyncio

from tuner_sipbridge.agents.line import Line
from tuner_sipbridge.answerer import Answerer
from tuner_sipbridge.audio import g711
from tuner_sipbridge.caller.scenario import Scenario
from tuner_sipbridge.dialer.dialer import Dialer
from tuner_sipbridge.dialer.run import CallRun
from tuner_sipbridge.net.media_engine import PyMediaEngine
from tuner_sipbridge.net.tls import TlsSettings
from tuner_sipbridge.sdp.crypto import SrtpPolicy

from ..certificates import Authority
from .peers.baresip import TONE, Baresip
from .peers.ports import Transport

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def engine() -> AsyncGenerator[PyMediaEngine]:
    """The media of all calls of this file."""
    async with PyMediaEngine() as started:
        yield started


@pytest.fixture
def baresip(tmp_path: Path) -> Baresip:
    return Baresip(tmp_path)


def beep(*steps: dict[str, object] | str) -> Scenario:
    return Scenario.model_validate({"name": "beep", "persona": {"voice": "tone"}, "steps": list(steps)})


BEEP = beep({"say": "one"}, {"pause_s": 0.4})


def received(run: CallRun) -> list[str]:
    return [event.fields["message"] for event in run.trace.of("sip.received")]


def loudest(run: CallRun, *, since: float = 0.0) -> int:
    """The largest sample that came from the far end after `since`, a fraction of the recording."""
    assert run.recording is not None
    heard = g711.decode(run.recording.agent, run.recording.codec)
    return int(np.abs(heard[int(len(heard) * since) :]).max())


@pytest.mark.parametrize(
    ("transport", "user", "srtp"),
    [
        ("udp", "plain", "off"),
        ("udp", "either", "optional"),
        ("tcp", "plain", "optional"),
        ("tls", "strict", "required"),
    ],
)
async def test_baresip_answers(
    baresip: Baresip,
    authority: Authority,
    engine: PyMediaEngine,
    transport: Transport,
    user: str,
    srtp: SrtpPolicy,
):
    tls = TlsSettings(ca_file=authority.file)
    async with baresip.running(authority), Dialer(engine=engine, tls=tls, srtp=srtp) as dialer:
        run = await dialer.run(baresip.uri(user, transport), BEEP)
    assert run.outcome.passed, run.outcome.detail
    assert {event.fields["transport"] for event in run.trace.of("sip.sent", "sip.received")} == {transport}
    assert run.statistics.received > 10
    assert loudest(run) > 1000
    [answer] = [message for message in received(run) if "\r\nm=audio" in message]
    assert ("\r\na=crypto:" in answer) == (user != "plain")
    started = run.trace.first("media.started")
    assert started is not None
    assert started.fields["srtp"] == ("" if user == "plain" else "AES_CM_128_HMAC_SHA1_80")
    assert run.statistics.unauthenticated == 0


async def test_hold_and_resume_under_srtp(baresip: Baresip, authority: Authority, engine: PyMediaEngine):
    async def hold_and_resume() -> None:
        await baresip.event("CALL_ESTABLISHED")
        await asyncio.sleep(0.4)
        await baresip.select("strict")
        await baresip.command("hold")
        await asyncio.sleep(0.3)
        await baresip.command("resume")

    async with baresip.running(authority, TONE), Dialer(engine=engine, srtp="required") as dialer:
        changing = asyncio.ensure_future(hold_and_resume())
        run = await dialer.run(baresip.uri("strict"), beep({"say": "one"}, {"pause_s": 1.0}))
        await changing
    assert run.outcome.passed, run.outcome.detail
    offers = [message for message in received(run) if message.startswith("INVITE ")]
    sent = [event.fields["message"] for event in run.trace.of("sip.sent")]
    answers = [message for message in sent if message.startswith("SIP/2.0 200") and "m=audio" in message]
    assert ["a=sendonly" in offer for offer in offers] == [True, False]
    assert ["a=recvonly" in answer for answer in answers] == [True, False]
    assert all("RTP/SAVP" in answer and "a=crypto:1 " in answer for answer in answers)
    # What came after the resumption was read with the right keys: a tone, no noise.
    assert 2000 < loudest(run, since=0.85) < 32000
    assert run.statistics.unauthenticated == 0


@pytest.mark.parametrize(
    ("transport", "user", "srtp"),
    [
        ("udp", "plain", "off"),
        ("udp", "either", "required"),
        ("tcp", "plain", "optional"),
        ("tls", "strict", "optional"),
    ],
)
async def test_baresip_calls(
    baresip: Baresip,
    authority: Authority,
    engine: PyMediaEngine,
    transport: Transport,
    user: str,
    srtp: SrtpPolicy,
):
    issued = authority.issue("127.0.0.1")
    tls = TlsSettings(certificate=issued.certificate, key=issued.key)
    heard = asyncio.Event()

    async def agent(line: Line) -> None:
        line.stream.play(bytes(range(256)) * 8, mark="some sound")
        async for frame in line.stream.frames():
            if len(set(frame)) > 2:
                heard.set()
                return

    async with (
        Answerer(agent, port=0, transport=transport, tls=tls, engine=engine, srtp=srtp) as answerer,
        baresip.running(authority, TONE),
    ):
        await baresip.dial(user, answerer.uri)
        await baresip.event("CALL_ESTABLISHED")
        async with asyncio.timeout(5):
            await heard.wait()
        await baresip.event("CALL_CLOSED")
    assert answerer.calls_served == 1
