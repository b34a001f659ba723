"""What the record of a call says, after a real pipeline ran."""

from __future__ import annotations

import asyncio
from typing import Any

from langchain_core.tools import tool
from langgraph.graph import START, MessagesState, StateGraph
from pipecat.frames.frames import TTSSpeakFrame
from pipecat.services.llm_service import FunctionCallParams

from tuner_core.langchain import TunerCallbackHandler

GREETING = "Hello, front desk."


async def test_a_call_with_a_tool_from_greeting_to_goodbye(pipecat_call: Any) -> None:
    async def find_slot(params: FunctionCallParams) -> None:
        await asyncio.sleep(0.1)
        await params.result_callback(["10:30", "11:00"])

    async def talk(call: Any) -> None:
        await call.worker.queue_frame(TTSSpeakFrame(GREETING))
        await call.agent_ends()
        await call.say("book monday")
        await call.agent_ends()
        await call.agent_ends()
        await call.say("goodbye")
        await call.agent_begins()
        await call.worker.stop_when_done()

    script = {
        "book monday": ("One moment please.", "find_slot", {"day": "monday"}),
        "10:30": "There is ten thirty.",
        "goodbye": "Goodbye.",
    }
    posted = await pipecat_call(script, tools={"find_slot": find_slot}, strict=True).run(talk)

    assert [row["role"] for row in posted["transcript_with_tool_calls"]] == [
        "agent",
        "user",
        "agent_function",
        "agent",
        "agent_result",
        "agent",
        "user",
        "agent",
    ]
    assert posted.texts("user") == ["book monday", "goodbye"]
    assert posted.texts("agent") == [GREETING, "One moment please.", "There is ten thirty.", "Goodbye."]
    (called,) = posted.rows("agent_function")
    (returned,) = posted.rows("agent_result")
    assert called["tool"]["params"] == {"day": "monday"}
    assert called["tool"]["request_id"] == returned["tool"]["request_id"]
    assert ["10:30", "11:00"] in returned["tool"]["result"].values()
    assert posted["disconnection_reason"] == "agent_hangup"


async def test_turns_have_the_times_of_the_sound(pipecat_call: Any) -> None:
    async def talk(call: Any) -> None:
        await call.worker.queue_frame(TTSSpeakFrame(GREETING))
        await call.agent_ends()
        await call.say("how are you", seconds=0.5)
        await call.agent_ends()
        await call.worker.stop_when_done()

    posted = await pipecat_call({"how": "Very well indeed, thank you."}).run(talk)

    greeting, answer = posted.rows("agent")
    (user,) = posted.rows("user")
    assert abs(greeting["end_ms"] - greeting["start_ms"] - len(GREETING) * 20) < 120
    assert abs(user["end_ms"] - user["start_ms"] - 500) < 120
    assert answer["start_ms"] > user["end_ms"]
    assert abs(answer["metadata"]["e2e_latency"] - (answer["start_ms"] - user["end_ms"])) < 5
    assert abs(answer["metadata"]["llm_node_ttft"] - 20) < 20
    assert answer["metadata"]["tts_node_ttfb"] > 0
    assert user["metadata"]["eou_delay"] >= user["metadata"]["stt_node_ttfb"] >= 0
    assert "e2e_latency" not in greeting["metadata"]


async def test_a_barge_in_leaves_what_was_heard(pipecat_call: Any) -> None:
    long = "We are open from nine in the morning until six in the evening on every single day of the week."

    async def talk(call: Any) -> None:
        await call.say("opening hours")
        await call.agent_begins()
        await asyncio.sleep(0.8)
        await call.say("stop")
        await call.agent_ends()
        await call.worker.stop_when_done()

    posted = await pipecat_call({"opening": long, "stop": "Sure."}).run(talk)

    cut, after = posted.rows("agent")
    spoken = len(cut["text"]) / len(long)
    assert long.startswith(cut["text"])
    assert 0.2 < spoken < 0.7
    assert cut["metadata"]["interrupted"] is True
    assert cut["metadata"]["intended_text"] == long
    assert cut["start_ms"] < cut["metadata"]["interrupted_at_ms"] <= cut["end_ms"] + 1
    assert "interrupted" not in after["metadata"]
    assert all("interrupted" not in row["metadata"] for row in posted.rows("user"))


async def test_a_user_turn_while_the_agent_is_silent_is_no_interruption(pipecat_call: Any) -> None:
    async def talk(call: Any) -> None:
        await call.worker.queue_frame(TTSSpeakFrame(GREETING))
        await call.agent_ends()
        await call.say("hello")
        await call.agent_ends()
        await call.worker.stop_when_done()

    posted = await pipecat_call({"hello": "Hello again."}).run(talk)
    assert all("interrupted" not in row["metadata"] for row in posted.rows("agent"))


