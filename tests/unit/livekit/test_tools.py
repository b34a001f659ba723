"""Tool calls: one call and one end each, whatever LiveKit told and in whichever order."""

from __future__ import annotations

import pytest
from livekit.agents.llm import FunctionCall, FunctionCallOutput

from tuner_core.events import ToolCalled, ToolReturned
from tuner_livekit._tools import ToolLog, value_of


def _call(call_id: str = "c1", arguments: str = '{"day": "monday"}') -> FunctionCall:
    return FunctionCall(call_id=call_id, name="find_slot", arguments=arguments, created_at=10.0)


def _output(output: str, call_id: str = "c1", *, is_error: bool = False) -> FunctionCallOutput:
    return FunctionCallOutput(
        call_id=call_id, name="find_slot", output=output, is_error=is_error, created_at=12.0
    )


def _told(log: ToolLog) -> tuple[ToolCalled, ToolReturned]:
    called, returned = log.events(ended_at=20.0)
    assert isinstance(called, ToolCalled)
    assert isinstance(returned, ToolReturned)
    return called, returned


def test_the_events_times_win_over_the_historys():
    log = ToolLog()
    log.started(_call(), at=10.5)
    log.ended("c1", at=11.0, status="done", message="10:30")
    log.started(_call(), at=10.0)
    log.returned(_output("10:30"))
    called, returned = _told(log)
    assert (called.at, called.params, called.name) == (10.5, {"day": "monday"}, "find_slot")
    assert (returned.at, returned.result, returned.is_error) == (11.0, "10:30", False)


def test_the_history_alone_is_enough():
    log = ToolLog()
    log.started(_call(), at=10.0)
    log.returned(_output("{'slot': '10:30', 'free': True}"))
    called, returned = _told(log)
    assert (called.at, returned.at, returned.result) == (10.0, 12.0, {"slot": "10:30", "free": True})


def test_a_failed_tool_says_so():
    log = ToolLog()
    log.started(_call(), at=10.0)
    log.ended("c1", at=11.0, status="error", message="no calendar")
    log.returned(_output("An internal error occurred", is_error=True))
    _, returned = _told(log)
    assert (returned.is_error, returned.error, returned.result) == (True, "An internal error occurred", None)


def test_a_cancelled_tool_is_an_error_even_with_an_output():
    log = ToolLog()
    log.started(_call(), at=10.0)
    log.ended("c1", at=11.0, status="cancelled", message=None)
    log.returned(_output("None"))
    _, returned = _told(log)
    assert (returned.at, returned.is_error, returned.error) == (11.0, True, "cancelled")


def test_a_tool_that_was_still_running_ends_with_the_call():
    log = ToolLog()
    log.started(_call(), at=10.0)
    _, returned = _told(log)
    assert (returned.at, returned.is_error) == (20.0, True)
    assert returned.error is not None


def test_progress_reports_are_no_calls_of_their_own_and_the_result_is_the_last_word():
    log = ToolLog()
    log.started(_call(), at=10.0)
    for call_id, output in (("c1", "searching"), ("c1_update_1", "still searching"), ("c1_final", "10:30")):
        log.started(_call(call_id), at=11.0)
        log.returned(_output(output, call_id))
    log.returned(_output("searching"))
    called, returned = _told(log)
    assert (called.request_id, returned.request_id, returned.result) == ("c1", "c1", "10:30")


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('{"a": 1}', {"a": 1}),
        ("{'a': None}", {"a": None}),
        ("[1, 2]", [1, 2]),
        ('{"a": ', '{"a": '),
        ("", ""),
        ("not json", "not json"),
        ("[" * 5000, "[" * 5000),
        ("[" * 100_000, "[" * 100_000),
        (None, None),
    ],
)
def test_arguments_and_results_are_read_as_far_as_they_can_be(text: str | None, value: object):
    assert value_of(text) == value
