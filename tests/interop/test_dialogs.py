"""Changes of a standing call by and with independent programs: hold, refresh, reliable responses, transfer."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncGenerator, Callable
from pathlib import Path
from typing import Literal, TypeVar

import pytest
import pytest_asyncio

from tuner_sipbridge.agents.echo import echo
from tuner_sipbridge.agents.line import Line
from tuner_sipbridge.answerer import Answerer
from tuner_sipbridge.call.events import Answered, CallEvent, Ended, Renegotiated, TransferProgress
from tuner_sipbridge.call.ids import Credentials
from tuner_sipbridge.call.outbound import OutboundCall
from tuner_sipbridge.caller.scenario import Scenario
from tuner_sipbridge.dialer.dialer import Dialer
from tuner_sipbridge.dialer.run import CallRun
from tuner_sipbridge.net.driver import Leg, SipDriver
from tuner_sipbridge.net.ids import RandomIds, new_sip_call_id
from tuner_sipbridge.net.media_engine import PyMediaEngine
from tuner_sipbridge.net.tls import TlsSettings
from tuner_sipbridge.sdp.negotiation import make_offer
from tuner_sipbridge.sip.message import Message, Response
from tuner_sipbridge.sip.routing import Hop, transport_of
from tuner_sipbridge.sip.uri import Uri

from ..certificates import Authority
from .peers.baresip import Baresip
from .peers.kamailio import Kamailio
from .peers.sipp import Sipp

pytestmark = pytest.mark.asyncio(loop_scope="module")

LONG = Scenario.model_validate(
    {"name": "long", "persona": {"voice": "tone"}, "steps": [{"say": "one"}, {"pause_s": 1.0}]}
)
Event = TypeVar("Event", bound=CallEvent)


class Caller:
    """The caller's half of one call without its media, for what a scenario does not do."""

    def __init__(self, machine: OutboundCall) -> None:
        self._machine = machine
        self._events = asyncio.Queue[CallEvent]()
        self._leg: Leg[CallEvent] | None = None
        self._answer = asyncio.Event()
        self.answers: list[tuple[str, int]] = []
        """Method and status of each response."""

    @classmethod
    @contextlib.asynccontextmanager
    async def calling(cls, target: str, credentials: Credentials | None = None) -> AsyncGenerator[Caller]:
        """A call that was answered; hung up when left."""
        uri, driver = Uri.parse(target), SipDriver()
        await driver.open(host="127.0.0.1")
        with socket.socket(type=socket.SOCK_DGRAM) as media:
            media.bind(("127.0.0.1", 0))
            machine = OutboundCall(
                uri,
                local=driver.local,
                offer=make_offer(*media.getsockname(), session_id=1),
                sip_call_id=new_sip_call_id(),
                from_uri=Uri(scheme="sip", user="tuner", host="127.0.0.1", port=driver.local[1]),
                ids=RandomIds(),
                credentials=credentials,
                transport=transport_of(uri) or "udp",
            )
            caller = cls(machine)
            try:
                caller._leg = driver.add(machine, caller)
                caller.act(lambda call, now: call.start(now=now))
                await caller.told(Answered)
                yield caller
                caller.act(lambda call, now: call.hang_up(now=now))
                while ("BYE", 200) not in caller.answers:
                    await caller.answered()
            finally:
                await driver.close()

    def act(self, step: Callable[[OutboundCall, float], None]) -> None:
        assert self._leg is not None
        self._leg.act(lambda now: step(self._machine, now))

    async def told(self, kind: type[Event]) -> Event:
        """The next event of a kind."""
        async with asyncio.timeout(10):
            while True:
                event = await self._events.get()
                if isinstance(event, kind):
                    return event
                assert not isinstance(event, Ended), f"the call ended: {event.reason}"

    async def answered(self) -> None:
        """Wait for the next response."""
        self._answer.clear()
        async with asyncio.timeout(10):
            await self._answer.wait()

    def on_event(self, event: CallEvent, *, now: float) -> None:
        self._events.put_nowait(event)

    def on_message(self, message: Message, peer: Hop, *, sent: bool, now: float) -> None:
        if isinstance(message, Response) and not sent:
            self.answers.append((message.cseq.method, message.status))
            self._answer.set()


def sent(run: CallRun, method: str) -> list[str]:
    return [
        event.fields["message"]
        for event in run.trace.of("sip.sent")
        if event.fields["summary"].startswith(method)
    ]


def body(message: str) -> str:
    return message.rpartition("\r\n\r\n")[2]


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def engine() -> AsyncGenerator[PyMediaEngine]:
    """The media of all calls of this file."""
    async with PyMediaEngine() as started:
        yield started


async def patient(line: Line) -> None:
    """An agent that says nothing until the caller hangs up."""
    await line.ended()


@pytest.mark.parametrize("transport", ["udp", "tcp"])
@pytest.mark.parametrize("scenario", ["caller_reliable", "caller_changes"])
async def test_sipp_changes_a_call_with_our_answering_side(
    sipp: Sipp, engine: PyMediaEngine, scenario: str, transport: Literal["udp", "tcp"]
):
    async with Answerer(patient, port=0, engine=engine) as answerer:
        await sipp.play(scenario, "{}:{}".format(*answerer.local), transport=transport)
        assert answerer.calls_served == 1


