"""The local Tuner's request model against the contract, field by field."""

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tuner_core.local.validation import PostedRecord, RefusedBody, check_record, parse_record, problem_text

SCHEMA = json.loads(Path(__file__).parents[3].joinpath("data/create_call.schema.json").read_text())
CONTRACT = jsonschema.Draft202012Validator(SCHEMA)

START = 1_760_000_000


def segment(**changes: Any) -> dict[str, Any]:
    return {"role": "agent", "text": "Hello!", "start_ms": 600, "end_ms": 1400} | changes


def body(**changes: Any) -> dict[str, Any]:
    whole = {
        "call_id": "c-81",
        "call_type": "phone_call",
        "transcript_with_tool_calls": [segment()],
        "start_timestamp": START,
        "end_timestamp": START + 42,
        "recording_url": "pending",
    }
    return {name: value for name, value in (whole | changes).items() if value is not ...}


def fields_at_fault(document: object) -> list[str]:
    try:
        check_record(document)
    except RefusedBody as refused:
        return [".".join(str(part) for part in problem["loc"]) for problem in refused.problems]
    return []


def in_segment(**changes: Any) -> dict[str, Any]:
    return body(transcript_with_tool_calls=[segment(), segment(**changes)])


ACCEPTED = {
    "the least": body(),
    "milliseconds": body(start_timestamp=START * 1000, end_timestamp=START * 1000 + 1),
    "a call of no length": body(end_timestamp=START),
    "an integer written with a point": body(start_timestamp=float(START)),
    "unknown keys": body(colour="red", transcript_with_tool_calls=[segment(colour="red")]),
    "nulls": body(transcript=None, metadata=None, sip_call_id=None, user_sentiment=None, agent_version=None),
    "the longest strings": body(call_id="c" * 200, call_type="t" * 100, recording_url="u" * 1024),
    "cost with a fraction": body(call_cost=12.5),
    "words alone place a turn": body(
        transcript_with_tool_calls=[
            {"role": "user", "words": [{"word": "hi", "start_ms": 1, "end_ms": 2, "confidence": 0.5}]}
        ]
    ),
    "start and duration place a turn": in_segment(end_ms=None, duration_ms=800),
    "a tool needs no time": in_segment(
        role="agent_function", start_ms=None, end_ms=None, tool={"name": "look_up", "params": {}}
    ),
    "a node transition": in_segment(role="node_transition", node={"from": "a", "to": "b"}),
    "a segment that ends before it starts": in_segment(start_ms=900, end_ms=100),
}

REFUSED = {
    "no call_id": (body(call_id=...), "body.call_id"),
    "empty call_id": (body(call_id=""), "body.call_id"),
    "long call_id": (body(call_id="c" * 201), "body.call_id"),
    "a number as call_id": (body(call_id=81), "body.call_id"),
    "long call_type": (body(call_type="t" * 101), "body.call_type"),
    "no transcript": (body(transcript_with_tool_calls=[]), "body.transcript_with_tool_calls"),
    "a timestamp in quotes": (body(start_timestamp=str(START)), "body.start_timestamp"),
    "a timestamp with a fraction": (body(end_timestamp=START + 0.5), "body.end_timestamp"),
    "a timestamp before 1970": (body(start_timestamp=-1), "body.start_timestamp"),
    "a timestamp that is true": (body(start_timestamp=True), "body.start_timestamp"),
    "an end before the start": (body(end_timestamp=START - 1), "body.end_timestamp"),
    "seconds with milliseconds": (body(end_timestamp=START * 1000), "body.end_timestamp"),
    "microseconds": (
        body(start_timestamp=START * 10**6, end_timestamp=START * 10**6),
        "body.start_timestamp",
    ),
    "an empty recording_url": (body(recording_url=""), "body.recording_url"),
    "a long recording_url": (body(recording_url="u" * 1025), "body.recording_url"),
    "a version like v2": (body(agent_version="v2"), "body.agent_version"),
    "a version below zero": (body(agent_version=-1), "body.agent_version"),
    "a sentiment of one's own": (body(user_sentiment="cross"), "body.user_sentiment"),
    "a long reason": (body(disconnection_reason="r" * 101), "body.disconnection_reason"),
    "a long phone number": (body(caller_phone_number="+" + "1" * 50), "body.caller_phone_number"),
    "a word as bool": (body(call_successful="yes"), "body.call_successful"),
    "a cost in quotes": (body(call_cost="12"), "body.call_cost"),
    "a header that is no string": (body(sip_headers={"X-A": 1}), "body.sip_headers.X-A"),
    "headers as a list": (body(sip_headers=["X-A: 1"]), "body.sip_headers"),
    "analysis as a list": (body(call_analysis=[]), "body.call_analysis"),
    "tokens with a fraction": (
        body(metadata={"usage_token": {"llm_token": 1.5}}),
        "body.metadata.usage_token.llm_token",
    ),
    "an unknown role": (in_segment(role="assistant"), "body.transcript_with_tool_calls.1.role"),
    "a turn without time": (in_segment(start_ms=None), "body.transcript_with_tool_calls.1"),
    "a turn with no words and no time": (
        in_segment(start_ms=None, end_ms=None, words=[]),
        "body.transcript_with_tool_calls.1",
    ),
    "tool params as a string": (
        in_segment(tool={"params": "{}"}),
        "body.transcript_with_tool_calls.1.tool.params",
    ),
    "a tool result as a list": (
        in_segment(tool={"result": [1]}),
        "body.transcript_with_tool_calls.1.tool.result",
    ),
    "a node without to": (
        in_segment(role="node_transition", node={"from": "a"}),
        "body.transcript_with_tool_calls.1.node.to",
    ),
    "a transition without node": (
        in_segment(role="node_transition"),
        "body.transcript_with_tool_calls.1",
    ),
    "segment metadata null": (in_segment(metadata=None), "body.transcript_with_tool_calls.1.metadata"),
    "a word without time": (
        in_segment(words=[{"word": "hi"}]),
        "body.transcript_with_tool_calls.1.words.0.start_ms",
    ),
    "a list": ([], "body"),
    "null": (None, "body"),
}


