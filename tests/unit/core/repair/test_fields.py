"""The other fields of a record: each repaired on its own."""

from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import numpy
import pytest

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


def test_characters_that_no_database_takes_are_removed(assert_accepted: Check) -> None:
    conformed = conform({**CALL, "transcript": "a\x00b\ud800c"})
    assert conformed.payload["transcript"] == "ab?c"
    assert conformed.body()


@pytest.mark.parametrize("url", [None, "", 0, ["u"], float("nan")])
def test_a_missing_recording_is_pending(url: Any, assert_accepted: Check) -> None:
    conformed = conform({**CALL, "recording_url": url})
    if url != 0:
        assert conformed.payload["recording_url"] == "pending"
        assert "recording_url: missing, sent as 'pending'" in conformed.repairs
    assert_accepted(conformed.payload)


@pytest.mark.parametrize(
    "recipient", ["sip:sim-abc@sip.example", " <SIP:Ä%20;x=1?y=2> ", "+49 30 1234567", "x" * 5000]
)
def test_the_recipient_is_sent_verbatim(recipient: str, assert_accepted: Check) -> None:
    conformed = conform({**CALL, "recipient": recipient})
    assert_accepted(conformed.payload)
    assert conformed.payload["recipient"] == recipient
    assert conformed.repairs == ()


@pytest.mark.parametrize("recipient", ["sip:a\x00b", "sip:\ud800", 5, ["sip:a"]])
def test_a_recipient_that_cannot_be_sent_verbatim_is_not_sent_at_all(recipient: Any) -> None:
    conformed = conform({**CALL, "recipient": recipient})
    assert "recipient" not in conformed.payload
    assert conformed.repairs == ("recipient: not text that can be sent as it is, left out",)


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        ("Positive ", "positive"),
        ("NEUTRAL", "neutral"),
        ("happy", "unknown"),
        (5, "unknown"),
        ("", "unknown"),
    ],
)
def test_sentiment_is_one_of_the_apis_words(given: Any, sent: str, assert_accepted: Check) -> None:
    conformed = conform({**CALL, "user_sentiment": given})
    assert_accepted(conformed.payload)
    assert conformed.payload["user_sentiment"] == sent
    assert any(repair.startswith("user_sentiment") for repair in conformed.repairs)


@pytest.mark.parametrize(
    ("given", "sent"), [(3.0, 3), (2.5, None), (2**70, None), (numpy.int64(4), 4), ((2, 3), None), ("", None)]
)
def test_versions_of_other_types(given: Any, sent: int | None, assert_accepted: Check) -> None:
    conformed = conform({**CALL, "agent_version": given})
    assert_accepted(conformed.payload)
    assert conformed.payload.get("agent_version") == sent


@pytest.mark.parametrize("name", ["call_successful", "in_voicemail", "recording_s3_multi_channel"])
@pytest.mark.parametrize(
    ("given", "sent"),
    [
        (True, True),
        ("yes", True),
        ("OFF", False),
        (1, True),
        (numpy.bool_(False), False),
        ("maybe", None),
        (2, None),
    ],
)
def test_flags_say_what_was_meant(name: str, given: Any, sent: bool | None, assert_accepted: Check) -> None:
    conformed = conform({**CALL, name: given})
    assert_accepted(conformed.payload)
    assert conformed.payload.get(name) is sent


@pytest.mark.parametrize(
    ("given", "sent"),
    [(125, 125), ("12.5", 12.5), (Decimal("1.5"), 1.5), (float("inf"), None), (True, None), ([], None)],
)
def test_costs_are_numbers(given: Any, sent: float | None, assert_accepted: Check) -> None:
    conformed = conform({**CALL, "call_cost": given})
    assert_accepted(conformed.payload)
    assert conformed.payload.get("call_cost") == sent


@pytest.mark.parametrize(
    ("given", "sent"), [(0, 0), (1.0, 1), ("1", 1), (-1, None), ("left", None), (1e300, None)]
)
def test_the_callers_channel_is_an_index(given: Any, sent: int | None, assert_accepted: Check) -> None:
    conformed = conform({**CALL, "recording_s3_caller_channel": given})
    assert_accepted(conformed.payload)
    assert conformed.payload.get("recording_s3_caller_channel") == sent


@pytest.mark.parametrize(
    "name", ["collected_dynamic_variables", "call_analysis", "metadata", "general_meta_data_raw"]
)
@pytest.mark.parametrize("given", ["text", [1], 5, True])
def test_objects_are_objects(name: str, given: Any, assert_accepted: Check) -> None:
    conformed = conform({**CALL, name: given})
    assert_accepted(conformed.payload)
    assert conformed.payload[name] == {"value": given}
    assert conformed.repairs == (f"{name}: not an object, wrapped in one",)


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        ({"llm_token": 12.0}, {"llm_token": 12}),
        ({"llm_token": "12"}, {"llm_token": 12}),
        ({"llm_token": 12.5}, {"user_llm_token": 12.5}),
        ({"llm_token": True}, {"user_llm_token": True}),
        ({"llm_token": [1], "user_llm_token": 2}, {"user_llm_token": 2, "user_llm_token_2": [1]}),
        ({"stt_duration_seconds": "1.5"}, {"stt_duration_seconds": 1.5}),
        ({"tts_characters_count": 2**70}, {"user_tts_characters_count": str(2**70)}),
    ],
)
def test_usage_has_the_apis_types_and_loses_nothing(
    given: dict[str, Any], sent: dict[str, Any], assert_accepted: Check
) -> None:
    conformed = conform({**CALL, "metadata": {"usage_token": given}})
    assert_accepted(conformed.payload)
    assert conformed.payload["metadata"]["usage_token"] == sent


def test_a_reserved_name_that_is_taken_in_its_new_place_too_is_numbered() -> None:
    payload = conform({**CALL, "metadata": {"ai_models": "x", "user_ai_models": "mine"}}).payload
    assert payload["metadata"] == {"user_ai_models": "mine", "user_ai_models_2": "x"}


@pytest.mark.parametrize(
    ("mine", "kept"),
    [
        ("text", {"user_tuner_sdk": "text", "tuner_sdk": {"agent_version": "v2.3.1"}}),
        ({"a": 1}, {"tuner_sdk": {"a": 1, "agent_version": "v2.3.1"}}),
        ({"agent_version": 9}, {"tuner_sdk": {"user_agent_version": 9, "agent_version": "v2.3.1"}}),
    ],
)
def test_a_key_of_yours_named_as_the_sdks_own_is_not_overwritten(mine: Any, kept: dict[str, Any]) -> None:
    record = {**CALL, "agent_version": "v2.3.1", "general_meta_data_raw": {"tuner_sdk": mine}}
    assert conform(record).payload["general_meta_data_raw"] == kept