@pytest.mark.parametrize("transport", ["tcp", "tls"])
async def test_baresip_holds_and_transfers_our_caller(
    tmp_path: Path, authority: Authority, engine: PyMediaEngine, transport: Literal["tcp", "tls"]
):
    """Over TLS it can do so only on the connection of the caller, which nobody can connect to."""
    baresip = Baresip(tmp_path)

    async def change_the_call() -> None:
        await baresip.event("CALL_ESTABLISHED")
        await baresip.command("hold")
        await asyncio.sleep(0.2)
        await baresip.command("resume")
        await asyncio.sleep(0.2)
        await baresip.command("transfer", "sip:desk@127.0.0.1:9")
        await baresip.event("TRANSFER_FAILED")

    async with baresip.running(authority):
        async with Dialer(engine=engine, tls=TlsSettings(ca_file=authority.file)) as dialer:
            changing = asyncio.ensure_future(change_the_call())
            run = await dialer.run(baresip.uri("plain", transport), LONG)
            await changing
    # After a transfer that failed baresip ends the call.
    assert run.outcome.kind == "agent_error"
    changes = [(event.fields["send"], event.fields["receive"]) for event in run.trace.of("call.renegotiated")]
    assert changes == [(False, True), (True, True)]
    [asked] = run.trace.of("call.transfer_requested")
    assert asked.fields["target"] == "sip:desk@127.0.0.1:9"
    assert [body(notify) for notify in sent(run, "NOTIFY ")] == [
        "SIP/2.0 100 Trying\r\n",
        "SIP/2.0 603 Decline\r\n",
    ]


async def test_baresip_is_held_and_transferred_to_our_answering_side(
    tmp_path: Path, authority: Authority, engine: PyMediaEngine
):
    baresip, reached = Baresip(tmp_path), asyncio.Event()

    async def pick_up(line: Line) -> None:
        reached.set()

    async with (
        Answerer(pick_up, port=0, transport="tcp", engine=engine) as desk,
        baresip.running(authority),
        Caller.calling(baresip.uri("plain")) as caller,
    ):
        caller.act(lambda call, now: call.hold(now=now))
        held = await caller.told(Renegotiated)
        caller.act(lambda call, now: call.resume(now=now))
        resumed = await caller.told(Renegotiated)
        caller.act(lambda call, now: call.transfer(Uri.parse(desk.uri), now=now))
        progress = [await caller.told(TransferProgress)]
        while not progress[-1].final:
            progress.append(await caller.told(TransferProgress))
        async with asyncio.timeout(5):
            await reached.wait()
    assert (held.negotiated.send, held.negotiated.receive) == (True, False)
    assert (resumed.negotiated.send, resumed.negotiated.receive) == (True, True)
    assert progress[-1].status == 200


async def test_baresip_transfers_our_caller_to_our_answering_side(
    tmp_path: Path, authority: Authority, engine: PyMediaEngine
):
    baresip = Baresip(tmp_path)

    async def transfer_the_call(target: str) -> None:
        await baresip.event("CALL_ESTABLISHED")
        await baresip.command("transfer", target)
        await baresip.event("CALL_CLOSED")

    async with (
        Answerer(echo, port=0, engine=engine) as desk,
        baresip.running(authority),
        Dialer(engine=engine, transfers="follow") as dialer,
    ):
        transferring = asyncio.ensure_future(transfer_the_call(desk.uri))
        run = await dialer.run(baresip.uri("plain"), LONG)
        await transferring
        assert desk.calls_served == 1
    assert run.outcome.kind == "success", run.outcome.detail
    [moved] = run.trace.of("call.transferred")
    assert moved.fields["target"] == desk.uri
    assert [body(notify) for notify in sent(run, "NOTIFY ")][-1] == "SIP/2.0 200 OK\r\n"
    # baresip ends the call that it transferred; ours is the one with the desk.
    assert len(sent(run, "BYE ")) == 1


async def test_our_caller_transfers_baresip_and_is_told_what_came_of_it(
    tmp_path: Path, authority: Authority, engine: PyMediaEngine
):
    baresip, reached = Baresip(tmp_path), asyncio.Event()

    async def pick_up(line: Line) -> None:
        reached.set()

    async with (
        Answerer(pick_up, port=0, engine=engine) as desk,
        baresip.running(authority),
        Dialer(engine=engine) as dialer,
        dialer.dial(baresip.uri("plain")) as call,
    ):
        assert await call.transfer(desk.uri) == 200
        async with asyncio.timeout(5):
            await reached.wait()


async def test_a_call_is_held_refreshed_and_transferred_through_the_proxy(
    kamailio: Kamailio, sipp: Sipp, engine: PyMediaEngine
):
    """Each change follows the recorded route, to a far end that declines to be transferred."""
    async with Answerer(patient, port=0, transport="tcp", engine=engine) as answerer:
        await kamailio.register(sipp, "patient", answerer.uri)
        known = Credentials(kamailio.username, kamailio.password)
        async with Caller.calling(kamailio.uri("patient"), known) as caller:
            caller.act(lambda call, now: call.hold(now=now))
            held = await caller.told(Renegotiated)
            caller.act(lambda call, now: call.refresh(now=now))
            caller.act(lambda call, now: call.transfer(Uri.parse("sip:desk@127.0.0.1:9"), now=now))
            first, last = await caller.told(TransferProgress), await caller.told(TransferProgress)
    assert (held.negotiated.send, held.negotiated.receive) == (True, False)
    assert [(first.status, first.final), (last.status, last.final)] == [(100, False), (603, True)]
    assert {("UPDATE", 200), ("REFER", 202), ("BYE", 200)} <= set(caller.answers)
