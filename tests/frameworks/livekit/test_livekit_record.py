"""What a record of a real session holds."""

from __future__ import annotations

import asyncio
import logging
from datetime import UTC, datetime
from typing import Any

import pytest
from langgraph.graph import START, MessagesState, StateGraph
from livekit import rtc
from livekit.agents import SessionUsageUpdatedEvent

from tuner_core.langchain import TunerCallbackHandler


async def test_a_spoken_call_is_recorded_turn_by_turn(call: Any):
    call.joins()
    await call.start(audio=True)
    await call.says("hello")
    await call.agent_has_said("front desk")
    await call.says("book monday")
    await call.agent_has_said("ten thirty")
    await call.hangs_up()
    await call.shutdown()
    rows = call.rows()
    assert [row["role"] for row in rows] == [
        "user",
        "agent",
        "user",
        "agent_function",
        "agent_result",
        "agent",
    ]
    assert [row["text"] for row in call.rows("user", "agent")] == [
        "hello",
        "Hello, front desk.",
        "book monday",
        "I have ten thirty.",
    ]
    for row in call.rows("user", "agent"):
        assert row["end_ms"] > row["start_ms"]
        assert "source" not in row["metadata"]
    user, agent = call.rows("user")[0]["metadata"], call.rows("agent")[0]["metadata"]
    assert {"stt_node_ttfb", "eou_delay", "transcript_confidence"} <= user.keys()
    assert {"e2e_latency", "llm_node_ttft", "tts_node_ttfb"} <= agent.keys()
    assert call.payload["metadata"]["ai_models"] == {
        "asr_model": "puppet-1",
        "llm_model": "script-1",
        "tts_model": "tone-1",
    }


async def test_a_tool_call_has_its_arguments_its_result_and_its_times(call: Any):
    await call.start()
    await call.writes("book monday")
    await call.shutdown()
    (called,), (returned,) = call.rows("agent_function"), call.rows("agent_result")
    assert called["tool"]["params"] == {"day": "monday"}
    assert returned["tool"]["result"] == {"day": "monday", "time": "10:30"}
    assert called["tool"]["request_id"] == returned["tool"]["request_id"]
    assert called["start_ms"] <= returned["start_ms"]
    assert returned["tool"]["is_error"] is False


@pytest.mark.parametrize("words", ["badly", "emptily"])
async def test_arguments_that_are_no_object_do_not_cost_the_call(call: Any, words: str):
    await call.start()
    await call.writes(words)
    await call.shutdown()
    (called,), (returned,) = call.rows("agent_function"), call.rows("agent_result")
    assert called["tool"]["name"] == "find_slot"
    assert isinstance(called["tool"].get("params", {}), dict)
    assert returned["tool"]["is_error"] is True


async def test_a_tool_that_fails_is_an_error(call: Any):
    await call.start()
    await call.writes("break")
    await call.shutdown()
    (returned,) = call.rows("agent_result")
    assert (returned["tool"]["is_error"], returned["tool"]["error"]) == (True, "no calendar")


async def test_a_tool_that_is_cancelled_is_an_error(call: Any):
    await call.start()
    running = asyncio.create_task(call.writes("search"))
    await asyncio.wait_for(call.agent.searching.wait(), 5)
    call.agent.search_task.cancel()
    await running
    await call.shutdown()
    (called,), (returned,) = call.rows("agent_function"), call.rows("agent_result")
    assert called["tool"]["name"] == "search"
    assert returned["tool"]["is_error"] is True
    assert returned["tool"]["error"] == "cancelled"


async def test_a_handoff_is_a_node_transition(call: Any):
    await call.start()
    await call.writes("billing please")
    await call.shutdown()
    (row,) = call.rows("node_transition")
    assert row["node"] == {"from": "front_desk", "to": "billing"}


async def test_text_that_code_put_in_is_marked(call: Any):
    await call.start()
    await call.writes("hello")
    await call.shutdown()
    (row,) = call.rows("user")
    assert row["metadata"]["source"] == "injected"


async def test_what_code_appends_to_a_spoken_message_is_told_apart(call: Any):
    await call.start(audio=True)
    await call.says("what is late")
    await call.agent_has_said("Order seven")
    await call.shutdown()
    spoken, added = call.rows("user")
    assert (spoken["text"], spoken["metadata"].get("source")) == ("what is late", None)
    assert (added["text"], added["metadata"]["source"]) == ("Context: order 7 is late", "injected")


async def test_a_barge_in_is_marked_and_its_end_is_where_the_audio_stopped(call: Any):
    call.joins()
    await call.start(audio=True)
    await call.says("long story")
    await call.until(lambda: call.session.agent_state == "speaking")
    await asyncio.sleep(0.3)
    await call.says("hello", seconds=0.4)
    await call.agent_has_said("front desk")
    await call.hangs_up()
    await call.shutdown()
    story = call.rows("agent")[0]
    assert story["metadata"]["interrupted"] is True
    assert 200 < story["end_ms"] - story["start_ms"] < 1200
    assert story["metadata"]["interrupted_at_ms"] == story["end_ms"]


async def test_keys_are_recorded(call: Any):
    call.joins()
    await call.start()
    for digit in "42#":
        call.room.digit(digit)
    await call.shutdown()
    (row,) = call.rows("user")
    assert (row["text"], row["metadata"]["source"]) == ("42#", "keypad")


