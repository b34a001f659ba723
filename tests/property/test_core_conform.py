"""For any input: a body that the API accepts, or a typed error. Never anything else."""

import json
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import jsonschema
from hypothesis import given, settings
from hypothesis import strategies as st

from tuner_core.errors import InvalidRecord
from tuner_core.repair import conform
from tuner_core.repair.values import Repairs, as_json

VALIDATOR = jsonschema.Draft202012Validator(
    json.loads((Path(__file__).parents[1] / "data" / "create_call.schema.json").read_text())
)

scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=12),
    st.binary(max_size=6),
    st.decimals(),
    st.datetimes(),
    st.timedeltas(),
    st.uuids(),
    st.builds(object),
    st.sampled_from(
        ["user", "agent", "true", "{", "[1]", '{"a": NaN}', "\ud800", "1790000000", "CA" + "0" * 32]
    ),
)
values = st.recursive(
    scalars,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.tuples(inner, inner),
        st.dictionaries(st.one_of(st.text(max_size=6), st.integers(), st.none()), inner, max_size=4),
        st.frozensets(st.integers(), max_size=3),
    ),
    max_leaves=12,
)


def mapping_of(*names: str, inner: st.SearchStrategy[Any] = values) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({}, optional=dict.fromkeys(names, inner))


words = st.one_of(
    values, st.lists(st.one_of(values, mapping_of("word", "start_ms", "end_ms", "confidence")), max_size=3)
)
times = st.one_of(st.integers(-10, 10**13), st.floats(), values)
segments = st.one_of(
    values,
    st.fixed_dictionaries(
        {
            "role": st.one_of(
                st.sampled_from(["user", "agent", "agent_function", "agent_result", "node_transition"]),
                values,
            )
        },
        optional={
            "text": values,
            "words": words,
            "start_ms": times,
            "end_ms": times,
            "duration_ms": times,
            "node": st.one_of(values, mapping_of("from", "to", "reason")),
            "tool": st.one_of(
                values,
                mapping_of("name", "request_id", "params", "result", "is_error", "error", "start_ms", "more"),
            ),
            "metadata": values,
            "more": values,
        },
    ),
)
moments = st.one_of(
    st.integers(0, 2 * 10**18),
    st.floats(0, 2e18),
    st.datetimes(datetime(1971, 1, 2), datetime(2200, 1, 1)),
    values,
)
records = st.fixed_dictionaries(
    {"call_id": st.one_of(st.text(min_size=1, max_size=300), values)},
    optional={
        "start_timestamp": moments,
        "end_timestamp": moments,
        "transcript_with_tool_calls": st.one_of(values, st.lists(segments, max_size=5)),
        "recording_url": st.one_of(values, st.text(min_size=1020, max_size=1030)),
        "metadata": st.one_of(
            values,
            mapping_of(
                "ai_models",
                "usage_token",
                "more",
                inner=st.one_of(
                    values,
                    mapping_of("asr_model", "llm_model", "tts_model", "stt_duration_seconds", "llm_token"),
                ),
            ),
        ),
        **dict.fromkeys(
            [
                "call_type",
                "transcript",
                "duration_ms",
                "call_status",
                "disconnection_reason",
                "caller_phone_number",
                "call_successful",
                "user_sentiment",
                "in_voicemail",
                "collected_dynamic_variables",
                "call_cost",
                "call_analysis",
                "general_meta_data_raw",
                "recording_multi_channel_url",
                "agent_version",
                "sip_call_id",
                "recipient",
                "sip_headers",
                "recording_file_extension",
                "recording_s3_multi_channel",
                "recording_s3_caller_channel",
                "something_new",
            ],
            values,
        ),
    },
)


@settings(max_examples=200, deadline=None)
@given(records)
def test_any_record_is_made_acceptable_or_refused_with_a_typed_error(record: dict[str, Any]) -> None:
    try:
        conformed = conform(record)
    except InvalidRecord:
        return
    sent = json.loads(conformed.body())
    VALIDATOR.validate(sent)
    assert sent["start_timestamp"] <= sent["end_timestamp"]
    starts = [
        row["start_ms"] for row in sent["transcript_with_tool_calls"] if row.get("start_ms") is not None
    ]
    assert starts == sorted(starts)


@settings(max_examples=60, deadline=None)
@given(records)
def test_conforming_what_was_conformed_changes_nothing_that_matters(record: dict[str, Any]) -> None:
    try:
        once = conform(record).payload
    except InvalidRecord:
        return
    twice = conform(once).payload
    assert twice.keys() == once.keys()
    assert twice["call_id"] == once["call_id"]
    assert twice["transcript_with_tool_calls"] == once["transcript_with_tool_calls"]


@settings(max_examples=100, deadline=None)
@given(values)
def test_any_value_has_a_json_form(value: Any) -> None:
    converted = as_json(value, field="x", repairs=Repairs())
    assert json.loads(json.dumps(converted, allow_nan=False, ensure_ascii=False).encode()) == converted


@given(
    st.recursive(st.one_of(st.none(), st.booleans(), st.integers(-(2**60), 2**60), st.text("ab")), st.lists)
)
def test_what_is_json_already_is_not_changed(value: Any) -> None:
    repairs = Repairs()
    assert as_json(value, field="x", repairs=repairs) == value
    assert repairs.listed() == ()


def test_decimals_keep_their_value() -> None:
    assert as_json([Decimal("1.5"), Decimal("2.0")], field="x", repairs=Repairs()) == [1.5, 2]
