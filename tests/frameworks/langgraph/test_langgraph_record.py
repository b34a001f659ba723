"""Real LangGraph graphs with LangChain's fake chat model: what the record says of them."""

from __future__ import annotations

import asyncio
import json
import logging
import operator
import time
from collections.abc import Iterator, Mapping
from typing import Annotated, Any

import jsonschema
import pytest
from langchain_core.language_models.fake_chat_models import FakeMessagesListChatModel
from langchain_core.messages import AIMessage, HumanMessage, ToolMessage
from langchain_core.runnables import RunnableConfig
from langchain_core.tools import InjectedToolCallId, tool
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import END, START, MessagesState, StateGraph
from langgraph.prebuilt import ToolNode, tools_condition
from langgraph.types import Command, RetryPolicy, Send, interrupt

from tuner_core.events import (
    CallEnded,
    CallEvent,
    CallStarted,
    NodeChanged,
    ToolCalled,
    ToolReturned,
    UserTurn,
)
from tuner_core.langchain import TunerCallbackHandler
from tuner_core.repair import conform
from tuner_core.timeline import CallTimeline

SCHEMA = json.loads(
    (__import__("pathlib").Path(__file__).parents[2] / "data/create_call.schema.json").read_text()
)


@tool
def order_status(number: str) -> dict[str, str]:
    """Look an order up."""
    if number == "lost":
        raise LookupError(f"no order {number}")
    return {"status": "shipped", "number": number}


@tool
async def slow_lookup(number: str) -> str:
    """Take long."""
    await asyncio.sleep(30)
    return number


@tool
def transfer(to: str, tool_call_id: Annotated[str, InjectedToolCallId]) -> Command[Any]:
    """Hand the call over to another agent."""
    said = ToolMessage(f"transferred to {to}", tool_call_id=tool_call_id)
    return Command(goto=to, update={"messages": [said]}, graph=Command.PARENT)


def asks(name: str, call_id: str, **args: Any) -> AIMessage:
    return AIMessage("", tool_calls=[{"name": name, "args": args, "id": call_id}])


def agent(*messages: AIMessage) -> Any:
    model = FakeMessagesListChatModel(responses=list(messages))

    def node(state: MessagesState) -> dict[str, Any]:
        return {"messages": [model.invoke(state["messages"])]}

    return node


def loop(node: Any, *tools: Any, checkpointer: Any = None, retry: RetryPolicy | None = None) -> Any:
    """The usual graph: an agent, its tools, and back."""
    graph = StateGraph(MessagesState)
    graph.add_node("agent", node)
    graph.add_node("tools", ToolNode(tools, handle_tool_errors=retry is None), retry_policy=retry)
    graph.add_edge(START, "agent")
    graph.add_conditional_edges("agent", tools_condition)
    graph.add_edge("tools", "agent")
    return graph.compile(checkpointer=checkpointer)


SAID: Any = {"messages": [HumanMessage("Where is my order?")]}


class Clock:
    """Each look at it is a second later."""

    def __init__(self) -> None:
        self.at = 1_760_000_000.0

    def __call__(self) -> float:
        self.at += 1
        return self.at


@pytest.fixture
def events() -> list[CallEvent]:
    return []


@pytest.fixture
def handler(events: list[CallEvent]) -> TunerCallbackHandler:
    return TunerCallbackHandler(events.append, clock=Clock(), strict=True)


def with_(handler: TunerCallbackHandler, **more: Any) -> RunnableConfig:
    return RunnableConfig(callbacks=[handler], **more)


def nodes(events: list[CallEvent]) -> list[tuple[str, str]]:
    return [(event.from_node, event.to_node) for event in events if isinstance(event, NodeChanged)]


def results(events: list[CallEvent]) -> list[tuple[str, Any, str | None]]:
    return [
        (event.request_id, event.error if event.is_error else event.result, event.error)
        for event in events
        if isinstance(event, ToolReturned)
    ]


def check(body: Mapping[str, Any]) -> None:
    jsonschema.Draft202012Validator(SCHEMA).validate(json.loads(json.dumps(body, allow_nan=False)))


