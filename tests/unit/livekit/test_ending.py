"""Why a call ended."""

from __future__ import annotations

from typing import Any

import pytest
from livekit import rtc

from tuner_core.events import CallEnded
from tuner_livekit._ending import Left, ending_of

REASON = rtc.DisconnectReason


def _ended(**given: Any) -> CallEnded:
    known: dict[str, Any] = {
        "at": 50.0,
        "caller_left": None,
        "room_left": None,
        "close_reason": "user_initiated",
        "failed_at": None,
        "job_reason": None,
    }
    return ending_of(**{**known, **given})


@pytest.mark.parametrize(
    ("reason", "expected"),
    [
        (REASON.CLIENT_INITIATED, "user_hangup"),
        (REASON.UNKNOWN_REASON, "user_hangup"),
        (REASON.USER_REJECTED, "user_hangup"),
        (REASON.ROOM_DELETED, "agent_hangup"),
        (REASON.PARTICIPANT_REMOVED, "agent_hangup"),
        (REASON.USER_UNAVAILABLE, "timeout"),
        (REASON.CONNECTION_TIMEOUT, "timeout"),
        (REASON.SIP_TRUNK_FAILURE, "error"),
        (REASON.MEDIA_FAILURE, "error"),
    ],
)
def test_the_callers_leaving_says_why(reason: Any, expected: str):
    ended = _ended(caller_left=Left(48.0, reason), close_reason="participant_disconnected")
    assert (ended.reason, ended.at, ended.status) == (expected, 48.0, "call_ended")


def test_a_session_that_nobody_left_was_ended_by_the_agents_side():
    assert _ended().reason == "agent_hangup"
    assert _ended(close_reason="task_completed").reason == "agent_hangup"
    assert _ended(close_reason=None, job_reason="parent process shutdown").reason == "agent_hangup"


def test_a_participant_who_left_unseen_hung_up():
    assert _ended(close_reason="participant_disconnected").reason == "user_hangup"


@pytest.mark.parametrize(
    "given",
    [
        {"close_reason": "error"},
        {"failed_at": 49.0},
        {"close_reason": None, "job_reason": "job crashed"},
        {"failed_at": 47.0, "caller_left": Left(48.0, REASON.CLIENT_INITIATED)},
    ],
)
def test_a_failure_is_an_error_and_no_success(given: dict[str, Any]):
    ended = _ended(**given)
    assert (ended.reason, ended.status) == ("error", "error")


def test_a_failure_after_the_caller_hung_up_does_not_hide_who_ended_the_call():
    ended = _ended(failed_at=49.0, caller_left=Left(48.0, REASON.CLIENT_INITIATED))
    assert (ended.reason, ended.at) == ("user_hangup", 48.0)


@pytest.mark.parametrize(
    ("reason", "expected"),
    [
        (REASON.ROOM_DELETED, "agent_hangup"),
        (REASON.ROOM_CLOSED, "user_hangup"),
        (REASON.SERVER_SHUTDOWN, "error"),
    ],
)
def test_the_rooms_end_counts_when_the_caller_was_not_seen_leaving(reason: Any, expected: str):
    assert _ended(room_left=Left(49.0, reason)).reason == expected


def test_the_frameworks_own_words_are_kept_as_detail():
    ended = _ended(caller_left=Left(48.0, REASON.CLIENT_INITIATED), job_reason="room disconnected")
    assert ended.detail == "caller: CLIENT_INITIATED, session: user_initiated, job: room disconnected"


def test_a_reason_unknown_to_this_version_counts_as_unknown():
    assert Left.now(1.0, 4711) == Left.now(1.0, None) == Left(1.0, REASON.UNKNOWN_REASON)
