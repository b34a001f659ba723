"""A record as a whole: what is sent, what cannot be repaired, what is never shown."""

import copy
import json
import logging
import weakref
from collections.abc import Callable
from typing import Any
from uuid import UUID

import pytest
from pydantic import BaseModel

from tuner_core.errors import InvalidRecord
from tuner_core.records import CallRecord, Segment, Tool
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


class Gone:
    """Once it is collected, even `isinstance` raises for a proxy of it."""


@pytest.mark.parametrize("given", [81, b"81", UUID(int=81)])
def test_a_call_id_of_another_type_is_written_as_text_and_said_so(given: Any) -> None:
    conformed = conform({**CALL, "call_id": given})
    assert conformed.call_id in {"81", "00000000-0000-0000-0000-000000000051"}
    assert conformed.repairs == ("call_id: not plain text, written as such",)


@pytest.mark.parametrize("record", [None, [], "{}", 5, object()])
def test_what_is_no_record_at_all_is_a_typed_error(record: Any) -> None:
    with pytest.raises(InvalidRecord, match="CallRecord or a mapping"):
        conform(record)


def test_a_model_of_your_own_with_the_apis_names_is_a_record_too(assert_accepted: Check) -> None:
    class MyCall(BaseModel):
        call_id: str = "c-81"
        start_timestamp: int = START
        transcript_with_tool_calls: list[dict[str, Any]] = CALL["transcript_with_tool_calls"]

    payload = conform(MyCall()).payload  # pyright: ignore[reportArgumentType]
    assert_accepted(payload)
    assert payload["transcript_with_tool_calls"] == CALL["transcript_with_tool_calls"]


def test_an_object_that_is_gone_costs_its_own_field_only(assert_accepted: Check) -> None:
    row = CALL["transcript_with_tool_calls"][0]
    names = ["call_type", "duration_ms", "call_status", "call_cost", "call_successful", "user_sentiment"]
    names += ["agent_version", "metadata", "call_analysis", "sip_headers", "sip_call_id", "recipient", "more"]
    names += ["end_timestamp", "recording_url", "recording_s3_caller_channel", "caller_phone_number"]
    for name in names:
        conformed = conform({**CALL, name: weakref.proxy(Gone())})
        assert_accepted(conformed.payload)
        assert conformed.payload["transcript_with_tool_calls"] == [row]
        assert any(repair.startswith((name, "a field")) for repair in conformed.repairs), name


def test_an_object_that_is_gone_costs_its_own_row_only(assert_accepted: Check) -> None:
    for name in (
        "role",
        "text",
        "words",
        "start_ms",
        "end_ms",
        "duration_ms",
        "tool",
        "node",
        "metadata",
        "more",
    ):
        bad = {
            "role": "user",
            "text": "x",
            "start_ms": 1,
            "end_ms": 2,
            name: weakref.proxy(Gone()),
        }
        rows = [bad, *CALL["transcript_with_tool_calls"], weakref.proxy(Gone())]
        payload = conform({**CALL, "transcript_with_tool_calls": rows}).payload
        assert_accepted(payload)
        assert CALL["transcript_with_tool_calls"][0] in payload["transcript_with_tool_calls"], name


def test_the_record_is_not_changed() -> None:
    record = {
        **CALL,
        "metadata": {"ai_models": "x", "usage_token": {"llm_token": "many"}},
        "general_meta_data_raw": {"tuner_sdk": 5, "mine": [1]},
        "agent_version": "v2.3.1",
        "transcript_with_tool_calls": [{"role": "user", "text": "x", "metadata": {"e2e_latency": "slow"}}],
    }
    before = copy.deepcopy(record)
    conform(record)
    assert record == before


def test_conforming_a_body_again_changes_nothing() -> None:
    once = conform(
        {"call_id": "c", "start_timestamp": START, "agent_version": "v2.3.1", "user_sentiment": "odd"}
    )
    twice = conform(json.loads(once.body()))
    assert twice.body() == once.body()
    assert twice.repairs == ()


async def test_the_log_of_a_delivery_lists_the_repairs_without_content(
    caplog: pytest.LogCaptureFixture, tmp_path: Any
) -> None:
    from tuner_core.config import TunerConfig
    from tuner_core.delivery import Delivery
    from tuner_core.testing import ScriptedTuner

    record = {**CALL, "user_sentiment": "s3cr3t", "call_status": "s3cr3t" * 40, "agent_version": "s3cr3t"}
    with ScriptedTuner() as tuner, caplog.at_level(logging.DEBUG):
        config = TunerConfig(
            api_key="k", workspace_id=1, agent_id="a", base_url=tuner.base_url, outbox=tmp_path / "outbox"
        )
        async with Delivery(config) as delivery:
            outcome = await delivery.deliver(record)
    assert outcome.receipt is not None
    assert len(outcome.receipt.repairs) == 3
    told = next(line for line in caplog.messages if "was repaired" in line)
    assert all(repair in told for repair in outcome.receipt.repairs)
    assert "s3cr3t" not in caplog.text


def test_nothing_planted_in_a_key_shows_in_the_repairs() -> None:
    secret = "s3cr3t"
    record = {
        **CALL,
        secret: {1, object()},
        "metadata": {"ai_models": {secret: object()}, secret: float("nan")},
        "sip_headers": {secret: 1},
        "transcript_with_tool_calls": [
            {"role": "agent_function", secret: object(), "tool": {secret: object(), "params": secret}},
            {"role": secret},
            {"role": "user", "words": [{"word": "x", "start_ms": 1, "end_ms": 2, secret: object()}]},
        ],
    }
    conformed = conform(record)
    assert len(conformed.repairs) > 5
    assert secret not in " ".join(conformed.repairs)
