"""What rows carry besides text and times: tools, nodes, metadata."""

from collections.abc import Callable
from typing import Any

import numpy
import pytest

from tuner_core.records import Segment
from tuner_core.repair import conform

Check = Callable[[Any], None]
START = 1_790_000_000
CALL: dict[str, Any] = {
    "call_id": "c-81",
    "call_type": "phone_call",
    "start_timestamp": START,
    "end_timestamp": START + 42,
    "recording_url": "https://recordings.example/c-81.wav",
    "transcript_with_tool_calls": [{"role": "agent", "text": "Hello!", "start_ms": 600, "end_ms": 1400}],
}


def only_row(**fields: Any) -> tuple[dict[str, Any], tuple[str, ...]]:
    conformed = conform({**CALL, "transcript_with_tool_calls": [fields]})
    return conformed.payload["transcript_with_tool_calls"][0], conformed.repairs


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        ({"a": 1}, {"a": 1}),
        ('{"a": 1}', {"a": 1}),
        ("", {}),
        ("{broken", {"value": "{broken"}),
        ([1, 2], {"value": [1, 2]}),
        ("[1, 2]", {"value": [1, 2]}),
        (7, {"value": 7}),
        (False, {"value": False}),
        ("done", {"value": "done"}),
    ],
)
def test_tool_values_are_objects(given: Any, sent: dict[str, Any], assert_accepted: Check) -> None:
    conformed = conform(
        {**CALL, "transcript_with_tool_calls": [Segment.tool_result("look_up", result=given)]}
    )
    assert_accepted(conformed.payload)
    assert conformed.payload["transcript_with_tool_calls"][0]["tool"]["result"] == sent


def test_a_tool_without_arguments_has_none() -> None:
    row, _ = only_row(role="agent_function", tool={"name": "hang_up", "params": None})
    assert row["tool"] == {"name": "hang_up"}


@pytest.mark.parametrize("given", ['{"a": 1}', "", "{broken", [1, 2], "[1, 2]", 7, False, "done"])
def test_a_tool_value_that_was_no_object_is_listed(given: Any) -> None:
    _, repairs = only_row(role="agent_result", tool={"name": "x", "result": given})
    assert any(repair.startswith("transcript_with_tool_calls[].tool.result") for repair in repairs)


@pytest.mark.parametrize("tool", [{}, {"params": {"a": 1}}, {"name": None, "result": {}}])
def test_a_tool_without_a_name_is_sent_without_one(tool: dict[str, Any], assert_accepted: Check) -> None:
    payload = conform(
        {**CALL, "transcript_with_tool_calls": [{"role": "agent_function", "tool": tool}]}
    ).payload
    assert_accepted(payload)
    assert "name" not in payload["transcript_with_tool_calls"][0]["tool"]


def test_a_tool_that_is_only_a_name_or_nothing_at_all() -> None:
    assert only_row(role="agent_function", tool="look_up")[0]["tool"] == {"name": "look_up"}
    row, repairs = only_row(role="agent_function", tool=5)
    assert "tool" not in row
    assert "transcript_with_tool_calls[].tool: not an object, left out" in repairs


@pytest.mark.parametrize(
    ("given", "sent"),
    [("false", False), ("True", True), (0, False), (numpy.bool_(True), True), ("odd", None)],
)
def test_is_error_says_what_was_meant(given: Any, sent: bool | None, assert_accepted: Check) -> None:
    row, _ = only_row(role="agent_result", tool={"name": "x", "is_error": given})
    assert row["tool"].get("is_error") == sent


def test_members_of_a_tool_have_the_apis_types(assert_accepted: Check) -> None:
    tool = {"name": 5, "request_id": 7, "error": ValueError("no"), "start_ms": "soon", "more": {1, 2}}
    row, _ = only_row(role="agent_result", tool=tool)
    assert row["tool"] == {"name": "5", "request_id": "7", "error": "ValueError: no", "more": [1, 2]}
    assert_accepted({**conform(CALL).payload, "transcript_with_tool_calls": [row]})


@pytest.mark.parametrize(
    ("node", "sent"),
    [
        (None, {"from": "unknown", "to": "unknown"}),
        ("billing", {"from": "unknown", "to": "unknown"}),
        ({"to": "b"}, {"from": "unknown", "to": "b"}),
        ({"from_": 1, "to": None, "reason": 5}, {"from": "1", "to": "unknown", "reason": "5"}),
        ({"from": "a", "to": "b", "cost": 3}, {"from": "a", "to": "b", "cost": 3}),
    ],
)
def test_a_node_has_from_and_to(node: Any, sent: dict[str, Any], assert_accepted: Check) -> None:
    row, _ = only_row(role="node_transition", node=node)
    assert row["node"] == sent
    assert_accepted({**conform(CALL).payload, "transcript_with_tool_calls": [row]})


@pytest.mark.parametrize("metadata", ["text", [1], 5, True])
def test_metadata_of_a_row_is_an_object(metadata: Any, assert_accepted: Check) -> None:
    row, repairs = only_row(role="user", text="x", start_ms=0, end_ms=1, metadata=metadata)
    assert row["metadata"] == {"value": metadata}
    assert "transcript_with_tool_calls[].metadata: not an object, wrapped in one" in repairs


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        ({"e2e_latency": -5}, {}),
        ({"e2e_latency": float("nan")}, {}),
        ({"e2e_latency": 0}, {"e2e_latency": 0}),
        ({"e2e_latency": "812.5"}, {"e2e_latency": 812.5}),
        ({"llm_node_ttft": "slow"}, {"user_llm_node_ttft": "slow"}),
        (
            {"llm_node_ttft": "slow", "user_llm_node_ttft": 1},
            {"user_llm_node_ttft": 1, "user_llm_node_ttft_2": "slow"},
        ),
        ({"transcript_confidence": 97}, {}),
        ({"transcript_confidence": 0.97}, {"transcript_confidence": 0.97}),
        ({"interrupted": "true"}, {"interrupted": True}),
        ({"mine": -5}, {"mine": -5}),
    ],
)
def test_measures_of_a_row_are_numbers_that_can_be(given: dict[str, Any], sent: dict[str, Any]) -> None:
    row, repairs = only_row(role="agent", text="x", start_ms=0, end_ms=1, metadata=given)
    assert row["metadata"] == sent
    assert bool(repairs) == (given != sent)
