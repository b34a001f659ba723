"""A body within a bound of bytes, and what goes first."""

import json
import time
from collections.abc import Callable
from typing import Any

import pytest

from tuner_core.config import TunerConfig
from tuner_core.errors import ConfigError
from tuner_core.repair import MAX_BODY_BYTES, conform
from tuner_core.repair.size import SMALLEST_BOUND

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

BOUND = 100_000
WORD = {"word": "hello", "start_ms": 10, "end_ms": 400}


def spoken(count: int, **more: Any) -> list[dict[str, Any]]:
    return [
        {
            "role": "user",
            "text": f"turn {number}",
            "start_ms": number * 1000,
            "end_ms": number * 1000 + 900,
            **more,
        }
        for number in range(count)
    ]


def conformed(**changes: Any) -> tuple[dict[str, Any], tuple[str, ...]]:
    result = conform({**CALL, **changes}, max_bytes=BOUND)
    assert len(result.body()) <= BOUND
    again = conform(json.loads(result.body()), max_bytes=BOUND)
    assert (again.body(), again.repairs) == (result.body(), ())
    return result.payload, result.repairs


def test_a_call_within_the_bound_is_left_alone() -> None:
    payload, repairs = conformed(transcript="x" * (BOUND - 5000))
    assert len(payload["transcript"]) == BOUND - 5000
    assert repairs == ()


def test_the_transcript_goes_first_since_it_follows_from_the_rows(assert_accepted: Check) -> None:
    rows = spoken(100, words=[WORD] * 10)
    payload, repairs = conformed(transcript="x" * BOUND, transcript_with_tool_calls=rows)
    assert_accepted(payload)
    assert "transcript" not in payload
    assert payload["transcript_with_tool_calls"] == rows
    assert len(repairs) == 1


def test_then_words_the_longest_first(assert_accepted: Check) -> None:
    rows = spoken(3)
    rows[0]["words"], rows[1]["words"], rows[2]["words"] = [WORD] * 10, [WORD] * 2000, [WORD] * 1000
    payload, repairs = conformed(transcript_with_tool_calls=rows, call_analysis={"kept": "x" * 20_000})
    assert_accepted(payload)
    assert ["words" in row for row in payload["transcript_with_tool_calls"]] == [True, False, True]
    assert repairs == ("transcript_with_tool_calls[].words: left out of a call that is too large",)


def test_then_what_the_api_does_not_know(assert_accepted: Check) -> None:
    payload, repairs = conformed(
        general_meta_data_raw={"big": "x" * BOUND, "small": 1, "tuner_sdk": {"kept": True}},
        metadata={"big": "x" * BOUND, "ai_models": {"llm_model": "m"}},
        brand_new={"big": "x" * BOUND},
        transcript_with_tool_calls=[
            *spoken(1, metadata={"e2e_latency": 5, "log": "x" * BOUND}, more="x" * BOUND),
            {"role": "agent_function", "tool": {"name": "t", "params": {"kept": "x" * 5000}}},
        ],
        call_analysis={"kept": "x" * 5000},
    )
    assert_accepted(payload)
    marker = {"left_out": "too large", "bytes": BOUND + 2}
    assert payload["general_meta_data_raw"] == {"big": marker, "small": 1, "tuner_sdk": {"kept": True}}
    assert payload["metadata"] == {"big": marker, "ai_models": {"llm_model": "m"}}
    assert payload["transcript_with_tool_calls"][0]["metadata"] == {"e2e_latency": 5, "log": marker}
    assert payload["transcript_with_tool_calls"][1]["tool"]["params"] == {"kept": "x" * 5000}
    assert payload["call_analysis"] == {"kept": "x" * 5000}
    assert len(repairs) == 5


def test_extras_that_are_many_instead_of_long_go_too(assert_accepted: Check) -> None:
    many = {f"key {number}": number for number in range(20_000)}
    rows = spoken(50, metadata={"e2e_latency": 5})
    payload, _ = conformed(general_meta_data_raw=many, metadata=many, transcript_with_tool_calls=rows)
    assert_accepted(payload)
    assert payload["transcript_with_tool_calls"] == rows
    assert payload["general_meta_data_raw"] == {}


