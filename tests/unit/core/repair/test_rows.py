"""Rows of the transcript: roles, times, words, order."""

import weakref
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pydantic import BaseModel

from tuner_core.records import CallRecord, Segment, Word
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


def test_a_call_where_nobody_spoke_is_still_a_call(assert_accepted: Check) -> None:
    conformed = conform({**CALL, "transcript_with_tool_calls": []})
    assert_accepted(conformed.payload)
    [row] = conformed.payload["transcript_with_tool_calls"]
    assert row["role"] == "node_transition"
    assert any("nobody spoke" in repair for repair in conformed.repairs)


def test_a_node_transition_is_sent_under_the_names_from_and_to(assert_accepted: Check) -> None:
    record = CallRecord(
        call_id="c",
        call_type="phone_call",
        start_timestamp=START,
        end_timestamp=START,
        transcript_with_tool_calls=[Segment.node_transition("greeting", "billing", reason="asked")],
    )
    payload = conform(record).payload
    assert_accepted(payload)
    assert payload["transcript_with_tool_calls"][0]["node"] == {
        "from": "greeting",
        "to": "billing",
        "reason": "asked",
    }


def test_a_spoken_row_gets_the_times_that_the_api_insists_on(assert_accepted: Check) -> None:
    rows = [
        {"role": "agent", "text": "one", "start_ms": 100, "end_ms": 900},
        {"role": "user", "text": "no times"},
        {"role": "agent", "text": "start only", "start_ms": 2000},
        {"role": "user", "text": "end only", "end_ms": 3000},
        {"role": "agent", "text": "duration", "start_ms": 4000, "duration_ms": 500},
        {"role": "user", "text": "words", "words": [{"word": "hi", "start_ms": 5000, "end_ms": 5200}]},
    ]
    payload = conform({**CALL, "transcript_with_tool_calls": rows}).payload
    assert_accepted(payload)
    times = [(row["start_ms"], row["end_ms"]) for row in payload["transcript_with_tool_calls"]]
    assert times == [(100, 900), (900, 900), (2000, 2000), (3000, 3000), (4000, 4500), (5000, 5200)]


def test_rows_are_put_into_order_and_untimed_ones_follow_their_neighbour() -> None:
    rows = [
        {"role": "user", "text": "late", "start_ms": 900, "end_ms": 950},
        {"role": "agent_function", "tool": {"name": "of late"}},
        {"role": "agent", "text": "early", "start_ms": 10, "end_ms": 90},
    ]
    conformed = conform({**CALL, "transcript_with_tool_calls": rows})
    ordered = [
        row.get("text") or row["tool"]["name"] for row in conformed.payload["transcript_with_tool_calls"]
    ]
    assert ordered == ["early", "late", "of late"]
    assert any("order" in repair for repair in conformed.repairs)


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        ({"start_ms": 1000.2, "end_ms": 2000.7}, {"start_ms": 1001, "end_ms": 2001}),
        ({"start_ms": -5, "end_ms": 20}, {"start_ms": 0, "end_ms": 20}),
        ({"start_ms": 30, "end_ms": 20}, {"start_ms": 30, "end_ms": 30}),
        (
            {"start_ms": 30, "end_ms": 50, "duration_ms": 99},
            {"start_ms": 30, "end_ms": 50, "duration_ms": 20},
        ),
        ({"start_ms": float("nan"), "end_ms": 50}, {"start_ms": 50, "end_ms": 50}),
        ({"start_ms": START * 1000 + 700, "end_ms": START + 1}, {"start_ms": 700, "end_ms": 1000}),
    ],
    ids=["fractions go up", "negative", "backwards", "wrong duration", "nan", "unix times"],
)
def test_times_of_a_row(given: dict[str, Any], sent: dict[str, Any], assert_accepted: Check) -> None:
    row, _ = only_row(role="user", text="x", **given)
    assert {name: row[name] for name in row if name.endswith("_ms")} == sent


def test_roles_of_other_vocabularies_are_understood_and_unknown_ones_left_out() -> None:
    rows = [
        {"role": "assistant", "text": "a", "start_ms": 0, "end_ms": 1},
        {"role": "alien", "text": "b", "start_ms": 2, "end_ms": 3},
    ]
    conformed = conform({**CALL, "transcript_with_tool_calls": rows})
    assert [row["role"] for row in conformed.payload["transcript_with_tool_calls"]] == ["agent"]
    assert any("without a known role" in repair for repair in conformed.repairs)


