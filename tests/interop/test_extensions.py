"""Session timers, late offers in reliable responses, and attended transfers with SIPp in each of the three roles."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncGenerator
from typing import Literal

import pytest
import pytest_asyncio

from tuner_sipbridge.agents.echo import echo
from tuner_sipbridge.agents.line import Line
from tuner_sipbridge.answered_line import AnsweredLine
from tuner_sipbridge.answerer import Answerer
from tuner_sipbridge.call.events import Answered, CallEvent, EarlyMedia, Ended
from tuner_sipbridge.call.extensions import Extensions
from tuner_sipbridge.caller.scenario import Scenario
from tuner_sipbridge.dialer.answered_call import AnsweredCall
from tuner_sipbridge.dialer.dialer import Dialer
from tuner_sipbridge.net.media_engine import PyMediaEngine
from tuner_sipbridge.sip.message import Message
from tuner_sipbridge.sip.replaces import Replaces
from tuner_sipbridge.sip.routing import Hop

from .peers.sipp import Sipp

pytestmark = pytest.mark.asyncio(loop_scope="module")

Transport = Literal["udp", "tcp"]
ALONE = Extensions(session_interval_s=90, refresher="us")
PAUSE = Scenario.model_validate({"name": "pause", "persona": {"voice": "tone"}, "steps": [{"pause_s": 0.5}]})

WAIT = Scenario.model_validate({"name": "wait", "persona": {"voice": "tone"}, "steps": [{"pause_s": 0.8}]})


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def engine() -> AsyncGenerator[PyMediaEngine]:
    """The media of all calls of this file."""
    async with PyMediaEngine() as started:
        yield started


async def patient(line: Line) -> None:
    """An agent that says nothing until the caller hangs up."""
    await line.ended()


async def hung_up(call: AnsweredCall) -> None:
    call.hang_up()
    await call.ended()


async def succeeded(process: asyncio.subprocess.Process) -> bool:
    async with asyncio.timeout(10):
        return await process.wait() == 0


@pytest.mark.parametrize("transport", ["udp", "tcp"])
async def test_an_agent_without_session_timer_is_refreshed_by_our_caller(
    sipp: Sipp, engine: PyMediaEngine, transport: Transport
):
    async with (
        sipp.playing("agent_without_timer", transport) as (uri, process),
        Dialer(engine=engine, extensions=ALONE) as dialer,
    ):
        async with dialer.dial(uri) as call:
            call.refresh()
            await call.play(PAUSE)
        assert await succeeded(process)


@pytest.mark.parametrize("transport", ["udp", "tcp"])
async def test_a_caller_without_session_timer_is_told_of_ours(
    sipp: Sipp, engine: PyMediaEngine, transport: Transport
):
    async with Answerer(patient, port=0, engine=engine, extensions=ALONE) as answerer:
        await sipp.play("caller_without_timer", "{}:{}".format(*answerer.local), transport=transport)
        assert answerer.calls_served == 1


@pytest.mark.parametrize("transport", ["udp", "tcp"])
async def test_an_offer_in_a_reliable_response_is_answered_in_the_prack(
    sipp: Sipp, engine: PyMediaEngine, transport: Transport
):
    async with (
        sipp.playing("prack_answers", transport) as (uri, process),
        Dialer(engine=engine, late_offer=True) as dialer,
    ):
        run = await dialer.run(uri, PAUSE)
        assert await succeeded(process)
    assert run.outcome.kind == "success", run.outcome.detail


@pytest.mark.parametrize(
    "scenario", ["progress", "prack", "session_timer", "agent_hold", "redirect", "agent_info"]
)
async def test_what_the_agent_does_over_udp_it_does_over_tcp(
    sipp: Sipp, engine: PyMediaEngine, scenario: str
):
    """The same calls over UDP are in test_sipp.py, with what comes of them.

    Not the transfer that is declined: its two reports may come in one segment, and SIPp gives a call up when it gets a
    message while it has one to send.
    """
    async with sipp.playing(scenario, "tcp") as (uri, process), Dialer(engine=engine) as dialer:
        run = await dialer.run(uri, WAIT)
        assert await succeeded(process)
    assert {event.fields["transport"] for event in run.trace.of("sip.sent", "sip.received")} == {"tcp"}


class Early:
    """A reception that sends early media, and answers when the caller's answer to it came.

    Attributes:
        told: what happened, in order.
    """

    def __init__(self) -> None:
        self.told: list[CallEvent] = []
        self._news = asyncio.Event()

    async def __call__(self, line: AnsweredLine, answerer: Answerer) -> None:
        leg, machine = line.hand_over(self), line.machine
        media = await answerer.open_media(line)
        port = media.stream.local[1]
        leg.act(lambda now: machine.begin_media(now=now, address=media.address, port=port))
        await self._news.wait()
        leg.act(lambda now: machine.accept(now=now, address=media.address, port=port))
        await line.ended()
        await media.stream.close()

    def on_event(self, event: CallEvent, *, now: float) -> None:
        self.told.append(event)
        self._news.set()

    def on_message(self, message: Message, peer: Hop, *, sent: bool, now: float) -> None:
        pass


@pytest.mark.parametrize("transport", ["udp", "tcp"])
async def test_our_offer_in_a_reliable_response_is_answered_in_the_prack(
    sipp: Sipp, engine: PyMediaEngine, transport: Transport
):
    reception = Early()
    async with Answerer(reception=reception, port=0, engine=engine) as answerer:
        await sipp.play("caller_late_reliable", "{}:{}".format(*answerer.local), transport=transport)
    assert [type(event) for event in reception.told] == [EarlyMedia, Answered, Ended]


async def test_an_agent_puts_our_caller_in_the_place_of_its_call_with_the_desk(
    sipp: Sipp, engine: PyMediaEngine
):
    async with (
        sipp.playing("replaced") as (desk, desk_process),
        sipp.playing("agent_refer_attended", options=("-key", "desk_port", desk.rpartition(":")[2])) as (
            agent,
            agent_process,
        ),
        Dialer(engine=engine, transfers="follow") as dialer,
    ):
        run = await dialer.run(agent, PAUSE)
        assert await succeeded(agent_process)
        assert await succeeded(desk_process)
    assert run.outcome.kind == "success", run.outcome.detail
    [asked] = run.trace.of("call.transfer_requested")
    assert asked.fields["attended"]
    assert run.trace.first("call.transferred") is not None


async def test_our_caller_puts_an_agent_in_the_place_of_its_call_with_the_desk(
    sipp: Sipp, engine: PyMediaEngine
):
    """What the agent reads in Refer-To leads its new call to the place of ours, at the desk's side."""
    async with (
        Answerer(echo, port=0, engine=engine) as desk,
        sipp.playing("transferee") as (agent, process),
        Dialer(engine=engine) as dialer,
        dialer.dial(desk.uri) as consulted,
    ):
        assert consulted.as_replaced is not None
        target, replaces = consulted.as_replaced
        async with dialer.dial(agent) as call:
            assert await call.transfer(replaces=consulted) == 200
            await hung_up(call)
        assert await succeeded(process)
        [refer_to] = set(re.findall(r"Refer-To: <(.*)>", sipp.messages("transferee")))
        assert refer_to.startswith(f"{target}?")
        escaped = re.findall(r"Replaces=([^&]*)", refer_to)[0]
        taken = re.sub("%([0-9A-F]{2})", lambda digits: chr(int(digits[1], 16)), escaped)
        assert Replaces.parse(taken) == replaces
        await sipp.play("caller_replacing", "{}:{}".format(*desk.local), "-key", "replaces", taken)
        async with asyncio.timeout(2):
            await consulted.ended()
        assert desk.calls_served == 1
