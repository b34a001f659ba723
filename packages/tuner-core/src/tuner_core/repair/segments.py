"""Rows of a transcript as the API accepts them: roles, order, and at least one."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from itertools import islice
from typing import Any, cast

from tuner_core.repair.scalars import text_of
from tuner_core.repair.times import ROWS, row_times, row_words, seconds_for_milliseconds
from tuner_core.repair.tools import row_metadata, row_node, row_tool
from tuner_core.repair.values import Repairs, as_json, fields_of, plain

ROLES = ("node_transition", "user", "agent", "agent_function", "agent_result")
_OTHER_ROLE_NAMES = {
    "assistant": "agent",
    "bot": "agent",
    "ai": "agent",
    "model": "agent",
    "human": "user",
    "caller": "user",
    "customer": "user",
    "client": "user",
    "function_call": "agent_function",
    "tool_call": "agent_function",
    "tool_use": "agent_function",
    "function_call_output": "agent_result",
    "function": "agent_result",
    "tool": "agent_result",
    "tool_result": "agent_result",
    "agent_handoff": "node_transition",
}
_ROW_S = (0.1, 50.0)
_MOST_ROWS = 100_000
_SPOKEN = frozenset({"user", "agent"})
_ORDER = ("role", "content", "text", "start_ms", "end_ms", "duration_ms", "words", "node", "tool", "metadata")
_KNOWN = frozenset(_ORDER)


def conform_segments(
    rows: Any, *, call_start_ms: int, call_length_ms: float, repairs: Repairs
) -> list[dict[str, Any]]:
    """Rows that the API accepts, in order of time; at least one.

    Args:
        rows: `Segment`s or mappings with the API's field names. A row that cannot be read is left out alone.
        call_start_ms: start of the call in Unix milliseconds; times given as Unix times become relative to
            it.
        call_length_ms: tells times in seconds from milliseconds.
        repairs: gets a note for each change.
    """
    given = _listed(rows, repairs)
    fields: list[dict[str, Any]] = []
    for row in given:
        fields.append(fields_of(row) or {})
        repairs.between_rows()
    scale = 1.0
    spans = ((row.get("start_ms"), row.get("end_ms")) for row in fields)
    if seconds_for_milliseconds(spans, usual_s=_ROW_S, longest_ms=call_length_ms):
        repairs.note(ROWS, "times in seconds, made milliseconds")
        scale = 1000.0
    kept: list[dict[str, Any]] = []
    for row in fields:
        segment = _safely(row, call_start_ms, scale, repairs)
        repairs.between_rows()
        if segment is not None:
            kept.append(segment)
    if not kept:
        return [_stand_in(bool(given), repairs)]
    _place_untimed(kept, repairs)
    return _in_order(kept, repairs)


def _listed(rows: Any, repairs: Repairs) -> list[Any]:
    if rows is None:
        return []
    try:
        if isinstance(rows, str | bytes):
            rows = _read(rows)
        elif fields_of(rows) is not None:
            repairs.note(ROWS, "one row, put into a list")
            return [rows]
        if isinstance(rows, Iterable):
            listed = list(islice(cast("Iterable[Any]", rows), _MOST_ROWS + 1))
            if len(listed) > _MOST_ROWS:
                repairs.note(ROWS, f"more than {_MOST_ROWS} rows, the rest left out")
            return listed[:_MOST_ROWS]
    except Exception:  # an iterable of the user's may raise anything
        repairs.note(ROWS, "could not be read to its end")
        return []
    repairs.note(ROWS, "not a list, left out")
    return []


def _read(text: str | bytes) -> Any:
    try:
        value: Any = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return cast("list[Any]", value) if isinstance(value, list) else None


def _stand_in(unreadable: bool, repairs: Repairs) -> dict[str, Any]:
    """Stands in an empty transcript, which the API refuses; it puts words into nobody's mouth."""
    reason = "no row could be read" if unreadable else "nobody spoke"
    repairs.note(ROWS, f"empty, since {reason}: a row that says so was added")
    return {
        "role": "node_transition",
        "start_ms": 0,
        "node": {"from": "call_start", "to": "call_end", "reason": reason},
    }