async def test_a_call_in_which_nobody_spoke_is_recorded_too(call: Any):
    call.joins()
    call.shows_the_rest()
    await call.start()
    await call.hangs_up()
    await call.shutdown()
    assert call.payload["disconnection_reason"] == "user_hangup"
    assert len(call.rows()) >= 1


async def test_cached_tokens_are_counted_once(call: Any):
    await call.start()
    await call.writes("hello")
    await call.shutdown()
    assert call.payload["metadata"]["usage_token"]["llm_token"] == 1050


async def test_odd_metadata_and_a_version_of_words_do_not_cost_the_call(call: Any):
    moment = datetime(2026, 1, 2, tzinfo=UTC)
    metadata = {"deployed": moment, "ai_models": "mine", "handle": object()}
    await call.start(metadata=metadata, agent_version="v2.3.1")
    await call.writes("hello")
    await call.shutdown()
    kept = call.payload["metadata"]
    assert "2026-01-02" in kept["deployed"]
    assert kept["ai_models"]["llm_model"] == "script-1"
    assert "agent_version" not in call.payload or isinstance(call.payload["agent_version"], int)


async def test_the_recording_may_be_told_by_a_function_and_its_failure_costs_only_the_url(call: Any):
    async def url(ctx: Any) -> str:
        return f"https://recordings.example/{ctx.job.id}.ogg"

    await call.start(recording_url=url)
    await call.shutdown()
    assert call.payload["recording_url"] == "https://recordings.example/AJ_test.ogg"


async def test_a_recording_that_cannot_be_told_costs_only_the_url(call: Any):
    def url(_ctx: Any) -> str:
        raise OSError("no bucket")

    await call.start(recording_url=url)
    await call.shutdown()
    assert call.payload["recording_url"] == "pending"
    assert call.plugin.failures == 1


@pytest.mark.parametrize(
    ("reason", "expected"),
    [
        (rtc.DisconnectReason.CLIENT_INITIATED, "user_hangup"),
        (rtc.DisconnectReason.ROOM_DELETED, "agent_hangup"),
        (rtc.DisconnectReason.MEDIA_FAILURE, "error"),
    ],
)
async def test_the_callers_leaving_decides_the_reason(call: Any, reason: Any, expected: str):
    call.joins()
    await call.start()
    call.room.caller_leaves(reason)
    await call.shutdown()
    assert (call.payload["disconnection_reason"], call.payload["call_status"]) == (expected, "call_ended")


async def test_an_agent_that_ends_the_session_hung_up(call: Any):
    call.joins()
    await call.start()
    await call.shutdown("the agent was done")
    assert call.payload["disconnection_reason"] == "agent_hangup"


async def test_a_session_that_gives_up_is_an_error(call: Any):
    call.joins()
    await call.start()
    closed = asyncio.Event()
    call.session.on("close", lambda _event: closed.set())
    call.session.generate_reply(user_input="fail")
    await asyncio.wait_for(closed.wait(), 10)
    await call.shutdown()
    assert (call.payload["disconnection_reason"], call.payload["call_status"]) == ("error", "error")
    assert call.payload["call_successful"] is False


async def test_two_sessions_of_a_job_are_two_calls(call: Any):
    await call.start()
    first = call.session
    await call.writes("hello")
    await first.aclose()
    await call.start()
    await call.writes("hello")
    await call.shutdown()
    assert [payload["call_id"] for payload in call.sink.payloads] == ["AJ_test", "AJ_test-2"]


async def test_a_session_that_is_started_again_tells_only_what_is_new(call: Any):
    await call.start(call_id="c-81")
    await call.writes("hello")
    await call.session.aclose()
    await call.session.start(call.agent, record=False)
    await call.writes("book monday")
    await call.shutdown()
    first, second = call.sink.payloads
    assert (first["call_id"], second["call_id"]) == ("c-81", "c-81-2")
    assert "book monday" in second["transcript"]
    assert "front desk" not in second["transcript"]


async def test_what_a_closed_session_still_tells_is_no_second_call(call: Any):
    await call.start()
    await call.writes("hello")
    await call.session.aclose()
    call.session.emit("session_usage_updated", SessionUsageUpdatedEvent(usage=call.session.usage))
    call.room.digit("4")
    await call.shutdown()
    assert len(call.sink.records) == 1


async def test_nothing_of_the_call_and_no_deprecation_is_in_the_logs(
    call: Any, caplog: pytest.LogCaptureFixture
):
    call.joins()
    with caplog.at_level(logging.DEBUG):
        await call.start()
        await call.writes("hello")
        await call.hangs_up()
        await call.shutdown()
    ours = "\n".join(record.getMessage() for record in caplog.records if record.name.startswith("tuner"))
    assert "front desk" not in ours
    assert "5550100" not in ours
    assert "deprecated" not in caplog.text


async def test_what_a_graph_behind_the_model_does_joins_what_the_session_shows(call: Any):
    await call.start()
    graph: Any = StateGraph(MessagesState)
    graph.add_node("orders", lambda state: {})
    graph.add_edge(START, "orders")
    compiled = graph.compile()
    await compiled.ainvoke({"messages": []}, config={"callbacks": [TunerCallbackHandler(call.plugin.add)]})
    await call.writes("book monday")
    await call.shutdown()
    assert [row["node"]["to"] for row in call.rows("node_transition")] == ["orders"]
    assert [row["tool"]["name"] for row in call.rows("agent_function")] == ["find_slot"]