def test_words_that_miss_something_are_left_out(assert_accepted: Check) -> None:
    words: list[Any] = [
        Word(word="hello", start_ms=10, end_ms=20, confidence=0.5),
        {"word": "no times"},
        "not a word",
        {"word": "nan", "start_ms": 30, "end_ms": 40, "confidence": float("nan")},
    ]
    row, repairs = only_row(role="user", text="hello", words=words)
    assert row["words"] == [
        {"word": "hello", "start_ms": 10, "end_ms": 20, "confidence": 0.5},
        {"word": "nan", "start_ms": 30, "end_ms": 40},
    ]
    assert any("(2 times)" in repair for repair in repairs)


def test_rows_that_nobody_can_read_are_not_told_as_silence() -> None:
    conformed = conform({**CALL, "transcript_with_tool_calls": [None, 5]})
    assert conformed.payload["transcript_with_tool_calls"][0]["node"]["reason"] == "no row could be read"
    assert any("a row without a known role was left out (2 times)" in repair for repair in conformed.repairs)


@pytest.mark.parametrize("bad", [None, 5, "text", [], {}, {"role": 7}, {"role": "alien"}, object(), Word])
def test_one_bad_row_never_costs_another(bad: Any, assert_accepted: Check) -> None:
    good = CALL["transcript_with_tool_calls"][0]
    payload = conform({**CALL, "transcript_with_tool_calls": [bad, good, bad]}).payload
    assert_accepted(payload)
    assert payload["transcript_with_tool_calls"] == [good]


def test_rows_may_be_models_dataclasses_or_mappings(assert_accepted: Check) -> None:
    class Row(BaseModel):
        role: str = "user"
        text: str = "model"
        start_ms: int = 1
        end_ms: int = 2

    @dataclass
    class Plain:
        role: str = "agent"
        text: str = "dataclass"
        start_ms: float = 3.2
        end_ms: float = 4

    rows = [Row(), Plain(), Segment.user("segment", start_ms=5, end_ms=6)]
    payload = conform({**CALL, "transcript_with_tool_calls": rows}).payload
    assert_accepted(payload)
    assert [row["text"] for row in payload["transcript_with_tool_calls"]] == ["model", "dataclass", "segment"]


@pytest.mark.parametrize(
    "rows",
    [
        tuple(CALL["transcript_with_tool_calls"]),
        CALL["transcript_with_tool_calls"][0],
        {"only": CALL["transcript_with_tool_calls"][0]}.values(),
        '[{"role": "agent", "text": "Hello!", "start_ms": 600, "end_ms": 1400}]',
    ],
    ids=["tuple", "one row", "values", "JSON text"],
)
def test_rows_in_another_container_are_still_rows(rows: Any) -> None:
    payload = conform({**CALL, "transcript_with_tool_calls": rows}).payload
    assert payload["transcript_with_tool_calls"] == CALL["transcript_with_tool_calls"]


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        ("User", "user"),
        (" AGENT ", "agent"),
        ("Assistant", "agent"),
        ("agent-function", "agent_function"),
        ("tool", "agent_result"),
        ("caller", "user"),
    ],
)
def test_roles_are_known_however_they_are_written(given: str, sent: str) -> None:
    row, repairs = only_row(role=given, text="x", start_ms=0, end_ms=1)
    assert row["role"] == sent
    assert any(repair.startswith("transcript_with_tool_calls[].role") for repair in repairs)


@pytest.mark.parametrize(
    ("fields", "role"),
    [
        ({"tool": {"name": "x", "params": {}}}, "agent_function"),
        ({"tool": {"name": "x", "result": {}}}, "agent_result"),
        ({"tool": {"name": "x", "is_error": True}}, "agent_result"),
        ({"node": {"from": "a", "to": "b"}}, "node_transition"),
    ],
)
def test_what_a_row_holds_stands_in_for_its_role(fields: dict[str, Any], role: str) -> None:
    row, _ = only_row(**fields)
    assert row["role"] == role


def test_text_under_the_name_content_is_not_lost() -> None:
    row, repairs = only_row(role="assistant", content="Hello!", start_ms=0, end_ms=900)
    assert row["text"] == "Hello!"
    assert "transcript_with_tool_calls[].text: taken from content" in repairs


