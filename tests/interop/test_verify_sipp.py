"""Verifying a URI behind which SIPp plays what edges do: the verdict, and what it says to change."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from pathlib import Path

import pytest
import pytest_asyncio

from tuner_sipbridge.net.media_engine import PyMediaEngine
from tuner_sipbridge.providers import find_provider
from tuner_sipbridge.verify.facts import Step, StepName
from tuner_sipbridge.verify.run import Access, Verification, verify

from .peers.script import script
from .peers.sipp import Sipp

pytestmark = pytest.mark.asyncio(loop_scope="module")

LISTEN_S = 0.3
IMPATIENT = Access(next_target_after_s=0.5)


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def engine() -> AsyncGenerator[PyMediaEngine]:
    """The media of all calls of this file."""
    async with PyMediaEngine() as started:
        yield started


def step(result: Verification, name: StepName) -> Step:
    return next(one for one in result.steps if one.name == name)


class Edge:
    """SIPp behind a URI, and the verdicts on it."""

    def __init__(self, sipp: Sipp, folder: Path, engine: PyMediaEngine) -> None:
        self._sipp, self._folder, self._engine = sipp, folder, engine

    async def judged(
        self,
        steps: Sequence[str],
        access: Access = IMPATIENT,
        *,
        options: Sequence[str] = (),
        echo: bool = False,
        ends: bool = True,
    ) -> Verification:
        """Verify SIPp; `ends`: it sees all that it waits for."""
        file = script(self._folder, steps, options=options)
        async with self._sipp.playing(str(file), calls=2, echo=echo) as (uri, process):
            result = await verify(uri, access, listen_s=LISTEN_S, engine=self._engine)
            if ends:
                async with asyncio.timeout(5):
                    assert await process.wait() == 0, self._sipp.messages("far_end")
        return result


@pytest.fixture
def edge(sipp: Sipp, tmp_path: Path, engine: PyMediaEngine) -> Edge:
    return Edge(sipp, tmp_path, engine)


@pytest.mark.parametrize(
    ("status", "provider", "words", "change"),
    [
        ("486 Busy Here", None, "the far end is busy", "allow more calls at once"),
        ("603 Decline", "freeswitch", "the far end declined the call", "look for hangup or respond"),
        ("488 Not Acceptable Here", "asterisk", "codecs or transport do not suit it", "allow ulaw or alaw"),
    ],
)
async def test_a_refusal_is_told_with_what_to_change(
    edge: Edge, status: str, provider: str | None, words: str, change: str
) -> None:
    known = find_provider(provider) if provider else None
    result = await edge.judged([status, "ACK"], Access(provider=known))
    assert result.named("failed") == ["answer"], result.steps
    refused = step(result, "answer")
    assert refused.detail.startswith(f"{status}: ")
    assert words in refused.detail
    assert change in refused.change
    assert step(result, "options").detail.endswith("by SIPp")


async def test_slow_ringing_and_an_echo(edge: Edge) -> None:
    result = await edge.judged(
        ["100 Trying", "ms 300", "180 Ringing", "ms 600", "200 OK", "ACK", "BYE answered"], echo=True
    )
    assert result.passed, result.steps
    assert "after ringing for 60" in step(result, "answer").detail
    assert step(result, "media_in").verdict == "ok"


async def test_audio_one_way_only(edge: Edge) -> None:
    """Once it hears and says nothing, once it speaks; both without telephone-events."""
    mute = await edge.judged(["200 OK -keys", "ACK", "BYE answered"])
    assert mute.named("failed") == ["media_in"], mute.steps
    assert "the caller does not hear the agent" in step(mute, "media_in").detail
    assert "sends audio before it is spoken to" in step(mute, "media_in").change
    assert step(mute, "media_out").verdict == "ok"
    assert "no key can be sent" in step(mute, "dtmf").detail
    assert "allow telephone-event (RFC 4733)" in step(mute, "dtmf").change


async def test_an_agent_that_speaks(edge: Edge) -> None:
    result = await edge.judged(["200 OK +tone", "ACK", "tone", "BYE answered"])
    assert result.passed, result.steps
    assert "sound from" in step(result, "media_in").detail


async def test_a_call_that_the_agent_ends_early(edge: Edge) -> None:
    result = await edge.judged(["200 OK", "ACK", "ms 50", "BYE sent"], echo=True)
    assert result.named("failed") == ["bye"], result.steps
    ended = step(result, "bye")
    assert "before we were done (normal call clearing: flow ended" in ended.detail
    assert "agent's log" in ended.change


async def test_a_bye_that_nobody_answers(edge: Edge) -> None:
    result = await edge.judged(["200 OK", "ACK", "BYE", "ms 6000"], echo=True, ends=False)
    assert result.named("failed") == ["bye"], result.steps
    assert "may hold the call, and bill it" in step(result, "bye").detail
    assert "answers BYE with 200" in step(result, "bye").change


async def test_the_probe_of_a_silent_port_does_not_disturb_it(edge: Edge, sipp: Sipp) -> None:
    """OPTIONS gets no answer for longer than T1: the keep-alive that asks for ICMP is nothing to SIPp."""
    result = await edge.judged(["200 OK", "ACK", "BYE answered"], options=["ms 700"], echo=True)
    assert result.passed, result.steps
    assert step(result, "options").detail.startswith("200 OK in 7")
    assert sipp.complaints("far_end") == ""