@pytest.mark.parametrize("name", ACCEPTED)
def test_accepts_what_the_contract_allows(name: str) -> None:
    assert fields_at_fault(ACCEPTED[name]) == []
    assert CONTRACT.is_valid(ACCEPTED[name])


@pytest.mark.parametrize("name", REFUSED)
def test_refuses_what_the_contract_forbids_and_names_the_field(name: str) -> None:
    document, field = REFUSED[name]
    assert field in fields_at_fault(document)


def test_rounds_fractions_of_a_millisecond_up() -> None:
    record = check_record(in_segment(start_ms=600.2, end_ms=1400.0, duration_ms=799.8))
    odd = record.transcript_with_tool_calls[1]
    assert (odd.start_ms, odd.end_ms, odd.duration_ms) == (601, 1400, 800)


@pytest.mark.parametrize("unit", [1, 1000])
def test_tells_seconds_from_milliseconds(unit: int) -> None:
    record = check_record(body(start_timestamp=START * unit, end_timestamp=(START + 42) * unit))
    assert (record.started_at, record.ended_at) == (START, START + 42)


def test_finds_the_correlation_header_whatever_its_case() -> None:
    record = check_record(body(sip_headers={"X-Other": "1", "x-CORRELATION-id": " 0af3 "}))
    assert record.correlation_id == "0af3"


@pytest.mark.parametrize(
    "text", [b"", b"{", b"\xff\xfe\xfa", b"[" * 100_000, b'{"call_cost": NaN}', b'{"a": Infinity}']
)
def test_refuses_what_is_not_json(text: bytes) -> None:
    with pytest.raises(RefusedBody) as refused:
        parse_record(text)
    assert [problem["type"] for problem in refused.value.problems] == ["json_invalid"]


def test_repeats_no_value_in_what_it_says_of_a_body() -> None:
    secret = "my card is 4111 1111 1111 1111"
    document = body(call_id=5, transcript_with_tool_calls=[segment(text=[secret], start_ms=secret)])
    with pytest.raises(RefusedBody) as refused:
        check_record(document)
    assert "4111" not in json.dumps(refused.value.problems)
    assert "4111" not in str(refused.value)


def test_says_a_problem_in_one_line() -> None:
    with pytest.raises(RefusedBody) as refused:
        check_record(in_segment(tool={"params": "x"}))
    assert problem_text(refused.value.problems[0]).startswith("transcript_with_tool_calls.1.tool.params: ")


numbers = st.one_of(st.integers(-2, 5000), st.floats(-2, 5000), st.booleans(), st.text(max_size=2), st.none())
words = st.fixed_dictionaries(
    {"word": st.text(max_size=3), "start_ms": numbers, "end_ms": numbers}, optional={"confidence": numbers}
)
segments = st.fixed_dictionaries(
    {"role": st.sampled_from(["user", "agent", "agent_function", "agent_result", "node_transition", "bot"])},
    optional={
        "text": st.one_of(st.text(max_size=3), st.none(), st.integers()),
        "words": st.one_of(st.none(), st.lists(words, max_size=2)),
        "start_ms": numbers,
        "end_ms": numbers,
        "duration_ms": numbers,
        "node": st.one_of(
            st.none(), st.fixed_dictionaries({"from": st.just("a")}, optional={"to": st.just("b")})
        ),
        "tool": st.one_of(
            st.none(),
            st.fixed_dictionaries(
                {},
                optional={
                    "params": st.sampled_from([{}, [], "x", None]),
                    "start_ms": numbers,
                    "is_error": numbers,
                },
            ),
        ),
        "metadata": st.sampled_from([{}, {"e2e_latency": 1}, None, []]),
    },
)
changes = st.fixed_dictionaries(
    {"transcript_with_tool_calls": st.lists(segments, max_size=2)},
    optional={
        "call_id": st.sampled_from(["", "c" * 200, "c" * 201, 4]),
        "call_type": st.sampled_from(["web_call", "", None]),
        "start_timestamp": st.sampled_from([float(START), str(START), -1]),
        "end_timestamp": st.sampled_from([START + 3, START + 3.5, None]),
        "recording_url": st.sampled_from(["https://a/b", "", "u" * 1025]),
        "agent_version": numbers,
        "duration_ms": numbers,
        "call_cost": numbers,
        "call_successful": numbers,
        "user_sentiment": st.sampled_from(["positive", "cross", None]),
        "recording_s3_caller_channel": numbers,
        "sip_headers": st.sampled_from([{"X-A": "b"}, {"X-A": 2}, [], None]),
        "metadata": st.sampled_from([{}, None, [], {"ai_models": {"asr_model": 1}}, {"usage_token": None}]),
    },
)


@given(changes)
@settings(max_examples=300, deadline=None)
def test_accepts_exactly_what_the_schema_accepts_but_for_rounding(changed: dict[str, Any]) -> None:
    document = body(**changed)
    rounded = json.loads(json.dumps(document), parse_float=_up)
    rounded |= {name: document[name] for name in document if name in OF_THE_CALL}
    assert (not fields_at_fault(document)) == CONTRACT.is_valid(rounded)


OF_THE_CALL = frozenset(PostedRecord.model_fields) - {"transcript_with_tool_calls"}
"""Numbers of the call itself are never rounded; those of a segment are."""


def _up(number: str) -> int:
    return -int(-float(number) // 1)