def test_two_agents_and_a_tool_inside_a_call_make_a_record_that_conforms() -> None:
    timeline = CallTimeline(call_id="c-81")
    handler = TunerCallbackHandler(timeline, usage=True, strict=True)
    answer = AIMessage(
        "It is on its way.",
        usage_metadata={"input_tokens": 40, "output_tokens": 7, "total_tokens": 47},
        response_metadata={"model_name": "small-1"},
    )
    orders = loop(agent(asks("order_status", "t1", number="7"), answer), order_status)
    desk = StateGraph(MessagesState)
    desk.add_node("reception", agent(AIMessage("One moment.")))
    desk.add_node("orders", orders)
    desk.add_edge(START, "reception")
    desk.add_edge("reception", "orders")
    graph = desk.compile()

    started = time.time()
    timeline.apply(CallStarted(started))
    timeline.apply(UserTurn("Where is my order?", started + 0.001, started + 0.002, id="u1"))
    native = ToolCalled(started + 0.003, "native-1", "framework_tool", {"a": 1})
    timeline.apply(native)
    graph.invoke(SAID, config=with_(handler))
    handler.close()
    timeline.apply(CallEnded(time.time(), "user_hangup"))
    body = conform(timeline.record()).payload
    check(body)
    rows = body["transcript_with_tool_calls"]
    assert [(row["node"]["from"], row["node"]["to"]) for row in rows if row["role"] == "node_transition"] == [
        ("__start__", "reception"),
        ("reception", "orders"),
        ("orders", "orders/agent"),
        ("orders/agent", "orders/tools"),
        ("orders/tools", "orders/agent"),
    ]
    calls = {row["tool"]["request_id"]: row for row in rows if row["role"] == "agent_function"}
    assert set(calls) == {"native-1", "t1"}  # only adds: what the voice framework saw is still there
    assert calls["t1"]["tool"]["params"] == {"number": "7"}
    (returned,) = [row for row in rows if row["role"] == "agent_result"]
    assert returned["tool"]["result"] == {"status": "shipped", "number": "7"}
    assert calls["t1"]["start_ms"] <= returned["start_ms"]
    assert body["metadata"]["usage_token"]["llm_token"] == 47
    assert body["metadata"]["ai_models"]["llm_model"] == "small-1"


async def test_an_async_graph_gives_the_same_events_as_a_sync_one(events: list[CallEvent]) -> None:
    def run() -> tuple[Any, RunnableConfig]:
        graph = loop(agent(asks("order_status", "t1", number="7"), AIMessage("Shipped.")), order_status)
        return graph, with_(TunerCallbackHandler(events.append, clock=Clock(), strict=True))

    graph, config = run()
    graph.invoke(SAID, config)
    sync_events = events[:]
    events.clear()
    graph, config = run()
    async for _ in graph.astream(SAID, config, stream_mode="messages"):
        pass
    assert events == sync_events
    assert nodes(events) == [("__start__", "agent"), ("agent", "tools"), ("tools", "agent")]
    called, returned = (next(e for e in events if isinstance(e, kind)) for kind in (ToolCalled, ToolReturned))
    assert returned.at > called.at


def test_a_tool_that_raises_is_an_error_and_the_graph_goes_on(
    handler: TunerCallbackHandler, events: list[CallEvent]
) -> None:
    graph = loop(
        agent(asks("order_status", "t1", number="lost"), AIMessage("I could not find it.")), order_status
    )
    graph.invoke(SAID, with_(handler))
    assert results(events) == [("t1", "LookupError: no order lost", "LookupError: no order lost")]


def test_every_retry_is_a_call_of_its_own(handler: TunerCallbackHandler, events: list[CallEvent]) -> None:
    tries = 0

    @tool
    def flaky(number: str) -> str:
        """Fail once."""
        nonlocal tries
        tries += 1
        if tries == 1:
            raise ConnectionError("reset")
        return "ok"

    policy = RetryPolicy(initial_interval=0.001, jitter=False, max_attempts=3)
    graph = loop(agent(asks("flaky", "t1", number="7"), AIMessage("Done.")), flaky, retry=policy)
    graph.invoke(SAID, with_(handler))
    assert [(call_id, value) for call_id, value, _ in results(events)] == [
        ("t1", "ConnectionError: reset"),
        ("t1#2", "ok"),
    ]
    assert nodes(events).count(("agent", "tools")) == 1


