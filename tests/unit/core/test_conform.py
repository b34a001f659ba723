"""Every defect that made a whole call be refused or lost, repaired and noted."""

from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from tuner_core.errors import InvalidRecord
from tuner_core.records import CallRecord, Segment, Tool, Word
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


def only_segment(**fields: Any) -> tuple[dict[str, Any], tuple[str, ...]]:
    conformed = conform({**CALL, "transcript_with_tool_calls": [fields]})
    return conformed.payload["transcript_with_tool_calls"][0], conformed.repairs


def test_a_good_record_is_not_touched_but_for_the_unit_of_its_times(assert_accepted: Check) -> None:
    conformed = conform(CALL)
    assert_accepted(conformed.payload)
    assert conformed.repairs == ()
    assert conformed.payload == {
        **CALL,
        "start_timestamp": START * 1000,
        "end_timestamp": (START + 42) * 1000,
    }


def test_the_models_give_the_same_body_as_the_mapping() -> None:
    record = CallRecord(
        call_id="c-81",
        call_type="phone_call",
        start_timestamp=START,
        end_timestamp=START + 42,
        recording_url=CALL["recording_url"],
        transcript_with_tool_calls=[Segment.agent("Hello!", start_ms=600, end_ms=1400)],
    )
    assert conform(record).payload == conform(CALL).payload


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


@pytest.mark.parametrize(
    "moment",
    [
        START,
        START * 1000,
        START * 1_000_000,
        START * 1_000_000_000,
        float(START),
        str(START),
        datetime.fromtimestamp(START, UTC),
        datetime.fromtimestamp(START, UTC).replace(tzinfo=None),
        datetime.fromtimestamp(START, UTC).isoformat(),
        Decimal(START),
    ],
    ids=["s", "ms", "us", "ns", "float", "text", "datetime", "naive", "iso", "decimal"],
)
def test_every_spelling_of_a_moment_becomes_unix_milliseconds(moment: Any) -> None:
    assert conform({**CALL, "start_timestamp": moment}).payload["start_timestamp"] == START * 1000


def test_seconds_and_milliseconds_in_one_record_become_one_unit(assert_accepted: Check) -> None:
    payload = conform({**CALL, "start_timestamp": START, "end_timestamp": START * 1000 + 5500}).payload
    assert_accepted(payload)
    assert payload["end_timestamp"] - payload["start_timestamp"] == 5500


def test_a_missing_or_earlier_end_is_derived(assert_accepted: Check) -> None:
    for broken in (None, START - 10, "tomorrow", float("nan")):
        payload = conform({**CALL, "end_timestamp": broken, "duration_ms": 3000}).payload
        assert_accepted(payload)
        assert payload["end_timestamp"] == START * 1000 + 3000


def test_a_call_where_nobody_spoke_is_still_a_call(assert_accepted: Check) -> None:
    conformed = conform({**CALL, "transcript_with_tool_calls": []})
    assert_accepted(conformed.payload)
    [row] = conformed.payload["transcript_with_tool_calls"]
    assert row["role"] == "node_transition"
    assert any("nobody spoke" in repair for repair in conformed.repairs)


@pytest.mark.parametrize(
    "missing",
    [{"call_id": ""}, {"call_id": None}, {"start_timestamp": None, "end_timestamp": None}],
)
def test_what_nothing_can_stand_in_for_is_a_typed_error(missing: dict[str, Any]) -> None:
    with pytest.raises(InvalidRecord):
        conform({**CALL, **missing})


def test_a_long_call_id_stays_the_same_on_every_retry_and_differs_from_its_neighbours() -> None:
    one, again, other = (
        conform({**CALL, "call_id": text}).call_id for text in ("x" * 300, "x" * 300, "x" * 299 + "y")
    )
    assert one == again
    assert one != other
    assert len(one) <= 200


@pytest.mark.parametrize(
    ("name", "limit"),
    [("call_type", 100), ("call_status", 100), ("disconnection_reason", 100), ("caller_phone_number", 50)],
)
def test_long_text_is_cut_to_its_bound(name: str, limit: int, assert_accepted: Check) -> None:
    conformed = conform({**CALL, name: "ä" * 500})
    assert_accepted(conformed.payload)
    assert conformed.payload[name] == "ä" * limit
    assert len(conformed.repairs) == 1


def test_a_url_that_is_too_long_is_kept_aside_and_never_cut(assert_accepted: Check) -> None:
    url = "https://storage.example/c-81.wav?signature=" + "s" * 1200
    payload = conform({**CALL, "recording_url": url, "general_meta_data_raw": {"mine": 1}}).payload
    assert_accepted(payload)
    assert payload["recording_url"] == "pending"
    assert payload["general_meta_data_raw"] == {"mine": 1, "tuner_sdk": {"recording_url": url}}


@pytest.mark.parametrize(
    ("given", "sent"), [(3, 3), ("7", 7), ("v12", 12), ("v2.3.1", None), (-1, None), (True, None)]
)
def test_agent_version_is_a_whole_number_or_is_kept_aside(given: Any, sent: int | None) -> None:
    conformed = conform({**CALL, "agent_version": given})
    assert conformed.payload.get("agent_version") == sent
    assert bool(conformed.repairs) == (sent is None)


def test_a_version_that_is_no_number_can_still_be_read_at_tuner() -> None:
    payload = conform({**CALL, "agent_version": "v2.3.1"}).payload
    assert payload["general_meta_data_raw"]["tuner_sdk"]["agent_version"] == "v2.3.1"


