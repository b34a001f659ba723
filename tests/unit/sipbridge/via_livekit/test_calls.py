"""Whole calls: a real HTTP server on LiveKit's side of the requests, a room in memory."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from tuner_sipbridge.caller.scenario import Scenario
from tuner_sipbridge.dialer.run import CallRun
from tuner_sipbridge.report.ladder_text import ladder_text
from tuner_sipbridge.via_livekit.dialer import LiveKitDialer
from tuner_sipbridge.via_livekit.terms import TrunkTerms

from .livekit_api import LIVEKIT_ID, Answer, LiveKitApi, twirp_error
from .memory_room import MemoryRoom

NUMBER = "+15551234567"
CALL_ID = "9f2a7c@198.51.100.7"
TRUNK = TrunkTerms(trunk_id="ST_1")
Scenarios = Callable[..., Scenario]


async def dialled(
    livekit: LiveKitApi, room: MemoryRoom, scenario: Scenario, terms: TrunkTerms = TRUNK, **options: Any
) -> CallRun:
    async with LiveKitDialer(livekit.account, terms, room=room.at) as dialer:
        return await dialer.run(NUMBER, scenario, agent="desk", **options)


def picks_up(livekit: LiveKitApi, room: MemoryRoom, *, talks: float = 0.0) -> None:
    """The callee answers, is heard for so long, and leaves when LiveKit removes it."""
    made, removed = livekit.on_call, livekit.on_removal
    speaking: list[asyncio.Task[None]] = []

    async def on_call(request: Any) -> Answer:
        room.shows(callStatus="dialing", callID=LIVEKIT_ID)
        await asyncio.sleep(0.02)
        room.shows(callIDFull=CALL_ID, callStatus="ringing")
        room.shows(callStatus="active")
        if talks:
            speaking.append(asyncio.create_task(room.sounds(talks)))
        return await made(request)

    async def on_removal(request: Any) -> Answer:
        room.callee_leaves("PARTICIPANT_REMOVED")
        return await removed(request)

    livekit.on_call, livekit.on_removal = on_call, on_removal


async def test_a_scenario_is_spoken_and_heard_in_the_room(
    livekit: LiveKitApi, room: MemoryRoom, scenario: Scenarios
) -> None:
    picks_up(livekit, room, talks=0.4)
    played = scenario({"listen": {"settle_s": 0.1}}, {"say": "one"}, {"dtmf": "4#"})
    run = await dialled(livekit, room, played)
    assert (run.outcome.kind, run.outcome.detail) == ("success", "the scenario was played to its end")
    assert (run.sip_call_id, run.target) == (CALL_ID, NUMBER)
    assert room.pressed == ["4", "#"]
    assert room.voiced_frames > 5
    assert room.left
    kinds = [event.kind for event in run.trace.events]
    for kind in ("agent.speech_started", "agent.speech_stopped", "caller.speech_ended", "call.ended"):
        assert kind in kinds
    (turn,) = run.measures.agent_speech
    assert turn.ended_at - turn.started_at == pytest.approx(0.4, abs=0.1)
    assert run.measures.signalling.setup_time_s is not None
    assert run.recording is not None
    assert np.count_nonzero(run.recording.caller != 0xFF) > 500


async def test_the_trace_tells_what_is_known_and_what_is_not(
    livekit: LiveKitApi, room: MemoryRoom, scenario: Scenarios
) -> None:
    picks_up(livekit, room)
    run = await dialled(livekit, room, scenario({"pause_s": 0.05}))
    (placed,) = run.trace.of("livekit.placed")
    assert placed.fields == {"livekit_call_id": LIVEKIT_ID}
    assert [event.fields["status"] for event in run.trace.of("room.status")] == [
        "dialing",
        "ringing",
        "active",
    ]
    assert [event.fields["what"] for event in run.trace.of("call.not_known")] == [
        "SIP messages",
        "RTP statistics",
    ]
    lines = ladder_text(run.trace)
    assert lines.startswith(f"Call-ID {CALL_ID}\n")
    for words in (
        "├─ CreateSIPParticipant ─",
        "│◀─ 200 OK ─",
        "sip.callStatus: ringing",
        "├─ RemoveParticipant ─",
        "not known: RTP statistics",
    ):
        assert words in lines
    assert "over HTTP" in lines
    tokens = [request.token for request in livekit.requests] + [room.token]
    secret = livekit.account.api_secret
    text = "".join(event.to_json() for event in run.trace.events)
    assert not any(word in text for word in [*tokens, secret])


async def test_without_a_call_id_the_run_keeps_its_own_and_says_so(
    livekit: LiveKitApi, room: MemoryRoom, scenario: Scenarios
) -> None:
    run = await dialled(livekit, room, scenario({"pause_s": 0.01}), sip_call_id="own")
    assert (run.outcome.kind, run.sip_call_id) == ("success", "own")
    assert next(event.fields["what"] for event in run.trace.of("call.not_known")) == "Call-ID"


async def test_digits_of_the_agent_are_noted(
    livekit: LiveKitApi, room: MemoryRoom, scenario: Scenarios
) -> None:
    picks_up(livekit, room)
    room.digit("5")
    run = await dialled(livekit, room, scenario({"pause_s": 0.05}))
    assert [event.fields for event in run.trace.of("agent.digit")] == [{"digit": "5"}]


@pytest.mark.parametrize(
    ("reason", "kind", "says"),
    [
        ("CLIENT_INITIATED", "agent_error", "hung up before the scenario was over"),
        ("ROOM_DELETED", "upstream_error", "somebody else ended the call at LiveKit"),
        ("SERVER_SHUTDOWN", "upstream_error", "LiveKit lost the call (SERVER_SHUTDOWN)"),
    ],
)
async def test_who_ends_a_call_that_stands(
    livekit: LiveKitApi, room: MemoryRoom, scenario: Scenarios, reason: str, kind: str, says: str
) -> None:
    picks_up(livekit, room)
    asyncio.get_running_loop().call_later(0.1, room.callee_leaves, reason)
    run = await dialled(livekit, room, scenario("listen", {"say": "one"}))
    assert run.outcome.kind == kind
    assert says in run.outcome.detail
    assert not [one for one in livekit.requests if one.method.endswith("RemoveParticipant")]


async def test_a_caller_whom_livekit_puts_out_says_so(
    livekit: LiveKitApi, room: MemoryRoom, scenario: Scenarios
) -> None:
    picks_up(livekit, room)
    asyncio.get_running_loop().call_later(0.1, room.is_lost, "DUPLICATE_IDENTITY")
    run = await dialled(livekit, room, scenario("listen", {"say": "one"}))
    assert run.outcome.kind == "upstream_error"
    assert "put the caller out of the room (DUPLICATE_IDENTITY)" in run.outcome.detail


async def test_without_waiting_the_status_of_the_participant_is_followed(
    livekit: LiveKitApi, room: MemoryRoom, scenario: Scenarios
) -> None:
    made = livekit.on_call

    async def on_call(request: Any) -> Answer:
        asyncio.get_running_loop().call_later(0.1, lambda: room.shows(callStatus="active"))
        return await made(request)

    livekit.on_call = on_call
    terms = TrunkTerms(trunk_id="ST_1", wait_until_answered=False)
    run = await dialled(livekit, room, scenario({"pause_s": 0.01}), terms)
    assert run.outcome.kind == "success"
    assert not livekit.called.wait_until_answered
    kinds = [event.kind for event in run.trace.events]
    assert kinds.index("call.answered") == kinds.index("room.status") + 1


async def test_a_callee_who_left_before_the_request_told_of_the_answer(
    livekit: LiveKitApi, room: MemoryRoom, scenario: Scenarios
) -> None:
    made = livekit.on_call

    async def on_call(request: Any) -> Answer:
        room.callee_leaves("CLIENT_INITIATED")
        await asyncio.sleep(0.05)
        return await made(request)

    livekit.on_call = on_call
    run = await dialled(livekit, room, scenario("listen", {"say": "one"}))
    assert run.outcome.kind == "agent_error"
    assert "hung up before the scenario was over" in run.outcome.detail


@pytest.mark.parametrize(
    ("reason", "kind"), [("USER_REJECTED", "agent_error"), ("SIP_TRUNK_FAILURE", "upstream_error")]
)
async def test_without_waiting_a_callee_that_leaves_has_no_sip_status(
    livekit: LiveKitApi, room: MemoryRoom, scenario: Scenarios, reason: str, kind: str
) -> None:
    asyncio.get_running_loop().call_later(0.1, room.callee_leaves, reason)
    terms = TrunkTerms(trunk_id="ST_1", wait_until_answered=False)
    run = await dialled(livekit, room, scenario({"say": "one"}), terms)
    assert (run.outcome.kind, run.outcome.status) == (kind, 0)
    assert "it tells no SIP status here" in run.outcome.detail


async def test_with_waiting_the_request_says_why_the_callee_left(
    livekit: LiveKitApi, room: MemoryRoom, scenario: Scenarios
) -> None:
    async def busy(request: Any) -> Answer:
        room.callee_leaves("USER_REJECTED")
        await asyncio.sleep(0.05)
        return 429, twirp_error(
            "resource_exhausted", "sip status: 486: Busy Here", sip_status_code="486", sip_status="Busy Here"
        )

    livekit.on_call = busy
    run = await dialled(livekit, room, scenario({"say": "one"}))
    assert (run.outcome.kind, run.outcome.status) == ("agent_error", 486)
    (row,) = run.trace.of("call.rejected")
    assert row.fields["cause"] == run.outcome.detail == "486 Busy Here: the far end is busy"


async def test_a_room_that_cannot_be_joined_calls_nobody(livekit: LiveKitApi, scenario: Scenarios) -> None:
    room = MemoryRoom(closed_to_us="the room could not be joined: no route")
    run = await dialled(livekit, room, scenario({"say": "one"}))
    assert run.outcome.kind == "upstream_error"
    assert livekit.requests == []
    assert room.left


async def test_two_calls_at_once_have_rooms_of_their_own(livekit: LiveKitApi, scenario: Scenarios) -> None:
    rooms = [MemoryRoom(), MemoryRoom()]
    waiting = iter(rooms)
    async with LiveKitDialer(livekit.account, TRUNK, room=lambda *at: next(waiting).at(*at)) as dialer:
        runs = await asyncio.gather(*(dialer.run(NUMBER, scenario({"pause_s": 0.02})) for _ in rooms))
    assert [run.outcome.kind for run in runs] == ["success", "success"]
    called = [
        one.message.room_name for one in livekit.requests if one.method.endswith("CreateSIPParticipant")
    ]
    assert len(set(called)) == 2
