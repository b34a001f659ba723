from __future__ import annotations

import pytest

from tuner_pipecat._ending import Ending, ended


@pytest.mark.parametrize(
    ("ending", "reason", "expected"),
    [
        ("end", None, "agent_hangup"),
        ("cancel", None, "user_hangup"),
        ("stop", None, "unknown"),
        ("none", None, "unknown"),
        ("cancel", "caller hung up", "user_hangup"),
        ("cancel", "agent_hangup", "agent_hangup"),
        ("cancel", "idle timeout", "timeout"),
        ("cancel", "fatal error: the service is gone", "error"),
        ("cancel", "OpenAILLMService#0 can no longer do its job", "error"),
        ("cancel", "interrupt signal", "unknown"),
        ("end", "client disconnected", "user_hangup"),
    ],
)
def test_the_reason_of_the_frame_decides_and_then_its_kind(
    ending: Ending, reason: object, expected: str
) -> None:
    assert ended(ending, reason, at=1.0).reason == expected


def test_the_applications_word_wins() -> None:
    event = ended("cancel", "fatal error", at=1.0, stated="user_hangup")
    assert (event.reason, event.status) == ("user_hangup", "call_ended")


def test_words_of_the_applications_own_are_kept_as_detail() -> None:
    event = ended("end", None, at=1.0, stated="transferred to billing")
    assert (event.reason, event.detail) == ("unknown", "transferred to billing")


def test_a_failure_is_the_calls_status() -> None:
    assert ended("cancel", "fatal error: x", at=1.0).status == "error"
