"""Transfers on loopback: our caller is transferred by an agent, transfers it, and calls take the place of others."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator

import pytest
import pytest_asyncio

from tuner_sipbridge import CallError, CallRejected, Dialer, LocalProtocolError, Scenario
from tuner_sipbridge.agents.echo import echo
from tuner_sipbridge.agents.line import Line
from tuner_sipbridge.answered_line import AnsweredLine
from tuner_sipbridge.answerer import Answerer
from tuner_sipbridge.call.events import Answered, CallEvent, Ended, TransferProgress
from tuner_sipbridge.dialer.answered_call import AnsweredCall
from tuner_sipbridge.dialer.run import CallRun
from tuner_sipbridge.net.media_engine import PyMediaEngine
from tuner_sipbridge.sip.message import Message
from tuner_sipbridge.sip.replaces import Replaces
from tuner_sipbridge.sip.routing import Hop
from tuner_sipbridge.sip.uri import Uri

pytestmark = pytest.mark.asyncio(loop_scope="module")

TALK = Scenario.model_validate(
    {
        "name": "talk",
        "persona": {"voice": "tone"},
        "steps": [{"say": "one"}, {"pause_s": 0.1}, {"say": "two"}, {"pause_s": 0.2}],
    }
)


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def engine() -> AsyncGenerator[PyMediaEngine]:
    """The media of all calls of this file."""
    async with PyMediaEngine() as started:
        yield started


class Operator:
    """A reception that answers, says nothing, and transfers the caller at once.

    Attributes:
        progress: status of each report, in order.
    """

    def __init__(self, target: Uri, replaces: Replaces | None = None, *, leaves_at: int = 200) -> None:
        self._target, self._replaces, self._leaves_at = target, replaces, leaves_at
        self.progress: list[int] = []
        self._events = asyncio.Queue[CallEvent]()

    async def __call__(self, line: AnsweredLine, answerer: Answerer) -> None:
        leg, machine = line.hand_over(self), line.machine
        media = await answerer.open_media(line)
        port = media.stream.local[1]
        leg.act(lambda now: machine.accept(now=now, address=media.address, port=port))
        while not isinstance(event := await self._events.get(), Ended):
            if isinstance(event, Answered):
                leg.act(lambda now: machine.transfer(self._target, now=now, replaces=self._replaces))
            elif isinstance(event, TransferProgress):
                self.progress.append(event.status)
                if event.status == self._leaves_at:
                    leg.act(lambda now: machine.hang_up(now=now))
        await media.stream.close()

    def on_event(self, event: CallEvent, *, now: float) -> None:
        self._events.put_nowait(event)

    def on_message(self, message: Message, peer: Hop, *, sent: bool, now: float) -> None:
        pass


async def call_through(operator: Operator, engine: PyMediaEngine) -> CallRun:
    async with (
        Answerer(reception=operator, port=0, engine=engine) as answerer,
        Dialer(engine=engine, transfers="follow") as dialer,
    ):
        return await dialer.run(answerer.uri, TALK, correlation_id="c" * 32, headers={"X-Probe": "yes"})


def first_lines(run: CallRun, kind: str, method: str) -> int:
    return sum(event.fields["summary"].startswith(method) for event in run.trace.of(kind))


@pytest.mark.parametrize("leaves_at", [200, 100, 0], ids=["after the answer", "before the answer", "never"])
async def test_the_scenario_goes_on_with_the_party_that_the_agent_transfers_to(
    engine: PyMediaEngine, leaves_at: int
):
    seen: list[tuple[str, str]] = []

    async def desk_agent(line: Line) -> None:
        seen.append((line.headers["x-correlation-id"], line.headers["referred-by"]))
        await echo(line)

    async with Answerer(desk_agent, port=0, engine=engine) as desk:
        operator = Operator(Uri.parse(desk.uri), leaves_at=leaves_at)
        run = await call_through(operator, engine)
    assert run.outcome.kind == "success", run.outcome.detail
    [(correlation, by)] = seen
    assert correlation == "c" * 32
    assert by.startswith("<sip:agent@")
    [moved] = run.trace.of("call.transferred")
    assert moved.fields["target"] == desk.uri
    assert moved.fields["sip_call_id"] != run.sip_call_id
    # The operator says nothing: whom the caller hears is the desk.
    assert any(event.at > moved.at for event in run.trace.of("agent.speech_started"))
    assert [event.fields["by"] for event in run.trace.of("call.ended")] == ["caller"]
    # Who transfers ends its call itself; ours goes only to one that does not.
    assert first_lines(run, "sip.sent", "BYE ") == (2 if leaves_at == 0 else 1)
    if leaves_at != 100:
        assert operator.progress[0] == 100
        assert operator.progress[-1] == 200


async def test_a_transfer_that_fails_leaves_the_caller_with_the_agent(engine: PyMediaEngine):
    async with Answerer(echo, port=0, pick="busy", engine=engine) as desk:
        operator = Operator(Uri.parse(desk.uri))
        run = await call_through(operator, engine)
    assert run.outcome.kind == "success", run.outcome.detail
    assert operator.progress == [100, 486]
    assert run.trace.first("call.transferred") is None


async def test_an_agent_that_left_before_its_transfer_failed_has_hung_up(engine: PyMediaEngine):
    async with Answerer(echo, port=0, pick="busy", engine=engine) as desk:
        run = await call_through(Operator(Uri.parse(desk.uri), leaves_at=100), engine)
    assert run.outcome.kind == "agent_error"
    assert [event.fields["by"] for event in run.trace.of("call.ended")] == ["agent"]


async def test_a_caller_that_hangs_up_gives_the_transfer_up(engine: PyMediaEngine):
    async with Answerer(echo, port=0, pick="ring", engine=engine) as desk:
        operator = Operator(Uri.parse(desk.uri))
        run = await call_through(operator, engine)
    assert run.outcome.kind == "success", run.outcome.detail
    assert first_lines(run, "sip.sent", "CANCEL ") == 1


async def test_an_attended_transfer_puts_the_caller_in_the_place_of_the_agents_own_call(
    engine: PyMediaEngine,
):
    async with (
        Answerer(echo, port=0, engine=engine) as desk,
        Dialer(engine=engine) as own,
        own.dial(desk.uri) as consulted,
    ):
        assert consulted.as_replaced is not None
        operator = Operator(*consulted.as_replaced)
        run = await call_through(operator, engine)
        async with asyncio.timeout(2):
            await consulted.ended()
        assert desk.calls_served == 1  # one agent for both calls
    assert run.outcome.kind == "success", run.outcome.detail
    [asked] = run.trace.of("call.transfer_requested")
    assert asked.fields["attended"]
    [moved] = run.trace.of("call.transferred")
    assert any(event.at > moved.at for event in run.trace.of("agent.speech_started"))


async def test_a_call_is_replaced_only_when_it_stands_and_may_be(engine: PyMediaEngine):
    async with (
        Answerer(echo, port=0, engine=engine) as desk,
        Dialer(engine=engine) as dialer,
        dialer.dial(desk.uri) as standing,
    ):
        assert standing.as_replaced is not None
        _, replaces = standing.as_replaced

        async def status(value: str) -> int:
            with pytest.raises(CallRejected) as refused:
                async with dialer.dial(desk.uri, headers={"Replaces": value}):
                    pass
            return refused.value.status

        assert await status("nobody@nowhere;to-tag=a;from-tag=b") == 481
        assert await status(f"{replaces.call_id};to-tag=a;from-tag={replaces.from_tag}") == 481
        assert await status(f"{replaces};early-only") == 486
        async with dialer.dial(desk.uri, headers={"Replaces": str(replaces)}) as second:
            await standing.ended()
            again = second.as_replaced
            assert again is not None
            async with dialer.dial(desk.uri, headers={"Replaces": str(again[1])}):
                await second.ended()
        assert desk.calls_served == 1


async def test_an_agent_is_asked_to_transfer_and_what_it_says_is_told(engine: PyMediaEngine):
    async with Answerer(echo, port=0, engine=engine) as agent, Dialer(engine=engine) as dialer:
        async with dialer.dial(agent.uri) as call:
            assert await call.transfer("sip:desk@127.0.0.1:9") == 603
            with pytest.raises(LocalProtocolError, match="target"):
                await call.transfer()
            with pytest.raises(LocalProtocolError, match="SIP URI"):
                await call.transfer("tel:+15550100")
            await hung_up(call)
            with pytest.raises(CallError, match="stands"):
                await call.transfer("sip:desk@127.0.0.1:9")


async def hung_up(call: AnsweredCall) -> None:
    call.hang_up()
    await call.ended()
