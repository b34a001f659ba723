"""Each form in which LiveKit says that there is no call, over real HTTP."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from tuner_sipbridge.caller.scenario import Scenario
from tuner_sipbridge.dialer.run import CallRun
from tuner_sipbridge.via_livekit import service
from tuner_sipbridge.via_livekit.dialer import LiveKitDialer
from tuner_sipbridge.via_livekit.terms import TrunkTerms

from .livekit_api import Answer, LiveKitApi, twirp_error
from .memory_room import MemoryRoom

Dial = Callable[..., Any]
TRUNK = TrunkTerms(trunk_id="ST_1")


@pytest.fixture
def dial(livekit: LiveKitApi, room: MemoryRoom, scenario: Callable[..., Scenario]) -> Dial:
    async def dialled(answer: Answer | None = None, **options: Any) -> CallRun:
        if answer is not None:

            async def on_call(request: Any) -> Answer:
                return answer

            livekit.on_call = on_call
        async with LiveKitDialer(livekit.account, TRUNK, room=room.at) as dialer:
            return await dialer.run("+15551234567", scenario({"say": "one"}), **options)

    return dialled


@pytest.mark.parametrize(
    ("http", "code", "status", "phrase", "kind", "says"),
    [
        (429, "resource_exhausted", "486", "Busy Here", "agent_error", "486 Busy Here: the far end is busy"),
        (403, "permission_denied", "603", "Decline", "agent_error", "603 Decline: the far end declined"),
        (429, "resource_exhausted", "480", "", "agent_error", "480 Temporarily Unavailable"),
        (404, "not_found", "404", "SIP_STATUS_NOTFOUND", "client_error", "404 Not Found: the far end does"),
        (400, "invalid_argument", "488", "Not Acceptable Here", "client_error", "codecs or transport"),
        (408, "deadline_exceeded", "408", "Request Timeout", "upstream_error", "waited in vain"),
        (412, "failed_precondition", "503", "Service Unavailable", "upstream_error", "overloaded or down"),
        (404, "not_found", "302", "Moved Temporarily", "upstream_error", "sent us elsewhere"),
        (403, "permission_denied", "403", "Forbidden", "client_error", "403 Forbidden"),
    ],
)
async def test_a_sip_status_means_what_it_means_to_a_dialled_call(
    dial: Dial, http: int, code: str, status: str, phrase: str, kind: str, says: str
) -> None:
    meta = {"sip_status_code": status, "sip_status": phrase, "error_details": "CAMS"}
    run = await dial((http, twirp_error(code, f"twirp error unknown: INVITE failed: {status}", **meta)))
    assert (run.outcome.kind, run.outcome.status) == (kind, int(status))
    assert says in run.outcome.detail
    (row,) = run.trace.of("call.rejected")
    assert row.fields["status"] == int(status)
    (answer,) = run.trace.of("livekit.received")
    assert answer.fields["summary"] == f"{http} {code}"
    assert f"sip_status_code: {status}" in answer.fields["message"]
    assert run.trace.first("call.answered") is None


@pytest.mark.parametrize(
    "answer",
    [
        (401, twirp_error("unauthenticated", "INVITE failed", sip_status_code="407", sip_status="")),
        (500, twirp_error("unknown", "max auth retry attempts reached for SIP invite")),
        (500, twirp_error("unknown", "sip server required auth, but no username or password was provided")),
    ],
)
async def test_credentials_that_the_trunk_lacks(dial: Dial, answer: Answer) -> None:
    run = await dial(answer)
    assert (run.outcome.kind, run.outcome.status) == ("client_error", 407)
    assert "those that LiveKit has for the trunk are missing or wrong" in run.outcome.detail


@pytest.mark.parametrize(
    ("answer", "kind", "says"),
    [
        ((401, twirp_error("unauthenticated", "invalid API key")), "client_error", "LIVEKIT_API_SECRET"),
        ((401, "invalid token"), "client_error", "check LIVEKIT_API_KEY and LIVEKIT_API_SECRET"),
        ((403, twirp_error("permission_denied", "no call grant")), "client_error", "let this API key"),
        ((404, twirp_error("not_found", "object cannot be found")), "client_error", "check the trunk's id"),
        ((404, "<html>no such page"), "client_error", "no LiveKit SIP API at LIVEKIT_URL (HTTP 404)"),
        ((400, twirp_error("invalid_argument", "missing room name")), "client_error", "missing room name"),
        ((400, twirp_error("malformed", "bad protobuf")), "client_error", "could not read the request"),
        ((404, twirp_error("bad_route", "no handler")), "client_error", "no LiveKit SIP API"),
        ((501, twirp_error("unimplemented", "sip not connected")), "client_error", "has no SIP API"),
        ((400, twirp_error("out_of_range", "duration")), "client_error", "does not accept a value"),
        ((412, twirp_error("failed_precondition", "no common media")), "client_error", "no common media"),
        ((409, twirp_error("already_exists", "participant")), "client_error", "of that name already"),
        ((429, twirp_error("resource_exhausted", "quota")), "upstream_error", "limit of the LiveKit project"),
        ((409, twirp_error("aborted", "shutting down")), "upstream_error", "broke the call off"),
        ((503, twirp_error("unavailable", "no response from servers")), "upstream_error", "no response from"),
        ((503, "upstream connect error"), "upstream_error", "SIP service cannot be reached"),
        ((500, twirp_error("internal", "update room failed")), "upstream_error", "update room failed"),
        ((500, twirp_error("dataloss", "x")), "upstream_error", "failed inside"),
        ((500, twirp_error("unknown", "x", sip_status_code="200")), "upstream_error", "could not place"),
        ((502, "Bad Gateway"), "upstream_error", "could not place the call (HTTP 502)"),
    ],
)
async def test_what_livekit_itself_refuses(dial: Dial, answer: Answer, kind: str, says: str) -> None:
    run = await dial(answer)
    assert (run.outcome.kind, run.outcome.status) == (kind, 0)
    assert says in run.outcome.detail
    assert len(list(run.trace.of("call.unreachable"))) == 1


@pytest.mark.parametrize(
    ("text", "kind", "stage"),
    [
        ("sip request timed out", "agent_error", "ringing"),
        ("transaction failed to complete (2 intermediate responses)", "agent_error", "ringing"),
        ("transaction failed to complete (0 intermediate responses)", "upstream_error", "no response"),
    ],
)
@pytest.mark.parametrize(("http", "code"), [(408, "deadline_exceeded"), (408, "canceled")])
async def test_a_callee_who_does_not_pick_up(
    dial: Dial, http: int, code: str, text: str, kind: str, stage: str
) -> None:
    run = await dial((http, twirp_error(code, text)), ring_timeout=7)
    assert run.outcome.kind == kind
    (row,) = run.trace.of("call.timed_out")
    assert row.fields["stage"] == stage
    assert ("within 7 s" in run.outcome.detail) is (stage == "ringing")


async def test_a_livekit_that_does_not_answer_in_time_is_asked_to_end_the_call(
    dial: Dial, livekit: LiveKitApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def never(request: Any) -> Answer:
        await asyncio.sleep(5)
        raise AssertionError

    livekit.on_call = never
    monkeypatch.setattr(service, "RINGING_MARGIN_S", -0.5)
    monkeypatch.setattr("livekit.api._dial_timeout.RINGING_TIMEOUT_MARGIN", -0.7)
    run = await dial(ring_timeout=1)
    assert run.outcome.kind == "agent_error"
    assert [one.method for one in livekit.requests][-1] == "RoomService/RemoveParticipant"


async def test_a_livekit_that_is_not_there(dial: Dial, livekit: LiveKitApi) -> None:
    livekit.account = replace(livekit.account, url="http://127.0.0.1:9")
    run = await dial()
    assert run.outcome.kind == "upstream_error"
    assert "LiveKit does not answer at 127.0.0.1:9" in run.outcome.detail
    assert "check LIVEKIT_URL" in run.outcome.detail


async def test_a_failing_server_is_asked_once_only(dial: Dial, livekit: LiveKitApi) -> None:
    await dial((503, twirp_error("unavailable", "busy")))
    assert len([one for one in livekit.requests if one.method.endswith("CreateSIPParticipant")]) == 1