async def test_the_last_turn_is_there_when_the_caller_hangs_up_in_its_middle(pipecat_call: Any) -> None:
    long = "This is a long story that nobody is going to hear to its very end, believe me."

    async def talk(call: Any) -> None:
        await call.say("tell me")
        await call.agent_begins()
        await asyncio.sleep(0.6)
        await call.worker.cancel(reason="caller hung up")

    posted = await pipecat_call({"tell me": long}).run(talk)

    (row,) = posted.rows("agent")
    assert row["text"]
    assert long.startswith(row["text"])
    assert row["text"] != long
    assert row["metadata"]["intended_text"] == long
    assert posted["disconnection_reason"] == "user_hangup"


async def test_the_goodbye_spoken_after_the_end_frame_is_there_in_full(pipecat_call: Any) -> None:
    async def talk(call: Any) -> None:
        await call.worker.queue_frame(TTSSpeakFrame("Goodbye and thank you."))
        await call.worker.stop_when_done()

    posted = await pipecat_call({}).run(talk)
    (row,) = posted.rows("agent")
    assert row["text"] == "Goodbye and thank you."
    assert row["end_ms"] - row["start_ms"] > 300
    assert posted["duration_ms"] >= row["end_ms"]


async def test_a_cancelled_and_a_failing_tool_have_results_that_say_so(pipecat_call: Any) -> None:
    async def slow(params: FunctionCallParams) -> None:
        await asyncio.sleep(30)

    async def broken(params: FunctionCallParams) -> None:
        raise KeyError("day")

    async def talk(call: Any) -> None:
        await call.say("be slow")
        await asyncio.sleep(0.3)
        await call.say("break")
        await asyncio.sleep(0.5)
        await call.worker.cancel()

    script = {"be slow": ("", "slow", {}), "break": ("", "broken", {})}
    posted = await pipecat_call(script, tools={"slow": slow, "broken": broken}).run(talk)

    results = {row["tool"]["name"]: row["tool"] for row in posted.rows("agent_result")}
    assert results["slow"]["is_error"] is True
    assert "cancel" in results["slow"]["error"]
    assert results["broken"]["is_error"] is True
    assert "day" in results["broken"]["error"]


async def test_usage_and_models(pipecat_call: Any) -> None:
    async def talk(call: Any) -> None:
        await call.say("hello")
        await call.agent_ends()
        await call.say("hello")
        await call.agent_ends()
        await call.worker.stop_when_done()

    posted = await pipecat_call({"hello": "Hello."}).run(talk)
    assert posted["metadata"]["usage_token"]["llm_token"] == 36
    assert posted["metadata"]["usage_token"]["tts_characters_count"] == 2 * len("Hello.")
    models = posted["metadata"]["ai_models"]
    assert (models["llm_model"], models["tts_model"]) == ("brain-1", "voice-1")


async def test_a_call_in_which_nothing_is_said_is_posted(pipecat_call: Any) -> None:
    async def talk(call: Any) -> None:
        await asyncio.sleep(0.05)
        await call.worker.cancel(reason="caller hung up")

    posted = await pipecat_call({}).run(talk)
    assert posted["disconnection_reason"] == "user_hangup"


async def test_a_caller_who_leaves_while_the_pipeline_starts_is_posted(pipecat_call: Any) -> None:
    async def talk(call: Any) -> None:
        await call.worker.cancel(reason="caller hung up")

    posted = await pipecat_call({}).run(talk)
    assert posted["duration_ms"] < 1000


async def test_what_a_graph_behind_the_model_does_joins_the_record(pipecat_call: Any):
    call = pipecat_call({"hello": "Hello."})

    def node(state: dict[str, Any]) -> dict[str, Any]:
        look_up.invoke({"number": "7"}, config={"callbacks": [handler]})
        return {}

    @tool
    def look_up(number: str) -> dict[str, str]:
        """Look an order up."""
        return {"number": number}

    graph: Any = StateGraph(MessagesState)
    graph.add_node("orders", node)
    graph.add_edge(START, "orders")
    compiled = graph.compile()
    handler = TunerCallbackHandler(call.observer.add)

    async def talk(call: Any) -> None:
        await call.say("hello")
        await call.agent_ends()
        await compiled.ainvoke({"messages": []}, config={"callbacks": [handler]})
        await call.worker.stop_when_done()

    posted = await call.run(talk)
    assert [row["node"]["to"] for row in posted.rows("node_transition")] == ["orders"]
    assert [row["tool"]["result"] for row in posted.rows("agent_result")] == [{"number": "7"}]
    assert posted.texts("agent") == ["Hello."]