@pytest.mark.parametrize(
    ("carrier_id", "advice"),
    [
        ("CA" + "0a" * 16, "SipCallId"),
        ("SCL_abcDEF123456", "sip.callIDFull"),
        ("v3:u8yuAbcDefGhiJklMnoPqrStu-_x", "data.payload.sip_call_id"),
    ],
)
def test_a_carriers_own_id_is_never_sent_as_the_call_id(carrier_id: str, advice: str) -> None:
    conformed = conform({**CALL, "sip_call_id": carrier_id})
    assert "sip_call_id" not in conformed.payload
    [repair] = conformed.repairs
    assert advice in repair
    assert carrier_id not in repair


@pytest.mark.parametrize(
    "call_id",
    ["2jf9wCCX7Ab3kLmNoPqRsTuVwXy", "a84b4c76e66710@pc33.example", "f81d4fae-7dec-11d0-a765-00a0c91e6bf6"],
)
def test_a_sip_call_id_is_sent_as_it_is(call_id: str) -> None:
    conformed = conform({**CALL, "sip_call_id": call_id})
    assert conformed.payload["sip_call_id"] == call_id
    assert conformed.repairs == ()


def test_sip_headers_hold_text_only(assert_accepted: Check) -> None:
    headers = {"X-A": 1, "X-B": ["x", "y"], "X-C": None, "X-D": "d"}
    payload = conform({**CALL, "sip_headers": headers}, allowed_sip_headers=headers).payload
    assert_accepted(payload)
    assert payload["sip_headers"] == {"X-A": "1", "X-B": "x", "X-D": "d"}


def test_reserved_metadata_of_another_shape_is_moved_and_not_lost(assert_accepted: Check) -> None:
    payload = conform(
        {
            **CALL,
            "metadata": {
                "ai_models": "gpt",
                "usage_token": {"llm_token": "many", "stt_duration_seconds": 2.5},
            },
        }
    ).payload
    assert_accepted(payload)
    assert payload["metadata"] == {
        "user_ai_models": "gpt",
        "usage_token": {"user_llm_token": "many", "stt_duration_seconds": 2.5},
    }


def test_values_without_a_json_form_do_not_cost_the_call(assert_accepted: Check) -> None:
    class Odd:
        def __str__(self) -> str:
            raise RuntimeError

    cycle: dict[str, Any] = {}
    cycle["self"] = cycle
    payload = conform(
        {
            **CALL,
            "collected_dynamic_variables": {
                "when": datetime(2026, 1, 2, tzinfo=UTC),
                "sum": Decimal("1.50"),
            },
            "call_analysis": {"nan": float("nan"), "odd": Odd(), "raw": b"\xff", "cycle": cycle},
            "general_meta_data_raw": ["a", "list"],
            "call_cost": Decimal("12.5"),
            "user_sentiment": "Ecstatic",
            "call_successful": "true",
            "duration_ms": 41.2,
        }
    ).payload
    assert_accepted(payload)
    assert payload["collected_dynamic_variables"] == {"when": "2026-01-02T00:00:00+00:00", "sum": 1.5}
    assert payload["call_analysis"]["nan"] is None
    assert payload["call_analysis"]["odd"] == "<Odd>"
    assert payload["general_meta_data_raw"] == {"value": ["a", "list"]}
    assert payload["call_cost"] == 12.5
    assert payload["user_sentiment"] == "unknown"
    assert payload["call_successful"] is True
    assert payload["duration_ms"] == 42_000


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
    row, _ = only_segment(role="agent_function", tool={"name": "hang_up", "params": None})
    assert row["tool"] == {"name": "hang_up"}


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
        ({"start_ms": 10.2, "end_ms": 20.7}, {"start_ms": 11, "end_ms": 21}),
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
    row, _ = only_segment(role="user", text="x", **given)
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
    row, repairs = only_segment(role="user", text="hello", words=words)
    assert row["words"] == [
        {"word": "hello", "start_ms": 10, "end_ms": 20, "confidence": 0.5},
        {"word": "nan", "start_ms": 30, "end_ms": 40},
    ]
    assert any("(2 times)" in repair for repair in repairs)


def test_characters_that_no_database_takes_are_removed(assert_accepted: Check) -> None:
    conformed = conform({**CALL, "transcript": "a\x00b\ud800c"})
    assert conformed.payload["transcript"] == "ab?c"
    assert conformed.body()


def test_a_record_made_without_validation_is_repaired_as_well(assert_accepted: Check) -> None:
    record = CallRecord.model_construct(
        call_id=5,
        call_type=None,
        start_timestamp=START,
        end_timestamp=None,
        recording_url=17,
        caller_phone_number=4930123456,
        transcript_with_tool_calls=[
            Segment.model_construct(role="agent_result", tool=Tool.model_construct(name=3))
        ],
    )
    payload = conform(record).payload
    assert_accepted(payload)
    assert payload["call_id"] == "5"
    assert payload["call_type"] == "phone_call"
    assert payload["caller_phone_number"] == "4930123456"


def test_a_field_that_this_version_does_not_know_is_passed_on() -> None:
    assert conform({**CALL, "brand_new": {"a": 1}}).payload["brand_new"] == {"a": 1}


def test_neither_repairs_nor_representations_show_content() -> None:
    record = {
        **CALL,
        "transcript_with_tool_calls": [
            {"role": "user", "text": "my card is 4111111111111111", "start_ms": "4111111111111111x"},
            {"role": "agent_result", "tool": {"name": "pay", "result": "4111111111111111"}},
        ],
        "caller_phone_number": "+4930123456" * 9,
        "call_analysis": "4111111111111111",
    }
    conformed = conform(record)
    shown = repr(conformed) + " ".join(conformed.repairs)
    assert "4111" not in shown
    assert "+4930" not in shown
