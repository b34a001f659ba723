"""Events and facts as JSON and back; the record made of a journal."""

import inspect
import json
import math
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, get_args

import pytest

from tuner_core.delivery.journal import event_in, event_text, facts_in, facts_json
from tuner_core.delivery.recovery import rebuilt, record_of
from tuner_core.delivery.sink import CallFacts
from tuner_core.events import (
    AgentTurn,
    CallEnded,
    CallEvent,
    CallStarted,
    DigitPressed,
    NodeChanged,
    ToolCalled,
    ToolReturned,
    TurnMetrics,
    UsageReported,
    UserTurn,
    Word,
)
from tuner_core.identity.model import SipIdentity
from tuner_core.outbox.parcels import Destination, OpenCall
from tuner_core.timeline import CallTimeline

T0 = 1_790_000_000.0
EVENTS: list[CallEvent] = [
    CallStarted(T0),
    UserTurn(
        "Hi \U0001f600",
        T0 + 1,
        T0 + 2,
        id="u1",
        source="injected",
        words=(Word("Hi", T0 + 1, T0 + 1.5, 0.9), Word("\U0001f600", T0 + 1.5, T0 + 2)),
        metrics=TurnMetrics(stt_latency_s=0.2, extra={"x": [1]}),
    ),
    AgentTurn("Hel", T0 + 3, T0 + 4, "a1", True, T0 + 4, "Hello", (), TurnMetrics(e2e_latency_s=0.0)),
    ToolCalled(T0 + 5, "t1", "refund", {"order": 17}),
    ToolReturned(T0 + 6, "t1", "refund", None, True, "no such order"),
    NodeChanged(T0 + 7, "greet", "refund", "asked"),
    DigitPressed(T0 + 8, "#"),
    UsageReported(llm_model="m", llm_tokens=0, stt_audio_s=1.5, extra={"y": None}),
    CallEnded(T0 + 9, "user_hangup", "call_ended", "bye"),
]


def open_call(*events: CallEvent, lines: tuple[str, ...] = (), lives: bool = False, **facts: Any) -> OpenCall:
    told = tuple(str(event_text(event)) for event in events)
    to = Destination("https://api.example", 1, "agent")
    return OpenCall(to, "c-1", T0, T0 + 30, True, lives, told + lines, facts_json(facts))


def test_every_kind_of_event_is_known() -> None:
    assert {type(event) for event in EVENTS} == set(get_args(CallEvent))


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: type(event).__name__)
def test_an_event_comes_back_as_it_was(event: CallEvent) -> None:
    line = event_text(event)
    assert line is not None
    assert "\n" not in line
    assert event_in(line) == event


def test_values_that_are_no_json_are_kept_as_near_as_can_be() -> None:
    odd = {"at": datetime(2026, 1, 1, tzinfo=UTC), "n": Decimal("1.5"), "nan": math.nan, "o": object()}
    event = event_in(str(event_text(ToolCalled(T0, "t", "n", odd))))
    assert isinstance(event, ToolCalled)
    assert event.params == {"at": "2026-01-01T00:00:00+00:00", "n": 1.5, "nan": None, "o": "<object>"}


@pytest.mark.parametrize(
    "line", ["", "{", "[]", "7", '{"kind": "hologram"}', "{}", '{"kind": "user_turn", "text": "no times"}']
)
def test_a_line_that_is_not_understood_is_no_event(line: str) -> None:
    assert event_in(line) is None


def test_fields_of_a_later_version_are_left_out() -> None:
    line = {"kind": "call_started", "at": T0, "mood": "good"}
    assert event_in(json.dumps(line)) == CallStarted(T0)
    words = {"kind": "user_turn", "text": "", "started_at": T0, "ended_at": T0, "words": 5, "metrics": 6}
    assert event_in(json.dumps(words)) == UserTurn("", T0, T0)


def test_what_is_no_event_has_no_line() -> None:
    odd: Any = object()
    assert event_text(odd) is None


def test_facts_come_back_as_they_were() -> None:
    facts = {
        "identity": SipIdentity("id", "0a" * 16, "twilio", "CA1", {"sip_call_id": "SipCallId"}, ("w",)),
        "metadata": {"a": 1},
        "agent_version": 3,
    }
    assert facts_in(json.loads(json.dumps(facts_json(facts)))) == facts