async def test_a_cancelled_run_completes_its_tool_call_as_cancelled(
    handler: TunerCallbackHandler, events: list[CallEvent]
) -> None:
    graph = loop(agent(asks("slow_lookup", "t1", number="7")), slow_lookup)
    run = asyncio.ensure_future(graph.ainvoke(SAID, with_(handler)))
    async with asyncio.timeout(5):
        while not any(isinstance(event, ToolCalled) for event in events):  # noqa: ASYNC110 - no event to wait for
            await asyncio.sleep(0.005)
    run.cancel()
    with pytest.raises(asyncio.CancelledError):
        await run
    ((call_id, error, _),) = results(events)
    assert call_id == "t1"
    assert str(error).startswith("cancelled")
    assert handler._translator._runs == {}


def test_a_tool_that_waits_for_a_human_is_one_call_until_it_is_answered(
    handler: TunerCallbackHandler, events: list[CallEvent]
) -> None:
    @tool
    def refund(number: str) -> str:
        """Ask before paying."""
        return f"refunded {interrupt('May I?')}"

    graph = loop(
        agent(asks("refund", "t1", number="7"), AIMessage("Done.")), refund, checkpointer=InMemorySaver()
    )
    config = with_(handler, configurable={"thread_id": "1"})
    graph.invoke(SAID, config)
    assert results(events) == []
    graph.invoke(Command(resume="yes"), config)
    assert results(events) == [("t1", "refunded yes", None)]
    assert sum(isinstance(event, ToolCalled) for event in events) == 1


def test_a_human_who_never_answers_leaves_a_cancelled_call(
    handler: TunerCallbackHandler, events: list[CallEvent]
) -> None:
    @tool
    def refund(number: str) -> str:
        """Ask before paying."""
        return str(interrupt("May I?"))

    graph = loop(agent(asks("refund", "t1", number="7")), refund, checkpointer=InMemorySaver())
    graph.invoke(SAID, with_(handler, configurable={"thread_id": "1"}))
    handler.close()
    ((call_id, error, _),) = results(events)
    assert (call_id, str(error)[:9]) == ("t1", "cancelled")
    handler.close()
    assert len(results(events)) == 1


class Fanned(MessagesState):
    found: Annotated[list[str], operator.add]


def test_parallel_branches_each_come_from_where_they_forked(
    handler: TunerCallbackHandler, events: list[CallEvent]
) -> None:
    graph = StateGraph(Fanned)

    def node(name: str) -> Any:
        return lambda state: {"found": [name]}

    for name in ("plan", "weather", "traffic", "answer"):
        graph.add_node(name, node(name))
    graph.add_edge(START, "plan")
    graph.add_edge("plan", "weather")
    graph.add_edge("plan", "traffic")
    graph.add_edge(["weather", "traffic"], "answer")
    graph.compile().invoke({"messages": [], "found": []}, with_(handler))
    told = nodes(events)
    assert told[0] == ("__start__", "plan")
    assert set(told[1:3]) == {("plan", "weather"), ("plan", "traffic")}
    assert told[3] in {("weather", "answer"), ("traffic", "answer")}
    assert len(told) == 4


def test_copies_of_one_node_are_one_transition(
    handler: TunerCallbackHandler, events: list[CallEvent]
) -> None:
    graph = StateGraph(Fanned)
    graph.add_node("plan", lambda state: {})
    graph.add_node("worker", lambda state: {"found": ["x"]})
    graph.add_edge(START, "plan")
    graph.add_conditional_edges("plan", lambda state: [Send("worker", state) for _ in range(8)], ["worker"])
    graph.add_edge("worker", END)
    graph.compile().invoke({"messages": [], "found": []}, with_(handler))
    assert nodes(events) == [("__start__", "plan"), ("plan", "worker")]


