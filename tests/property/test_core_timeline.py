"""Any events in any order make a record that the API accepts."""

import json
import math
from pathlib import Path
from typing import Any

import jsonschema
from hypothesis import given, settings
from hypothesis import strategies as st

from tuner_core.events import (
    AgentTurn,
    CallEnded,
    CallStarted,
    DigitPressed,
    NodeChanged,
    ToolCalled,
    ToolReturned,
    UsageReported,
    UserTurn,
    Word,
)
from tuner_core.repair import conform
from tuner_core.timeline import CallTimeline

VALIDATOR = jsonschema.Draft202012Validator(
    json.loads((Path(__file__).parents[1] / "data" / "create_call.schema.json").read_text())
)
T0 = 1_790_000_000.0

moments = st.one_of(st.floats(T0, T0 + 600), st.floats(), st.none())
texts = st.text(max_size=8)
ids = st.sampled_from(["", "a", "b", "c"])
anything = st.one_of(st.none(), st.integers(), st.text(max_size=5), st.lists(st.floats(), max_size=2))
events: st.SearchStrategy[Any] = st.one_of(
    st.builds(CallStarted, moments),
    st.builds(
        UserTurn, texts, moments, moments, id=ids, words=st.tuples(st.builds(Word, texts, moments, moments))
    ),
    st.builds(AgentTurn, texts, moments, moments, id=ids, interrupted=st.booleans(), interrupted_at=moments),
    st.builds(ToolCalled, moments, ids, texts, anything),
    st.builds(ToolReturned, moments, ids, texts, anything, st.booleans(), st.none() | texts),
    st.builds(NodeChanged, moments, texts, texts),
    st.builds(DigitPressed, moments, st.sampled_from("0123456789*#")),
    st.builds(UsageReported, llm_tokens=st.none() | st.integers(0, 10**6)),
    st.builds(CallEnded, moments, st.sampled_from(["user_hangup", "unknown", "error"])),
)


@settings(max_examples=150, deadline=None)
@given(st.lists(events, max_size=12), moments)
def test_any_events_make_an_acceptable_record(told: list[Any], now: float | None) -> None:
    timeline = CallTimeline(call_id="c")
    for event in told:
        timeline.apply(event)
        timeline.record()
    payload = json.loads(conform(timeline.record(now=now)).body())
    VALIDATOR.validate(payload)
    length = payload["duration_ms"]  # timestamps before 1973 are sent in seconds
    starts = [row["start_ms"] for row in payload["transcript_with_tool_calls"] if "start_ms" in row]
    assert starts == sorted(starts)
    assert all(0 <= start <= length + 1 for start in starts)


@settings(max_examples=100, deadline=None)
@given(st.lists(events, max_size=8), st.randoms())
def test_nothing_that_was_said_is_lost_or_invented(told: list[Any], random: Any) -> None:
    random.shuffle(told)
    timeline = CallTimeline(call_id="c")
    for event in told:
        timeline.apply(event)
    turns = [event for event in told if isinstance(event, UserTurn | AgentTurn)]
    kept = {(type(turn), turn.id): turn for turn in turns if turn.id}
    expected = sorted([turn.text for turn in kept.values()] + [turn.text for turn in turns if not turn.id])
    rows = timeline.record().transcript_with_tool_calls
    spoken = [
        row.text
        for row in rows
        if row.role in {"user", "agent"} and (row.metadata or {}).get("source") != "keypad"
    ]
    assert sorted(text or "" for text in spoken) == expected
    keys = "".join(row.text or "" for row in rows if (row.metadata or {}).get("source") == "keypad")
    assert sorted(keys) == sorted(event.digit for event in told if isinstance(event, DigitPressed))


def test_infinite_times_are_no_times() -> None:
    timeline = CallTimeline(call_id="c")
    timeline.apply(CallStarted(T0))
    timeline.apply(CallEnded(math.inf))
    assert timeline.record().duration_ms == 0