def test_a_fact_that_was_taken_back_is_none() -> None:
    assert facts_in({"recipient": None, "identity": None}) == {}


def test_the_record_of_a_dead_process_has_every_turn_and_is_marked() -> None:
    record = record_of(open_call(*EVENTS[:-1], call_type="sip_call", identity=SipIdentity("id"), call_cost=5))
    assert len(record.transcript_with_tool_calls) == 6
    assert (record.call_type, record.sip_call_id, record.call_cost) == ("sip_call", "id", 5)
    assert (record.call_status, record.disconnection_reason, record.call_successful) == (
        "error",
        "error",
        False,
    )
    assert record.start_timestamp == T0
    assert record.general_meta_data_raw is not None
    notes = record.general_meta_data_raw["tuner_sdk"]
    assert notes["cut_short"] is True
    assert "process ended" in notes["recovered"]


FACTS: dict[str, Any] = {
    "call_type": "sip_call",
    "identity": SipIdentity("id"),
    "recording_url": "https://r.example/1",
    "recipient": "sip:x@y",
    "caller_phone_number": "+12025550123",
    "agent_version": 3,
    "call_cost": 5.5,
    "call_successful": True,
    "user_sentiment": "positive",
    "in_voicemail": True,
    "call_analysis": {"intent": "refund"},
    "collected_dynamic_variables": {"order": 17},
    "sip_headers": {"X-CID": "7"},
    "metadata": {"a": 1},
    "general_meta_data_raw": {"b": 2},
}


def test_checkpoints_take_every_fact_that_a_record_takes() -> None:
    taken = set(inspect.signature(CallTimeline.record).parameters) - {"self", "now"}
    assert set(CallFacts.__annotations__) == taken == set(FACTS)


def test_the_record_of_a_dead_process_has_every_fact() -> None:
    body = json.loads(rebuilt(open_call(CallStarted(T0), **FACTS)).body)
    told = {name: value for name, value in FACTS.items() if name not in {"identity", "general_meta_data_raw"}}
    assert {name: body[name] for name in told} == told
    assert body["sip_call_id"] == "id"
    assert body["general_meta_data_raw"]["b"] == 2


@pytest.mark.parametrize("fact", sorted(FACTS))
def test_no_odd_fact_keeps_a_dead_process_from_its_record(fact: str) -> None:
    odd: tuple[Any, ...] = ("text", [1], 7, True, math.nan, {"a": object()}, object())
    made = [rebuilt(open_call(CallStarted(T0), **{**FACTS, fact: value})) for value in odd]
    assert {one.problem for one in made} == {""}


def test_a_call_whose_end_is_known_is_not_cut_short() -> None:
    record = record_of(open_call(*EVENTS, general_meta_data_raw={"mine": 1}))
    assert (record.call_status, record.disconnection_reason) == ("call_ended", "user_hangup")
    assert record.general_meta_data_raw is not None
    assert record.general_meta_data_raw["mine"] == 1
    assert "cut_short" not in record.general_meta_data_raw["tuner_sdk"]
    assert "recovered" in record.general_meta_data_raw["tuner_sdk"]


def test_a_call_that_a_living_process_forgot_did_not_fail() -> None:
    record = record_of(open_call(CallStarted(T0), lives=True))
    assert (record.call_status, record.disconnection_reason, record.call_successful) == (
        "call_ended",
        "unknown",
        None,
    )


def test_a_call_of_which_only_facts_are_known_lies_where_it_was_told_of() -> None:
    record = record_of(open_call(recipient="sip:x@y"))
    assert (record.start_timestamp, record.end_timestamp, record.recipient) == (T0, T0 + 30, "sip:x@y")


def test_what_this_version_does_not_understand_is_counted() -> None:
    body = json.loads(rebuilt(open_call(CallStarted(T0), lines=('{"kind": "hologram"}',), mood="good")).body)
    assert body["general_meta_data_raw"]["tuner_sdk"]["events_not_understood"] == 1


def test_a_journal_that_makes_no_record_is_kept_whole() -> None:
    hopeless = OpenCall(Destination("https://api.example", 1, "a"), "", T0, T0, True, False, ("{}",), {})
    kept = rebuilt(hopeless)
    assert "call_id" in kept.problem
    assert json.loads(kept.body)["events"] == ["{}"]