def test_a_hand_over_between_agents_is_a_transition_and_its_tool_a_result(
    handler: TunerCallbackHandler, events: list[CallEvent]
) -> None:
    desk = StateGraph(MessagesState)
    desk.add_node(
        "reception", loop(agent(asks("transfer", "t1", to="billing")), transfer), destinations=("billing",)
    )
    desk.add_node("billing", agent(AIMessage("Billing here.")))
    desk.add_edge(START, "reception")
    desk.compile().invoke(SAID, with_(handler))
    handler.close()
    assert nodes(events)[-1] == ("reception", "billing")
    assert results(events) == [("t1", "transferred to billing", None)]


def test_the_next_turn_goes_on_where_the_last_one_stopped(
    handler: TunerCallbackHandler, events: list[CallEvent]
) -> None:
    graph = loop(agent(AIMessage("Hello."), AIMessage("Bye.")))
    graph.invoke(SAID, with_(handler))
    graph.invoke(SAID, with_(handler))
    assert nodes(events) == [("__start__", "agent")]


def test_many_tools_in_threads_lose_nothing(handler: TunerCallbackHandler, events: list[CallEvent]) -> None:
    asked = AIMessage(
        "",
        tool_calls=[{"name": "order_status", "args": {"number": str(n)}, "id": f"t{n}"} for n in range(40)],
    )
    loop(agent(asked, AIMessage("Done.")), order_status).invoke(SAID, with_(handler))
    assert {event.request_id for event in events if isinstance(event, ToolReturned)} == {
        f"t{n}" for n in range(40)
    }


def test_values_of_tools_can_stay_out(events: list[CallEvent]) -> None:
    quiet = TunerCallbackHandler(
        events.append, tool_inputs=False, tool_outputs=False, nodes=False, strict=True
    )
    graph = loop(
        agent(
            asks("order_status", "t1", number="7"), asks("order_status", "t2", number="lost"), AIMessage("x")
        ),
        order_status,
    )
    graph.invoke(SAID, with_(quiet))
    quiet.close()
    assert nodes(events) == []
    assert [event.params for event in events if isinstance(event, ToolCalled)] == [None, None]
    assert results(events) == [("t1", None, None), ("t2", "LookupError", "LookupError")]


@pytest.fixture
def logged(caplog: pytest.LogCaptureFixture) -> Iterator[pytest.LogCaptureFixture]:
    with caplog.at_level(logging.DEBUG):
        yield caplog


def test_a_sink_that_fails_never_reaches_the_chain(logged: pytest.LogCaptureFixture) -> None:
    def broken(event: CallEvent) -> None:
        raise ValueError(f"secret of {event}")

    failed: list[Exception] = []
    handler = TunerCallbackHandler(broken, on_error=failed.append)
    graph = loop(agent(asks("order_status", "t1", number="7"), AIMessage("Shipped.")), order_status)
    assert graph.invoke(SAID, with_(handler))["messages"][-1].content == "Shipped."
    assert handler.failures == len(failed) == 5
    assert "secret" not in logged.text
    assert len([record for record in logged.records if record.name.startswith("tuner_core")]) == 1


def test_a_handler_given_twice_tells_everything_once(
    handler: TunerCallbackHandler, events: list[CallEvent]
) -> None:
    graph = loop(agent(asks("order_status", "t1", number="7"), AIMessage("Shipped.")), order_status)
    graph.with_config(callbacks=[handler]).invoke(SAID, with_(handler))
    assert sum(isinstance(event, ToolCalled) for event in events) == 1
    assert len(nodes(events)) == 3


def test_nothing_is_remembered_of_runs_that_are_over(
    handler: TunerCallbackHandler, events: list[CallEvent]
) -> None:
    for _ in range(3):
        loop(agent(asks("order_status", "t1", number="7"), AIMessage("Shipped.")), order_status).invoke(
            SAID, with_(handler)
        )
    order_status.invoke({"number": "7"}, with_(handler))
    assert handler._translator._runs == {}
    assert handler._translator._open == {}
