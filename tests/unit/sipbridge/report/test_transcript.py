from __future__ import annotations

from typing import Any

import pytest

from tuner_sipbridge.report.transcript import Row, rows_of

START = 1_700_000_000.0


def turn(text: str, started_ms: float, **fields: Any) -> dict[str, Any]:
    return {"kind": "speech", "text": text, "started_ms": started_ms, "ended_ms": started_ms + 900, **fields}


def user(text: str, start_ms: float | None = None) -> dict[str, Any]:
    return {"role": "user", "text": text, "start_ms": start_ms}


def agent(text: str, start_ms: float | None = None, **metadata: Any) -> dict[str, Any]:
    return {"role": "agent", "text": text, "start_ms": start_ms, "metadata": metadata}


def rows(segments: list[Any], turns: list[Any], start: float = START * 1000) -> list[Row]:
    record = {"start_timestamp": start, "transcript_with_tool_calls": segments}
    return rows_of(record, turns, recording_started_at=START)


def test_what_was_posted_stands_beside_what_was_said_with_wrong_words_marked() -> None:
    [row] = rows([user("where is my older", 1000)], [turn("Where is my order?", 1010)])
    assert row.said == "Where is my order?"
    assert row.posted == (("where", True), ("is", True), ("my", True), ("older", False))


def test_the_reply_carries_the_latency_heard_and_the_one_reported() -> None:
    segments = [user("hello", 1000), agent("Hi.", 2600, e2e_latency=510), agent("More.", 4000)]
    _, first, second = rows(segments, [turn("hello", 1000, response_latency_ms=700.0)])
    assert (first.latency_ms, first.reported_ms) == (700.0, 510)
    assert second.latency_ms is None


def test_a_posted_turn_of_nobodys_does_not_take_the_reply_away() -> None:
    segments = [user("42#", 1000), user("DTMF: 42#", 1400), agent("Hi.", 2600)]
    found = rows(segments, [turn("42#", 1000, kind="digits", response_latency_ms=700.0)])
    assert found[-1].latency_ms == 700.0


def test_a_turn_the_agent_did_not_post_keeps_its_place() -> None:
    segments = [user("first", 1000), agent("One.", 2000), agent("Two.", 9000)]
    found = rows(segments, [turn("first", 1000), turn("second", 5000)])
    assert [row.text for row in found] == ["first", "One.", "second", "Two."]
    assert found[2].posted == ()


def test_a_posted_turn_that_nobody_spoke_stands_alone() -> None:
    found = rows([user("hello", 1000), user("xyzzy", 30000)], [turn("hello", 1000)])
    assert [(row.said, row.text) for row in found] == [("hello", "hello"), ("", "xyzzy")]


def test_the_same_sentence_twice_is_paired_in_order() -> None:
    segments = [user("yes", 1000), user("yes", 6000)]
    found = rows(segments, [turn("Yes.", 1000), turn("Yes.", 3000), turn("Yes.", 6000)])
    assert [bool(row.posted) for row in found] == [True, False, True]


def test_a_record_by_another_clock_is_laid_on_the_recordings() -> None:
    segments = [user("where is my order", 1000), agent("There.", 2500)]
    found = rows(segments, [turn("Where is my order?", 1400)], start=(START + 7200) * 1000)
    assert [row.at_ms for row in found] == [1400, 2900]


def test_timestamps_in_seconds_are_understood() -> None:
    found = rows([agent("Hello.", 500)], [], start=START + 1)
    assert found[0].at_ms == 1500


def test_keys_match_however_they_are_written() -> None:
    [row] = rows([user("DTMF: 42#", 1000)], [turn("42#", 1000, kind="digits")])
    assert row.kind == "digits"
    assert all(same for _, same in row.posted)


def test_tools_show_arguments_result_and_failure() -> None:
    segments = [
        {"role": "agent_function", "tool": {"name": "f", "params": {"a": 1}}},
        {"role": "agent_result", "tool": {"name": "f", "is_error": True, "error": "boom"}},
        {"role": "node_transition", "node": {"from": "a", "to": "b"}},
    ]
    called, failed, node = rows(segments, [])
    assert called.detail == (("called with", '{"a": 1}'),)
    assert (failed.detail, failed.failed) == ((("error", "boom"),), True)
    assert node.detail == (("from", "a"), ("to", "b"))


def test_without_a_record_the_callers_words_are_left() -> None:
    [row] = rows_of(None, [turn("hello", 100)], recording_started_at=START)
    assert (row.who, row.said, row.posted) == ("caller", "hello", ())


@pytest.mark.parametrize(
    "segments", [None, "text", [1, "x"], [{"role": "user"}], [{"role": "agent_result", "tool": 3}]]
)
def test_an_odd_record_does_not_stop_the_report(segments: Any) -> None:
    rows(segments, [turn("hello", 100)])