def _safely(
    given: dict[str, Any], call_start_ms: int, scale: float, repairs: Repairs
) -> dict[str, Any] | None:
    try:
        role = _role(given, repairs)
        if role is not None:
            return _segment(role, given, call_start_ms, scale, repairs)
    except Exception:  # a value's own methods may raise anything, and cost its row only
        repairs.note(ROWS, "a row that could not be read was left out")
        return None
    repairs.note(ROWS, "a row without a known role was left out")
    return None


def _segment(
    role: str, given: dict[str, Any], call_start_ms: int, scale: float, repairs: Repairs
) -> dict[str, Any]:
    segment: dict[str, Any] = {"role": role}
    text = given.get("text")
    if text is None and "content" in given and role in _SPOKEN:
        text = given["content"]
        repairs.note(f"{ROWS}[].text", "taken from content")
    elif "content" in given:
        _keep(segment, "content", given["content"], repairs)
    if text is not None:
        segment["text"] = text_of(f"{ROWS}[].text", text, repairs)
    segment.update(row_times(given, call_start_ms, scale, repairs))
    words = row_words(given.get("words"), call_start_ms, scale, repairs)
    if words:
        segment["words"] = words
    node = row_node(given.get("node"), repairs, required=role == "node_transition")
    if node is not None:
        segment["node"] = node
    tool = row_tool(given.get("tool"), call_start_ms, scale, repairs)
    if tool is not None:
        segment["tool"] = tool
    if "metadata" in given:
        segment["metadata"] = row_metadata(given["metadata"], repairs)
    if not given.keys() <= _KNOWN:
        for name, value in given.items():
            if name not in _KNOWN:
                _keep(segment, name, value, repairs)
    return segment


def _keep(segment: dict[str, Any], name: str, value: Any, repairs: Repairs) -> None:
    converted = as_json(value, field=f"{ROWS}[], a further key", repairs=repairs)
    if converted is not None:
        segment[name] = converted


def _role(given: Mapping[str, Any], repairs: Repairs) -> str | None:
    value = given.get("role")
    if type(value) is str and value in ROLES:
        return value
    spelt = plain(value)
    name = spelt.strip().lower().replace("-", "_").replace(" ", "_") if isinstance(spelt, str) else ""
    role = name if name in ROLES else _OTHER_ROLE_NAMES.get(name)
    if role is None:
        role = _implied_role(given)
    if role is not None and role != spelt:
        repairs.note(f"{ROWS}[].role", f"written as the API's {role}")
    return role


def _implied_role(given: Mapping[str, Any]) -> str | None:
    """The role that only such a row has, however it is called."""
    if "node" in given:
        return "node_transition"
    tool = fields_of(given.get("tool"))
    if tool is None:
        return None
    return "agent_result" if {"result", "error", "is_error"} & tool.keys() else "agent_function"


def _place_untimed(rows: list[dict[str, Any]], repairs: Repairs) -> None:
    """Give spoken rows the times that the API insists on, from their words or from the row before."""
    latest = 0
    for row in rows:
        if row["role"] in _SPOKEN and not ("start_ms" in row and "end_ms" in row):
            words = row.get("words")
            if words:
                row.setdefault("start_ms", min(word["start_ms"] for word in words))
                ends = max(word["end_ms"] for word in words)
                row["end_ms"] = max(row["start_ms"], row.get("end_ms", ends))
            else:
                start = row.get("start_ms", row.get("end_ms", latest))
                row["start_ms"], row["end_ms"] = start, max(start, row.get("end_ms", start))
                repairs.note(f"{ROWS}[]", "a spoken row without start and end got the times next to it")
            _put_in_order(row)
        latest = max(latest, row.get("end_ms", row.get("start_ms", latest)))


def _put_in_order(row: dict[str, Any]) -> None:
    """Members in the order of a row that had its times from the start, so that one record has one body."""
    members = dict(row)
    row.clear()
    row.update({name: members.pop(name) for name in _ORDER if name in members})
    row.update(members)


def _in_order(rows: list[dict[str, Any]], repairs: Repairs) -> list[dict[str, Any]]:
    """Rows by start; one without a time stays behind the row before it."""
    keyed: list[tuple[int, dict[str, Any]]] = []
    latest = 0
    for row in rows:
        latest = row.get("start_ms", row.get("end_ms", latest))
        keyed.append((latest, row))
    ordered = [row for _, row in sorted(keyed, key=lambda item: item[0])]
    if any(one is not other for one, other in zip(ordered, rows, strict=True)):
        repairs.note(ROWS, "rows put into order of time")
    return ordered