def test_then_tool_values_the_largest_first(assert_accepted: Check) -> None:
    rows = [
        {"role": "agent_function", "tool": {"name": "a", "request_id": "1", "params": {"q": "x" * 200_000}}},
        {"role": "agent_result", "tool": {"name": "a", "request_id": "1", "result": {"rows": ["y"] * 9_000}}},
    ]
    payload, repairs = conformed(transcript_with_tool_calls=rows, call_analysis={"kept": "x" * 30_000})
    assert_accepted(payload)
    call, result = payload["transcript_with_tool_calls"]
    assert call["tool"] == {
        "name": "a",
        "request_id": "1",
        "params": {"left_out": "too large", "bytes": 200_008},
    }
    assert result["tool"]["result"] == {"rows": ["y"] * 9_000}
    assert repairs[0] == "transcript_with_tool_calls[].tool.params: too large, left out"


def test_then_texts_are_cut_to_one_length_and_say_so(assert_accepted: Check) -> None:
    rows = spoken(4)
    for row, length in zip(rows, (10, 200, 60_000, 150_000), strict=True):
        row["text"] = "ä" * length
    payload, _ = conformed(transcript_with_tool_calls=rows)
    assert_accepted(payload)
    texts = [row["text"] for row in payload["transcript_with_tool_calls"]]
    assert texts[:2] == ["ä" * 10, "ä" * 200]
    assert texts[2].endswith("ä … [cut, 60000 characters]")
    assert texts[3].endswith("ä … [cut, 150000 characters]")
    assert abs(len(texts[2]) - len(texts[3])) < 5
    assert len(texts[2]) > 20_000


def test_rows_go_last_from_the_middle_and_the_gap_is_told(assert_accepted: Check) -> None:
    payload, repairs = conformed(transcript_with_tool_calls=spoken(20_000))
    assert_accepted(payload)
    rows = payload["transcript_with_tool_calls"]
    assert (rows[0]["text"], rows[-1]["text"]) == ("turn 0", "turn 19999")
    [gap] = [row for row in rows if row["role"] == "node_transition"]
    left_out = 20_000 - (len(rows) - 1)
    assert gap["node"]["reason"] == f"{left_out} rows left out of a call that is too large"
    assert repairs == (
        f"transcript_with_tool_calls: too many rows, left out of the middle ({left_out} times)",
    )


@pytest.mark.parametrize("name", ["recipient", "recording_file_extension"])
def test_a_field_that_nobody_needs_so_long_goes_before_rows_do(name: str, assert_accepted: Check) -> None:
    rows = spoken(200)
    payload, _ = conformed(transcript_with_tool_calls=rows, **{name: "x" * 200_000})
    assert_accepted(payload)
    assert name not in payload
    assert payload["transcript_with_tool_calls"] == rows


def test_a_call_of_fifty_megabytes_comes_out_fast_with_its_rows(assert_accepted: Check) -> None:
    rows: list[dict[str, Any]] = []
    for _ in range(1200):
        rows += spoken(1, words=[WORD] * 20)
        rows.append({"role": "agent_result", "tool": {"name": "t", "result": {"page": "x" * 40_000}}})
    record = {**CALL, "transcript_with_tool_calls": rows, "general_meta_data_raw": {"log": "y" * 1_000_000}}
    assert len(json.dumps(record)) > 50_000_000
    started = time.process_time()
    result = conform(record)
    took_s = time.process_time() - started
    assert len(result.body()) <= MAX_BODY_BYTES
    assert_accepted(result.payload)
    assert len(result.payload["transcript_with_tool_calls"]) == 2400
    assert took_s < 5


def test_the_bound_can_be_configured_and_has_a_floor(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TUNER_MAX_BODY_BYTES", str(BOUND))
    config = TunerConfig(api_key="k", workspace_id=1, agent_id="a")
    result = conform({**CALL, "transcript": "x" * 200_000}, **config.conform_options())
    assert "transcript" not in result.payload
    monkeypatch.setenv("TUNER_MAX_BODY_BYTES", "10")
    with pytest.raises(ConfigError, match="TUNER_MAX_BODY_BYTES"):
        TunerConfig(api_key="k", workspace_id=1, agent_id="a")
    with pytest.raises(ValueError, match=str(SMALLEST_BOUND)):
        conform(CALL, max_bytes=10)
