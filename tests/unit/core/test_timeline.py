from collections.abc import Callable
from typing import Any

import pytest

from tuner_core.events import (
    AgentTurn,
    CallEnded,
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
from tuner_core.records import CallRecord, Segment
from tuner_core.repair import conform
from tuner_core.timeline import CallTimeline

T0 = 1_790_000_000.0


def timeline(*events: Any) -> CallTimeline:
    made = CallTimeline(call_id="c-81")
    for event in events:
        made.apply(event)
    return made


def rows(record: CallRecord) -> list[Segment]:
    return list(record.transcript_with_tool_calls)


def spans(record: CallRecord) -> list[tuple[str, float | None, float | None]]:
    return [(row.role, row.start_ms, row.end_ms) for row in rows(record)]


def test_a_call_becomes_a_record_that_the_api_accepts(assert_accepted: Callable[[Any], None]) -> None:
    record = timeline(
        CallStarted(T0),
        AgentTurn(
            "Hello, this is the front desk.", T0 + 0.6, T0 + 2.1, id="a1", metrics=TurnMetrics(tts_ttfb_s=0.2)
        ),
        UserTurn("Where is order 12?", T0 + 3, T0 + 4.5, words=(Word("Where", T0 + 3, T0 + 3.2, 0.9),)),
        ToolCalled(T0 + 4.7, "t1", "look_up_order", {"number": 12}),
        ToolReturned(T0 + 5.2, "t1", "look_up_order", {"state": "shipped"}),
        AgentTurn(
            "It has shipped.", T0 + 5.5, T0 + 6.5, metrics=TurnMetrics(e2e_latency_s=1.0, llm_ttft_s=0)
        ),
        UsageReported(
            asr_model="sphinx", llm_model="rules", tts_model="piper", stt_audio_s=1.5, llm_tokens=40
        ),
        UsageReported(tts_characters=46),
        CallEnded(T0 + 9, "user_hangup", detail="participant left"),
    ).record(
        identity=SipIdentity("2jf9wCCX", "0a" * 16, "livekit", "SCL_1", {"sip_call_id": "sip.callIDFull"}),
        metadata={"plan": "gold", "ai_models": "mine"},
    )
    payload = conform(record).payload
    assert_accepted(payload)
    assert spans(record) == [
        ("agent", 600, 2100),
        ("user", 3000, 4500),
        ("agent_function", 4700, 5200),
        ("agent_result", 5200, 5200),
        ("agent", 5500, 6500),
    ]
    assert payload["start_timestamp"] == T0 * 1000
    assert payload["duration_ms"] == 9000
    assert payload["sip_call_id"] == "2jf9wCCX"
    assert payload["sip_headers"] == {"X-Correlation-Id": "0a" * 16}
    assert payload["disconnection_reason"] == "user_hangup"
    assert payload["metadata"] == {
        "plan": "gold",
        "user_ai_models": "mine",
        "ai_models": {"asr_model": "sphinx", "llm_model": "rules", "tts_model": "piper"},
        "usage_token": {"stt_duration_seconds": 1.5, "llm_token": 40, "tts_characters_count": 46},
    }
    assert payload["transcript"] == (
        "Agent: Hello, this is the front desk.\nUser: Where is order 12?\nAgent: It has shipped."
    )
    first, last = payload["transcript_with_tool_calls"][0], payload["transcript_with_tool_calls"][-1]
    assert first["metadata"] == {"tts_node_ttfb": 200.0, "id": "a1"}
    assert last["metadata"] == {"e2e_latency": 1000.0, "llm_node_ttft": 0.0}
    notes = payload["general_meta_data_raw"]["tuner_sdk"]
    assert notes["end_detail"] == "participant left"
    assert notes["sip_identity"]["found_at"] == {"sip_call_id": "sip.callIDFull"}


def test_late_turns_and_handoffs_stand_where_they_happened() -> None:
    record = timeline(
        CallStarted(T0),
        CallEnded(T0 + 10, "agent_hangup"),
        AgentTurn("second", T0 + 4, T0 + 5),
        NodeChanged(T0 + 3, "triage", "billing", "asked for an invoice"),
        UserTurn("first", T0 + 1, T0 + 2),
    ).record()
    assert [row.role for row in rows(record)] == ["user", "node_transition", "agent"]
    assert rows(record)[1].node is not None


def test_a_turn_with_the_id_of_an_earlier_one_replaces_it() -> None:
    made = timeline(
        CallStarted(T0),
        AgentTurn("All of the sent", T0 + 1, T0 + 2, id="a"),
        UserTurn("same id, other speaker", T0 + 3, T0 + 4, id="a"),
        AgentTurn("All of the", T0 + 1, T0 + 1.5, id="a", interrupted=True, interrupted_at=T0 + 1.5),
    )
    agent, user = rows(made.record())
    assert (agent.text, agent.end_ms) == ("All of the", 1500)
    assert agent.metadata == {"id": "a", "interrupted": True, "interrupted_at_ms": 1500}
    assert user.text == "same id, other speaker"


def test_turns_without_an_id_never_replace_each_other() -> None:
    record = timeline(CallStarted(T0), *[AgentTurn("again", T0 + n, T0 + n + 0.5) for n in range(3)]).record()
    assert len(rows(record)) == 3


def test_a_barge_in_marks_the_agents_row_with_what_was_heard_and_not_the_users() -> None:
    agent, user = rows(
        timeline(
            CallStarted(T0),
            AgentTurn(
                "We are open",
                T0 + 1,
                T0 + 2,
                interrupted=True,
                intended_text="We are open from nine to five.",
            ),
            UserTurn("Stop", T0 + 1.8, T0 + 2.2),
        ).record()
    )
    assert agent.text == "We are open"
    assert agent.metadata == {"interrupted": True, "intended_text": "We are open from nine to five."}
    assert user.metadata is None


def test_text_that_was_never_spoken_says_so() -> None:
    record = timeline(CallStarted(T0), UserTurn("context", T0 + 1, T0 + 1, source="injected")).record()
    assert rows(record)[0].metadata == {"source": "injected"}
    assert record.transcript == "User (injected): context"


def test_keys_pressed_in_a_row_are_one_entry_of_the_keypad() -> None:
    record = timeline(
        CallStarted(T0),
        *[DigitPressed(T0 + 1 + n / 2, key) for n, key in enumerate("12#")],
        AgentTurn("Thank you", T0 + 3, T0 + 4),
        DigitPressed(T0 + 20, "9"),
    ).record()
    users = [row for row in rows(record) if row.role == "user"]
    assert [(row.text, row.start_ms, row.end_ms) for row in users] == [
        ("12#", 1000, 2000),
        ("9", 20000, 20000),
    ]
    assert users[0].metadata == {"source": "keypad"}


def test_a_failed_tool_keeps_its_error() -> None:
    tool = rows(
        timeline(CallStarted(T0), ToolReturned(T0 + 1, "t", "pay", is_error=True, error="cancelled")).record()
    )[0].tool
    assert tool is not None
    assert (tool.is_error, tool.error) == (True, "cancelled")


def test_an_agent_that_crashed_is_not_called_a_success() -> None:
    record = timeline(CallStarted(T0), CallEnded(T0 + 1, "error", status="error")).record()
    assert (record.call_status, record.call_successful, record.disconnection_reason) == (
        "error",
        False,
        "error",
    )


def test_a_second_end_may_explain_the_first_but_not_move_it() -> None:
    record = timeline(
        CallStarted(T0), CallEnded(T0 + 5), CallEnded(T0 + 8, "user_hangup"), CallEnded(T0 + 9, "error")
    ).record()
    assert (record.duration_ms, record.disconnection_reason) == (5000, "user_hangup")


def test_a_call_that_was_cut_short_ends_at_its_last_known_moment(
    assert_accepted: Callable[[Any], None],
) -> None:
    made = timeline(CallStarted(T0), UserTurn("hello", T0 + 1, T0 + 2))
    record = made.record()
    assert_accepted(conform(record).payload)
    assert record.duration_ms == 2000
    assert record.general_meta_data_raw == {"tuner_sdk": {"cut_short": True}}
    assert made.record(now=T0 + 30).duration_ms == 30000


def test_a_call_that_was_not_answered_in_our_sight_starts_with_its_first_event() -> None:
    record = timeline(UserTurn("hello", T0 + 1, T0 + 2), CallEnded(T0 + 3)).record()
    assert record.start_timestamp == T0 + 1
    assert spans(record) == [("user", 0, 1000)]


def test_times_outside_the_call_are_moved_to_its_edge() -> None:
    record = timeline(
        CallStarted(T0),
        AgentTurn("early", T0 - 2, T0 + 1),
        UserTurn("late", T0 + 9, T0 + 12),
        CallEnded(T0 + 10),
    ).record()
    assert spans(record) == [("agent", 0, 1000), ("user", 9000, 10000)]


@pytest.mark.parametrize("odd", [None, float("nan"), float("inf"), "yesterday", True])
def test_odd_times_cost_neither_the_turn_nor_the_call(
    odd: Any, assert_accepted: Callable[[Any], None]
) -> None:
    record = timeline(
        CallStarted(odd),
        CallStarted(T0),
        AgentTurn("one", T0 + 1, T0 + 2),
        UserTurn("two", odd, odd),
        ToolCalled(odd, "t", "pay"),
        NodeChanged(odd, "a", "b"),
        DigitPressed(odd, "1"),
        CallEnded(odd),
        "no event at all",
    ).record()
    assert_accepted(conform(record).payload)
    texts = [row.text for row in rows(record) if row.role in {"user", "agent"}]
    assert texts == ["one", "two", "1"]


def test_values_of_the_wrong_type_reach_conform_instead_of_raising(
    assert_accepted: Callable[[Any], None],
) -> None:
    odd: Any = 17
    made = timeline(CallStarted(T0), UserTurn(odd, T0, T0 + 1), CallEnded(T0 + 1))
    payload = conform(made.record(recording_url=odd, caller_phone_number=odd)).payload
    assert_accepted(payload)
    assert payload["transcript_with_tool_calls"][0]["text"] == "17"


def test_an_empty_call_is_a_record_too(assert_accepted: Callable[[Any], None]) -> None:
    record = timeline(CallStarted(T0), CallEnded(T0 + 0.4, "user_hangup")).record()
    assert_accepted(conform(record).payload)
    assert CallTimeline(call_id="c").record(now=T0).start_timestamp == T0
