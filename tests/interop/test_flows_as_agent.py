"""Our answering side and SIPp as the caller: each flow over UDP and TCP, by requests of both sides."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, Literal

import pytest
import pytest_asyncio

from tuner_sipbridge.answered_line import AnsweredLine
from tuner_sipbridge.answerer import Answerer
from tuner_sipbridge.call.events import (
    Answered,
    Cancelled,
    DigitByInfo,
    Ended,
    PartiesNamed,
    Renegotiated,
    TransferProgress,
)
from tuner_sipbridge.call.registrar import Registered, Removed, Terms
from tuner_sipbridge.net.media_engine import PyMediaEngine
from tuner_sipbridge.sip.timers import Timers
from tuner_sipbridge.sip.uri import Uri

from .peers.flow import Flow, ask, await_status, expect, flow, maybe, pause, reply, sdp
from .peers.sipp import Sipp
from .peers.taken import Taken

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.parametrize("transport", ["udp", "tcp"])]

Transport = Literal["udp", "tcp"]
QUICK = Timers(t1=0.05, t2=0.2, t4=0.2)
INVITE = ask("outside", "INVITE", 1, body=sdp())
ANSWERED = (*maybe(100, 180), await_status(200, routed=True), ask("caller", "ACK", 1))
REFUSED = ask("caller", "ACK", 1, "refused", uri="sip:agent@[remote_ip]:[remote_port]")
HUNG_UP = (ask("caller", "BYE", 20), await_status(200))
HUNG_UP_BY_US = (expect("BYE"), reply("200 OK", to="bye"))


Take = Callable[[Taken], Awaitable[None]]


async def accept(call: Taken) -> None:
    call.accept()


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def engine() -> AsyncGenerator[PyMediaEngine]:
    """The media of all calls of this file."""
    async with PyMediaEngine() as started:
        yield started


@asynccontextmanager
async def answering(
    engine: PyMediaEngine, take: Take = accept, **options: Any
) -> AsyncGenerator[tuple[str, list[Taken]]]:
    """An answering side that takes each call as `take` says; gives its address and the calls."""
    calls: list[Taken] = []

    async def reception(line: AnsweredLine, answerer: Answerer) -> None:
        media = await answerer.open_media(line)
        calls.append(Taken(line, (media.address, media.stream.local[1])))
        await take(calls[-1])
        await line.ended()
        await media.stream.close()

    async with Answerer(reception=reception, port=0, engine=engine, **options) as answerer:
        yield "{}:{}".format(*answerer.local), calls


async def called(
    sipp: Sipp, engine: PyMediaEngine, transport: Transport, caller: Flow, take: Take = accept, **options: Any
) -> Taken:
    """Let SIPp make one call to its end; gives our side of it."""
    async with answering(engine, take, **options) as (far, calls):
        await sipp.play(caller, far, transport=transport)
        return calls[0]


async def test_our_agent_holds_meets_491_transfers_and_byes_cross(
    sipp: Sipp, engine: PyMediaEngine, transport: Transport
):
    async def change(call: Taken) -> None:
        call.accept()
        await call.told(Answered)
        call.act(lambda machine, now: machine.hold(now=now))
        await call.told(Renegotiated)
        call.act(lambda machine, now: machine.resume(now=now))
        await call.told(Renegotiated, 2)
        call.act(lambda machine, now: machine.send_digit_by_info("5", now=now))
        call.act(lambda machine, now: machine.transfer(Uri.parse("sip:desk@127.0.0.1:9"), now=now))
        await call.told(TransferProgress, 2)
        call.act(lambda machine, now: machine.hang_up(now=now))

    done = ("Event: refer", "Subscription-State: terminated;reason=noresource")
    # SIPp made the call: we wait 2 s at most after a 491 (RFC 3261 §14.1), and over TCP it spares us that.
    glare = (
        reply("491 Request Pending", to="held"),
        expect("ACK"),
        expect("INVITE", "held", body="a=sendonly"),
    )
    caller = flow(
        "changed_by_us",
        INVITE,
        ANSWERED,
        expect("INVITE", "held", body="a=sendonly"),
        glare if transport == "udp" else (),
        reply("200 OK", to="held", body=sdp("recvonly", version=2)),
        expect("ACK"),
        expect("INVITE", "resumed", body="a=sendrecv"),
        ask("caller", "INVITE", 2, body=sdp(version=3)),
        await_status(491),
        ask("caller", "ACK", 2, "refused"),
        reply("200 OK", to="resumed", body=sdp(version=3)),
        expect("ACK"),
        expect("INFO", has={"Content-Type": "application/dtmf-relay"}, body="Signal=5"),
        expect("REFER", has={"Refer-To": "sip:desk@127.0.0.1:9"}),
        reply("200 OK", to="info"),
        reply("202 Accepted", to="refer"),
        ask(
            "caller",
            "NOTIFY",
            3,
            "Event: refer",
            "Subscription-State: active",
            body="SIP/2.0 180 Ringing",
            kind="message/sipfrag",
        ),
        await_status(200),
        ask("caller", "NOTIFY", 4, *done, body="SIP/2.0 200 OK", kind="message/sipfrag"),
        await_status(200),
        expect("BYE"),
        ask("caller", "BYE", 5),
        await_status(200),
        reply("200 OK", to="bye"),
    )
    call = await called(sipp, engine, transport, caller, change)
    last = await call.told(TransferProgress, 2)
    assert (last.status, last.final) == (200, True)
    assert [event for event in call.happened if isinstance(event, Ended)] == [Ended("agent")]


@pytest.mark.parametrize("race", [False, True], ids=["in time", "crosses the 200"])
async def test_sipp_cancels(sipp: Sipp, engine: PyMediaEngine, transport: Transport, race: bool):
    async def take(call: Taken) -> None:
        call.act(lambda machine, now: machine.ring(now=now))
        if race:
            call.accept()

    cancel = ask("outside", "CANCEL", 1, 'Reason: SIP;cause=200;text="Call completed elsewhere"')
    caller = (
        flow(
            "cancel_late",
            INVITE,
            *maybe(100),
            await_status(180),
            await_status(200, routed=True),
            cancel,
            await_status(200),
            ask("caller", "ACK", 1),
            HUNG_UP,
        )
        if race
        else flow(
            "cancel",
            INVITE,
            *maybe(100),
            await_status(180),
            cancel,
            await_status(200),
            await_status(487),
            REFUSED,
        )
    )
    call = await called(sipp, engine, transport, caller, take)
    if race:
        assert (await call.told(Ended)).by == "caller"
    else:
        assert "Call completed elsewhere" in (await call.told(Cancelled)).why


async def test_an_invite_without_offer(sipp: Sipp, engine: PyMediaEngine, transport: Transport):
    caller = flow(
        "without_offer",
        ask("outside", "INVITE", 1),
        *maybe(100, 180),
        await_status(200, routed=True, body="m=audio [1-9][0-9]* RTP/AVP 0"),
        ask("caller", "ACK", 1, body=sdp()),
        pause(50),
        HUNG_UP,
    )
    call = await called(sipp, engine, transport, caller)
    assert (await call.told(Answered)).negotiated.codec == "PCMU"


async def test_early_media_and_then_the_answer(sipp: Sipp, engine: PyMediaEngine, transport: Transport):
    async def take(call: Taken) -> None:
        call.begin_media()
        await asyncio.sleep(0.05)
        call.accept()

    caller = flow("early", INVITE, *maybe(100), await_status(183, body="m=audio [1-9]"), ANSWERED, HUNG_UP)
    await called(sipp, engine, transport, caller, take)


async def test_a_session_interval_that_is_too_short(sipp: Sipp, engine: PyMediaEngine, transport: Transport):
    caller = flow(
        "short_session",
        ask("outside", "INVITE", 1, "Supported: timer", "Session-Expires: 30", body=sdp()),
        *maybe(100),
        await_status(422, has={"Min-SE": "90"}),
        REFUSED,
        ask("outside", "INVITE", 2, "Supported: timer", "Session-Expires: 90", "Min-SE: 90", body=sdp()),
        *maybe(100, 180),
        await_status(200, routed=True, has={"Session-Expires": "90;refresher=uac", "Require": "timer"}),
        ask("caller", "ACK", 2),
        HUNG_UP,
    )
    async with answering(engine) as (far, _):
        await sipp.play(caller, far, transport=transport)


async def test_the_200_is_repeated_until_the_ack(sipp: Sipp, engine: PyMediaEngine, transport: Transport):
    """Over TCP too (RFC 3261 §13.3.1.4): the 2xx goes from end to end."""
    caller = flow(
        "late_ack",
        INVITE,
        *maybe(100, 180),
        await_status(200, routed=True),
        # Over TCP SIPp takes a repeat for a response of its own.
        pause(250) if transport == "udp" else (await_status(200), await_status(200)),
        ask("caller", "ACK", 1),
        HUNG_UP,
    )
    await called(sipp, engine, transport, caller, timers=QUICK)
    assert sipp.messages("late_ack").count("\nSIP/2.0 200 OK") > 2


@pytest.mark.parametrize("lr", [";lr", ""], ids=["loose", "strict"])
async def test_the_recorded_route_is_followed(
    sipp: Sipp, engine: PyMediaEngine, transport: Transport, lr: str
):
    async def take(call: Taken) -> None:
        call.accept()
        await call.told(Answered)
        await asyncio.sleep(0.05)
        call.act(lambda machine, now: machine.hang_up(now=now))

    away = "Contact: <sip:sipp@127.0.0.9:5999;transport=[transport]>"
    recorded = f"Record-Route: <sip:[local_ip]:[local_port];transport=[transport]{lr}>"
    caller = flow(
        "recorded",
        INVITE.replace(
            "Contact: <sip:sipp@[local_ip]:[local_port];transport=[transport]>", f"{away}\n      {recorded}"
        ),
        *maybe(100, 180),
        await_status(200, routed=True, has={"Record-Route": "sip:127.0.0.1"}),
        ask("caller", "ACK", 1, uri="sip:agent@[remote_ip]:[remote_port]"),
        expect("BYE", has={"Route": "127.0.0.1" if lr else "127.0.0.9:5999"}),
        reply("200 OK", to="bye"),
    )
    await called(sipp, engine, transport, caller, take)
    line = next(line for line in sipp.messages("recorded").splitlines() if line.startswith("BYE sip:"))
    assert line.startswith("BYE sip:sipp@127.0.0.9:5999" if lr else "BYE sip:127.0.0.1:")


@pytest.mark.parametrize(
    ("status", "headers"),
    [
        (486, []),
        (603, [("Reason", "Q.850;cause=21")]),
        (302, [("Contact", "<sip:desk@127.0.0.1:9>")]),
        (503, [("Retry-After", "5")]),
    ],
)
async def test_a_call_is_refused(
    sipp: Sipp, engine: PyMediaEngine, transport: Transport, status: int, headers: list[tuple[str, str]]
):
    async def take(call: Taken) -> None:
        call.act(lambda machine, now: machine.reject(status, now=now, headers=headers))

    has = {name: value.replace("<", "").replace(">", "") for name, value in headers}
    caller = flow("refused", INVITE, *maybe(100), await_status(status, has=has), REFUSED)
    await called(sipp, engine, transport, caller, take)


async def test_options_info_and_the_reason_of_a_bye(sipp: Sipp, engine: PyMediaEngine, transport: Transport):
    """OPTIONS before the call and within it, a digit, what comes too late, and BYE with its reason."""
    digit = "Signal=7\nDuration=160"
    caller = flow(
        "asks",
        ask("outside", "OPTIONS", 1),
        await_status(200, has={"Allow": "INVITE.*REFER", "Accept": "application/sdp"}),
        ask("outside", "INVITE", 2, body=sdp()),
        *maybe(100, 180),
        await_status(200, routed=True),
        ask("caller", "ACK", 2),
        ask("caller", "OPTIONS", 9),
        await_status(200),
        ask("caller", "INFO", 10, body=digit, kind="application/dtmf-relay"),
        await_status(200),
        ask("caller", "INFO", 8, body=digit, kind="application/dtmf-relay"),
        await_status(500),
        ask("caller", "SUBSCRIBE", 11, "Event: dialog"),
        await_status(405),
        ask("caller", "BYE", 12, 'Reason: Q.850;cause=16;text="bye"'),
        await_status(200),
    )
    call = await called(sipp, engine, transport, caller)
    assert [event.digit for event in call.happened if isinstance(event, DigitByInfo)] == ["7"]
    assert (await call.told(Ended)).failure.q850 == 16


async def test_who_is_named_in_the_invite(sipp: Sipp, engine: PyMediaEngine, transport: Transport):
    named = (
        "P-Asserted-Identity: <sip:caller@a.example>",
        "Privacy: id",
        "Diversion: <sip:desk@a.example>;reason=user-busy",
        "History-Info: <sip:desk@a.example>;index=1, <sip:bot@a.example;cause=486>;index=1.1",
        "User-to-User: 56a3;encoding=hex",
    )
    caller = flow("named", ask("outside", "INVITE", 1, *named, body=sdp()), ANSWERED, HUNG_UP)
    call = await called(sipp, engine, transport, caller)
    parties = (await call.told(PartiesNamed)).parties
    assert parties.asserted == ("sip:caller@a.example",)
    assert (parties.privacy, parties.user_to_user) == (("id",), ("56a3;encoding=hex",))
    assert [one.reason for one in parties.diversions] == ["user-busy"]
    assert [one.index for one in parties.history] == ["1", "1.1"]


async def test_a_registration_is_challenged_lengthened_refreshed_and_removed(
    sipp: Sipp, engine: PyMediaEngine, transport: Transport
):
    known = "[authentication username=trunk password=s3cret]"
    registrar = "sip:[remote_ip]:[remote_port]"

    def register(number: int, expires: int, *headers: str) -> str:
        return ask("outside", "REGISTER", number, f"Expires: {expires}", *headers, uri=registrar)

    caller = flow(
        "registers",
        register(1, 20),
        await_status(401, auth=True, has={"WWW-Authenticate": "Digest.*qop="}),
        register(2, 20, known),
        await_status(423, has={"Min-Expires": "60"}),
        register(3, 60, known),
        await_status(200, has={"Contact": "expires=(60|59)"}),
        register(4, 90, known),
        await_status(200, has={"Contact": "expires=(90|89)"}),
        register(5, 0, known),
        await_status(200),
    )
    changes: list[Registered | Removed] = []
    async with answering(
        engine,
        registrations=Terms(),
        on_registration=changes.append,
        username="trunk",
        password="s3cret",
        algorithm="MD5",
    ) as (far, _):
        await sipp.play(caller, far, transport=transport)
    assert [getattr(change, "refreshed", None) for change in changes] == [False, True, None]


async def test_lost_messages_are_repeated(sipp: Sipp, engine: PyMediaEngine, transport: Transport):
    """SIPp drops 30 % of what it sends and receives; over TCP it drops nothing."""
    lost = 30 if transport == "udp" else 0
    caller = flow(
        "lossy",
        ask("outside", "INVITE", 1, body=sdp(), lost=lost),
        *maybe(100, 180),
        await_status(200, routed=True, lost=lost),
        ask("caller", "ACK", 1),
        ask("caller", "INFO", 2, lost=lost),
        await_status(200, lost=lost),
        HUNG_UP,
    )
    await called(sipp, engine, transport, caller, timers=QUICK)