@pytest.mark.parametrize(
    ("text", "sent"), [(5, "5"), (["a", 1], '["a", 1]'), (b"abc", "abc"), ({"a": None}, '{"a": null}')]
)
def test_text_that_is_no_text_is_written_as_text(text: Any, sent: str, assert_accepted: Check) -> None:
    row, _ = only_row(role="user", text=text, start_ms=0, end_ms=1)
    assert row["text"] == sent


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        ({"start_ms": datetime.fromtimestamp(START + 2, UTC), "end_ms": timedelta(seconds=3)}, (2000, 3000)),
        ({"start_ms": f"{START + 2}", "end_ms": "2500"}, (2000, 2500)),
        ({"start_ms": 1e18, "end_ms": 2500}, (0, 2500)),
        ({"start_ms": "soon", "end_ms": 2500}, (2500, 2500)),
        ({"start_ms": True, "end_ms": [1], "duration_ms": {}}, (0, 0)),
        ({"end_ms": 900, "duration_ms": 400}, (500, 900)),
        ({"start_ms": START - 10, "end_ms": 20}, (0, 20)),
    ],
)
def test_odd_times_of_a_row_are_read_or_left_out(
    given: dict[str, Any], sent: tuple[int, int], assert_accepted: Check
) -> None:
    row, repairs = only_row(role="user", text="x", **given)
    assert (row["start_ms"], row["end_ms"]) == sent
    assert repairs
    assert_accepted({**conform(CALL).payload, "transcript_with_tool_calls": [row]})


def test_rows_in_seconds_become_milliseconds() -> None:
    rows = [
        {"role": "agent", "text": "Hello, how can I help you?", "start_ms": 0.6, "end_ms": 2.4},
        {
            "role": "user",
            "text": "A table for two",
            "start_ms": 3,
            "end_ms": 4.5,
            "words": [{"word": "A", "start_ms": 3.0, "end_ms": 3.2}],
        },
        {"role": "agent_function", "tool": {"name": "book", "start_ms": 5.5}, "start_ms": 5.5},
        {"role": "agent", "text": "Done, see you tonight", "start_ms": 38.1, "end_ms": 40.0},
    ]
    conformed = conform({**CALL, "transcript_with_tool_calls": rows})
    sent = conformed.payload["transcript_with_tool_calls"]
    assert [row["start_ms"] for row in sent] == [600, 3000, 5500, 38_100]
    assert sent[1]["words"] == [{"word": "A", "start_ms": 3000, "end_ms": 3200}]
    assert sent[2]["tool"]["start_ms"] == 5500
    assert "transcript_with_tool_calls: times in seconds, made milliseconds" in conformed.repairs


def test_a_short_exchange_in_milliseconds_is_left_as_it_is() -> None:
    rows = [{"role": "agent", "text": "Hello, how can I help you?", "start_ms": 20, "end_ms": 45}]
    short = {**CALL, "end_timestamp": START + 2, "transcript_with_tool_calls": rows}
    assert conform(short).payload["transcript_with_tool_calls"] == rows


def test_words_in_seconds_become_milliseconds_within_a_row_in_milliseconds() -> None:
    words = [
        {"word": "hello", "start_ms": 0.61, "end_ms": 0.98},
        {"word": "you", "start_ms": 1.0, "end_ms": 1.4},
    ]
    row, repairs = only_row(role="user", text="hello you", start_ms=600, end_ms=1400, words=words)
    assert [(word["start_ms"], word["end_ms"]) for word in row["words"]] == [(610, 980), (1000, 1400)]
    assert (row["start_ms"], row["end_ms"]) == (600, 1400)
    assert "transcript_with_tool_calls[].words: times in seconds, made milliseconds" in repairs


def test_words_keep_what_the_api_does_not_know_and_lose_times_that_run_backwards() -> None:
    words = [{"word": 5, "start_ms": 30, "end_ms": 20, "speaker": 1, "confidence": "0.5"}]
    row, _ = only_row(role="user", text="5", start_ms=0, end_ms=1, words=words)
    assert row["words"] == [{"word": "5", "start_ms": 30, "end_ms": 30, "confidence": 0.5, "speaker": 1}]


@pytest.mark.parametrize("words", ["hello", {"word": "x"}, 5, [None], [[]]])
def test_words_that_are_none_do_not_cost_the_row(words: Any) -> None:
    row, repairs = only_row(role="user", text="hello", start_ms=0, end_ms=1, words=words)
    assert "words" not in row
    assert any(repair.startswith("transcript_with_tool_calls[].words") for repair in repairs)


class Broken:
    def __iter__(self) -> Iterator[Any]:
        yield CALL["transcript_with_tool_calls"][0]
        raise RuntimeError


@pytest.mark.parametrize(
    "make", [lambda: 5, Broken, str, lambda: "text", lambda: weakref.proxy(Broken()), object]
)
def test_what_is_no_list_of_rows_does_not_cost_the_call(
    make: Callable[[], Any], assert_accepted: Check
) -> None:
    conformed = conform({**CALL, "transcript_with_tool_calls": make()})
    assert_accepted(conformed.payload)
    assert any(repair.startswith("transcript_with_tool_calls: ") for repair in conformed.repairs)
