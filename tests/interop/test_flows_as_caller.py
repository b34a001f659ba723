"""Our caller and SIPp as the agent: each flow over UDP and TCP, by requests of both sides."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncGenerator
from typing import Literal

import pytest
import pytest_asyncio

from tuner_sipbridge.call.extensions import Extensions
from tuner_sipbridge.caller.scenario import Scenario
from tuner_sipbridge.dialer.dialer import Dialer
from tuner_sipbridge.errors import CallError
from tuner_sipbridge.net.media_engine import PyMediaEngine
from tuner_sipbridge.sip.targets import Trunk
from tuner_sipbridge.sip.timers import Timers
from tuner_sipbridge.trace import Trace

from .peers.digest import PASSWORD, USERNAME, assert_each_digest_is_right, challenge
from .peers.flow import ask, await_status, expect, flow, reply, sdp
from .peers.sipp import Sipp
from .peers.traces import sent, succeeded, until

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.parametrize("transport", ["udp", "tcp"])]

Transport = Literal["udp", "tcp"]
QUICK = Timers(t1=0.05, t2=0.2, t4=0.2)
PAUSE = Scenario.model_validate({"name": "pause", "persona": {"voice": "tone"}, "steps": [{"pause_s": 0.1}]})
BRIEF = Scenario.model_validate({"name": "brief", "persona": {"voice": "tone"}, "steps": [{"pause_s": 0.3}]})
ANSWERED = (reply("200 OK", body=sdp()), expect("ACK"))
HUNG_UP = (expect("BYE"), reply("200 OK", to="bye"))


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def engine() -> AsyncGenerator[PyMediaEngine]:
    """The media of all calls of this file."""
    async with PyMediaEngine() as started:
        yield started


def challenged(method: str, nonce: str, *, proxy: bool = False, stale: bool = True) -> tuple[str, ...]:
    """A request within the dialog that is challenged anew; its repeat is expected under the same name."""
    name = "changed" if method == "INVITE" else method.lower()
    status = "407 Proxy Authentication Required" if proxy else "401 Unauthorized"
    acknowledged = (expect("ACK"),) if method == "INVITE" else ()
    refused = reply(status, *challenge(nonce, proxy=proxy, stale=stale), to=name)
    return (expect(method, name), refused, *acknowledged, expect(method, name))


async def test_every_request_is_challenged_by_sha_256_and_nonces_get_stale(
    sipp: Sipp, engine: PyMediaEngine, transport: Transport
):
    agent = flow(
        "challenges",
        expect("INVITE"),
        reply("401 Unauthorized", *challenge("n1")),
        expect("ACK"),
        expect("INVITE"),
        reply("401 Unauthorized", *challenge("n2", stale=True)),
        expect("ACK"),
        expect("INVITE", routed=True),
        reply("183 Session Progress", "Require: 100rel", "RSeq: 7", body=sdp()),
        challenged("PRACK", "n3"),
        reply("200 OK", to="prack"),
        reply("200 OK", "Allow: INVITE, ACK, BYE, UPDATE"),
        expect("ACK"),
        challenged("INVITE", "n4", proxy=True, stale=False),
        reply("200 OK", to="changed", tag="", body=sdp("recvonly", version=2)),
        expect("ACK"),
        # The refresh and the transfer are asked for at once.
        expect("UPDATE"),
        expect("REFER"),
        reply("401 Unauthorized", *challenge("n5", stale=True), to="update"),
        expect("UPDATE"),
        reply("200 OK", to="update"),
        reply("401 Unauthorized", *challenge("n6", stale=True), to="refer"),
        expect("REFER"),
        reply("603 Decline", to="refer"),
        challenged("BYE", "n7"),
        reply("200 OK", to="bye"),
    )
    trace = Trace()
    async with (
        sipp.playing(agent, transport) as (uri, process),
        Dialer(engine=engine, username=USERNAME, password=PASSWORD) as dialer,
    ):
        async with dialer.dial(uri, trace=trace) as call:
            call.hold()
            await until(trace, "call.renegotiated")
            call.refresh()
            assert await call.transfer("sip:desk@127.0.0.1:9") == 603
        assert await succeeded(process)
    methods = assert_each_digest_is_right(sipp.messages("challenges"))
    assert methods == {"INVITE", "PRACK", "ACK", "UPDATE", "REFER", "BYE"}


async def test_our_caller_holds_meets_glare_transfers_and_byes_cross(
    sipp: Sipp, engine: PyMediaEngine, transport: Transport
):
    notify = ("Event: refer", "Subscription-State: active;expires=60")
    done = ("Event: refer", "Subscription-State: terminated;reason=noresource")
    agent = flow(
        "changed_by_us",
        expect("INVITE", routed=True),
        ANSWERED,
        expect("INVITE", "held", body="a=sendonly"),
        reply("200 OK", to="held", tag="", body=sdp("recvonly", version=2)),
        expect("ACK"),
        expect("INVITE", "resumed", body="a=sendrecv"),
        # Before it answers it wants a change of its own (RFC 3261 §14.2).
        ask("agent", "INVITE", 1, body=sdp(version=3)),
        await_status(491),
        ask("agent", "ACK", 1, "refused"),
        reply("200 OK", to="resumed", tag="", body=sdp(version=3)),
        expect("ACK"),
        expect("REFER", has={"Refer-To": "sip:desk@127.0.0.1:9", "Referred-By": "sip:"}),
        reply("202 Accepted", to="refer"),
        ask("agent", "NOTIFY", 2, *notify, body="SIP/2.0 180 Ringing", kind="message/sipfrag"),
        await_status(200),
        ask("agent", "NOTIFY", 3, *done, body="SIP/2.0 200 OK", kind="message/sipfrag"),
        await_status(200),
        expect("BYE"),
        ask("agent", "BYE", 4),
        await_status(200),
        reply("200 OK", to="bye"),
    )
    trace = Trace()
    async with sipp.playing(agent, transport) as (uri, process), Dialer(engine=engine) as dialer:
        async with dialer.dial(uri, trace=trace) as call:
            call.hold()
            await until(trace, "call.renegotiated")
            call.resume()
            await until(trace, "call.renegotiated", count=2)
            assert await call.transfer("sip:desk@127.0.0.1:9") == 200
        assert await succeeded(process)
    changes = [(row.fields["send"], row.fields["receive"]) for row in trace.of("call.renegotiated")]
    assert changes == [(True, False), (True, True)]
    assert [row.fields["by"] for row in trace.of("call.ended")] == ["caller"]


@pytest.mark.parametrize("race", [False, True], ids=["in time", "crosses the 200"])
async def test_nobody_answers_and_the_call_is_cancelled(
    sipp: Sipp, engine: PyMediaEngine, transport: Transport, race: bool
):
    reason = {"Reason": "SIP;cause="}
    cancelled = (
        (reply("200 OK", to="cancel"), reply("487 Request Terminated"), expect("ACK"))
        if not race
        else (reply("200 OK", body=sdp()), expect("ACK"), reply("200 OK", to="cancel"), *HUNG_UP)
    )
    agent = flow("cancelled", expect("INVITE"), reply("180 Ringing"), expect("CANCEL", has=reason), cancelled)
    async with sipp.playing(agent, transport) as (uri, process), Dialer(engine=engine) as dialer:
        run = await dialer.run(uri, PAUSE, ring_timeout=0.1)
        assert await succeeded(process)
    assert run.outcome.kind == "agent_error"


async def test_forks_ring_and_two_of_them_answer(sipp: Sipp, engine: PyMediaEngine, transport: Transport):
    """Three early dialogs and two 2xx: the first is the call, the other is acknowledged and hung up (§13.2.2.4)."""
    agent = flow(
        "forks",
        expect("INVITE"),
        reply("180 Ringing", tag="a"),
        reply("183 Session Progress", tag="b", body=sdp()),
        reply("180 Ringing", tag="c"),
        reply("200 OK", tag="c", body=sdp()),
        expect("ACK", has={"To": "tag=c"}),
        reply("200 OK", tag="a", body=sdp()),
        expect("ACK", "second", has={"To": "tag=a"}),
        expect("BYE", "fork", has={"To": "tag=a"}),
        reply("200 OK", to="fork"),
        expect("BYE", has={"To": "tag=c"}),
        reply("200 OK", to="bye"),
    )
    async with sipp.playing(agent, transport) as (uri, process), Dialer(engine=engine) as dialer:
        run = await dialer.run(uri, PAUSE)
        assert await succeeded(process)
    assert run.outcome.kind == "success", run.outcome.detail


async def test_an_invite_without_offer(sipp: Sipp, engine: PyMediaEngine, transport: Transport):
    agent = flow(
        "late_offer",
        expect("INVITE"),
        reply("200 OK", body=sdp()),
        expect("ACK", has={"Content-Type": "application/sdp"}, body="m=audio [1-9][0-9]* RTP/AVP 0"),
        HUNG_UP,
    )
    async with (
        sipp.playing(agent, transport) as (uri, process),
        Dialer(engine=engine, late_offer=True) as dialer,
    ):
        run = await dialer.run(uri, PAUSE)
        assert await succeeded(process)
    assert run.outcome.kind == "success", run.outcome.detail
    assert "m=audio" not in sent(run, "INVITE ")[0]


@pytest.mark.parametrize("lr", [";lr", ""], ids=["loose", "strict"])
async def test_the_recorded_route_is_followed(
    sipp: Sipp, engine: PyMediaEngine, transport: Transport, lr: str
):
    """Loose: the target in the Request-URI and the route in Route; strict: the other way round (§12.2.1.1)."""
    recorded = f"Record-Route: <sip:[local_ip]:[local_port];transport=[transport]{lr}>"
    away = "Contact: <sip:bot@127.0.0.9:5999;transport=[transport]>"
    agent = flow(
        "routed",
        expect("INVITE"),
        reply("200 OK", recorded, body=sdp(), contact=away),
        expect("ACK"),
        HUNG_UP,
    )
    async with sipp.playing(agent, transport) as (uri, process), Dialer(engine=engine) as dialer:
        run = await dialer.run(uri, PAUSE)
        assert await succeeded(process)
    target, proxy = "sip:bot@127.0.0.9:5999", re.sub("agent@|;.*", "", uri)
    for request in (sent(run, "ACK ")[0], sent(run, "BYE ")[0]):
        line, route = request.partition("\r\n")[0], re.findall(r"\r\nRoute: <(.*?)>", request)
        first, second = (target, proxy) if lr else (proxy, target)
        assert line.split(" ")[1].startswith(first)
        assert [one.startswith(second) for one in route] == [True]


async def test_what_comes_out_of_order(sipp: Sipp, engine: PyMediaEngine, transport: Transport):
    agent = flow(
        "out_of_order",
        expect("INVITE", routed=True),
        reply("200 OK", body=sdp()),
        expect("ACK"),
        reply("180 Ringing"),
        ask("agent", "OPTIONS", 9),
        await_status(200),
        ask("agent", "INFO", 8),
        await_status(500),
        HUNG_UP,
    )
    async with sipp.playing(agent, transport) as (uri, process), Dialer(engine=engine) as dialer:
        run = await dialer.run(uri, BRIEF)
        assert await succeeded(process)
    assert run.outcome.kind == "success", run.outcome.detail


async def test_a_503_goes_to_the_next_trunk(sipp: Sipp, engine: PyMediaEngine, transport: Transport):
    busy = flow("full", expect("INVITE"), reply("503 Service Unavailable", "Retry-After: 60"), expect("ACK"))
    agent = flow("free", expect("INVITE"), ANSWERED, HUNG_UP)
    async with (
        sipp.playing(busy, transport) as (first, refusing),
        sipp.playing(agent, transport) as (second, answering),
        Dialer(engine=engine, trunks=[Trunk.parse(f"{first};lr,1"), Trunk.parse(f"{second};lr,2")]) as dialer,
    ):
        run = await dialer.run("sip:+15550100@far.example", PAUSE)
        assert await succeeded(refusing)
        assert await succeeded(answering)
    assert run.outcome.kind == "success", run.outcome.detail
    assert len(list(run.trace.of("call.target_failed"))) == 1


async def test_who_is_named_in_responses_is_traced(sipp: Sipp, engine: PyMediaEngine, transport: Transport):
    agent = flow(
        "parties",
        expect("INVITE"),
        reply("181 Call Is Being Forwarded", "Diversion: <sip:desk@a.example>;reason=no-answer"),
        reply(
            "180 Ringing",
            "History-Info: <sip:desk@a.example>;index=1, <sip:bot@a.example;cause=302>;index=1.1",
        ),
        reply(
            "200 OK",
            "P-Asserted-Identity: <sip:bot@a.example>",
            "User-to-User: 56a3;encoding=hex",
            body=sdp(),
        ),
        expect("ACK"),
        HUNG_UP,
    )
    async with sipp.playing(agent, transport) as (uri, process), Dialer(engine=engine) as dialer:
        run = await dialer.run(uri, PAUSE)
        assert await succeeded(process)
    named: dict[str, object] = {}
    for row in run.trace.of("call.parties"):
        named.update(row.fields)
    assert named["diversions"] == [{"uri": "sip:desk@a.example", "reason": "no-answer"}]
    assert [one["index"] for one in named["history"]] == ["1", "1.1"]  # type: ignore[index,union-attr]
    assert named["asserted"] == ["sip:bot@a.example"]
    assert named["user_to_user"] == ["56a3;encoding=hex"]


async def test_a_call_is_rejected_with_its_cause(sipp: Sipp, engine: PyMediaEngine, transport: Transport):
    agent = flow(
        "rejected",
        expect("INVITE"),
        reply("603 Decline", 'Reason: Q.850;cause=21;text="call rejected"', 'Warning: 399 edge "not today"'),
        expect("ACK"),
    )
    async with sipp.playing(agent, transport) as (uri, process), Dialer(engine=engine) as dialer:
        with pytest.raises(CallError) as refused:
            async with dialer.dial(uri):
                pass
        assert await succeeded(process)
    assert "not today" in str(refused.value)


async def test_our_refresh_is_refused_and_tried_with_the_least_interval(
    sipp: Sipp, engine: PyMediaEngine, transport: Transport
):
    terms = Extensions(session_interval_s=90, refresher="us")
    agent = flow(
        "least_interval",
        expect("INVITE"),
        reply(
            "200 OK",
            "Require: timer",
            "Session-Expires: 90;refresher=uac",
            "Allow: INVITE, ACK, BYE, UPDATE",
            body=sdp(),
        ),
        expect("ACK"),
        expect("UPDATE", has={"Session-Expires": "90;refresher=uac"}),
        reply("422 Session Interval Too Small", "Min-SE: 120", to="update"),
        expect("UPDATE", has={"Session-Expires": "120;refresher=uac", "Min-SE": "120"}),
        reply("200 OK", "Session-Expires: 120;refresher=uac", to="update"),
        HUNG_UP,
    )
    async with (
        sipp.playing(agent, transport) as (uri, process),
        Dialer(engine=engine, extensions=terms) as dialer,
    ):
        async with dialer.dial(uri) as call:
            call.refresh()
            await call.play(PAUSE)
        assert await succeeded(process)


async def test_a_registration_is_challenged_lengthened_refreshed_and_removed(
    sipp: Sipp, engine: PyMediaEngine, transport: Transport
):
    bound = {"Contact": ".*"}
    registrar = flow(
        "registrar",
        expect("REGISTER"),
        reply("401 Unauthorized", *challenge("n1"), to="register"),
        expect("REGISTER"),
        reply("423 Interval Too Brief", "Min-Expires: 2", to="register"),
        expect("REGISTER", has={"Expires": "2"}),
        reply("401 Unauthorized", *challenge("n2", stale=True), to="register"),
        expect("REGISTER", "register_first", has=bound),
        reply("200 OK", to="register_first", contact="Contact:[$register_first_has0];expires=1"),
        expect("REGISTER", "register_again", has=bound),
        reply("200 OK", to="register_again", contact="Contact:[$register_again_has0];expires=60"),
        expect("REGISTER", "register_gone", has={"Expires": "0"}),
        reply("200 OK", to="register_gone", contact="Supported: path"),
    )
    agent = flow("registered", expect("INVITE"), ANSWERED, HUNG_UP)
    async with (
        sipp.playing(registrar, transport) as (server, registering),
        sipp.playing(agent, transport) as (uri, process),
    ):
        async with Dialer(
            engine=engine,
            username=USERNAME,
            password=PASSWORD,
            transport=transport,
            register=server.replace("agent@", ""),
            register_for=1,
        ) as dialer:
            run = await dialer.run(uri, PAUSE)
            await asyncio.sleep(0.6)  # half of what was granted is when it is refreshed
        assert await succeeded(registering)
        assert await succeeded(process)
    assert run.outcome.kind == "success", run.outcome.detail
    assert_each_digest_is_right(sipp.messages("registrar"))


async def test_lost_messages_are_repeated(sipp: Sipp, engine: PyMediaEngine, transport: Transport):
    """SIPp drops 30 % of what it sends and receives; over TCP it drops nothing."""
    lost = 30 if transport == "udp" else 0
    agent = flow(
        "lossy",
        expect("INVITE", routed=True, lost=lost),
        reply("180 Ringing"),
        reply("200 OK", body=sdp(), lost=lost),
        # From here to the BYE nothing is lost: the caller may hang up before it is repeated.
        expect("ACK"),
        ask("agent", "INFO", 1),
        await_status(200),
        expect("BYE", lost=lost),
        reply("200 OK", to="bye"),
    )
    async with (
        sipp.playing(agent, transport) as (uri, process),
        Dialer(engine=engine, timers=QUICK) as dialer,
    ):
        run = await dialer.run(uri, BRIEF)
        assert await succeeded(process)
    assert run.outcome.kind == "success", run.outcome.detail
