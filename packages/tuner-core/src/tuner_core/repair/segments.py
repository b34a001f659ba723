"""Rows of a transcript as the API accepts them: roles, times, tool values, words, order."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any, cast

from tuner_core.records import Node, Segment, Tool, Word
from tuner_core.repair.values import Repairs, as_json, clean_text, model_fields

ROLES = ("node_transition", "user", "agent", "agent_function", "agent_result")
_OTHER_ROLE_NAMES = {
    "assistant": "agent",
    "bot": "agent",
    "human": "user",
    "caller": "user",
    "customer": "user",
    "function_call": "agent_function",
    "tool_call": "agent_function",
    "function_call_output": "agent_result",
    "tool": "agent_result",
    "tool_result": "agent_result",
}
_TIMES = ("start_ms", "end_ms", "duration_ms")
_LONGEST_MS = 1e9
"""No call lasts eleven days; a larger number is a Unix time, or nothing."""
_EPOCH_MS = 1e11
"""Unix times from here on are milliseconds, below it seconds."""
_FIELD = "transcript_with_tool_calls"

NOBODY_SPOKE: dict[str, Any] = {
    "role": "node_transition",
    "start_ms": 0,
    "node": {"from": "call_start", "to": "call_end", "reason": "nobody spoke"},
}
"""Stands in an empty transcript, which the API refuses; it puts words into nobody's mouth."""


def conform_segments(rows: Any, *, call_start_ms: int, repairs: Repairs) -> list[dict[str, Any]]:
    """Rows that the API accepts, in order of time; at least one.

    Args:
        rows: `Segment`s or mappings with the API's field names.
        call_start_ms: start of the call in Unix milliseconds; times given as Unix times become relative to
            it.
        repairs: gets a note for each change.
    """
    if rows is not None and (isinstance(rows, str | bytes | Mapping) or not isinstance(rows, Sequence)):
        repairs.note(_FIELD, "not a list, left out")
        rows = None
    kept: list[dict[str, Any]] = []
    for row in cast("Sequence[Any]", rows or ()):
        fields = _fields_of(row)
        segment = _segment(fields, call_start_ms, repairs) if fields is not None else None
        if segment is None:
            repairs.note(_FIELD, "a row without a known role was left out")
        else:
            kept.append(segment)
    if not kept:
        repairs.note(_FIELD, "empty, since nobody spoke: a row that says so was added")
        return [{**NOBODY_SPOKE, "node": dict(NOBODY_SPOKE["node"])}]
    _place_untimed(kept, repairs)
    return _in_order(kept, repairs)


def _fields_of(row: Any) -> dict[str, Any] | None:
    if isinstance(row, Segment | Word | Tool | Node):
        return model_fields(row)
    if isinstance(row, Mapping):
        items = cast("Mapping[Any, Any]", row).items()
        return {clean_text(str(name)): value for name, value in items if value is not None}
    return None


def _segment(given: dict[str, Any], call_start_ms: int, repairs: Repairs) -> dict[str, Any] | None:
    role = _role(given.pop("role", None), given, repairs)
    if role is None:
        return None
    segment: dict[str, Any] = {"role": role}
    text = given.pop("text", None)
    if text is not None:
        segment["text"] = _text("text", text, repairs)
    times = {name: given.pop(name, None) for name in _TIMES}
    segment.update(_times(times, call_start_ms, repairs))
    words = _words(given.pop("words", None), call_start_ms, repairs)
    if words:
        segment["words"] = words
    node = _node(given.pop("node", None), repairs, required=role == "node_transition")
    if node is not None:
        segment["node"] = node
    tool = _tool(given.pop("tool", None), call_start_ms, repairs)
    if tool is not None:
        segment["tool"] = tool
    metadata = given.pop("metadata", None)
    if metadata is not None:
        segment["metadata"] = _object("metadata", metadata, repairs)
    for name, value in given.items():
        segment[name] = as_json(value, field=f"{_FIELD}[].{name[:40]}", repairs=repairs)
    return segment


def _role(value: Any, given: Mapping[str, Any], repairs: Repairs) -> str | None:
    if isinstance(value, str):
        if value in ROLES:
            return value
        role = _OTHER_ROLE_NAMES.get(value.strip().lower())
        if role is None and value.strip().lower() in ROLES:
            role = value.strip().lower()
        if role is not None:
            repairs.note(f"{_FIELD}[].role", f"written as the API's {role}")
            return role
    if "node" in given:
        return "node_transition"
    return None


def _text(name: str, value: Any, repairs: Repairs) -> str:
    if isinstance(value, str):
        return clean_text(value)
    converted = as_json(value, field=f"{_FIELD}[].{name}", repairs=repairs)
    return converted if isinstance(converted, str) else json.dumps(converted, ensure_ascii=False)


def _ms(name: str, value: Any, call_start_ms: int, repairs: Repairs) -> int | None:
    """Milliseconds from the start of the call, rounded up as the API does; None when it is no time."""
    if value is None:
        return None
    try:
        number = math.nan if isinstance(value, bool) else float(value)
    except (TypeError, ValueError, OverflowError):
        number = math.nan
    if number >= _LONGEST_MS and name != "duration_ms" and math.isfinite(number):
        repairs.note(f"{_FIELD}[].{name}", "a Unix time, made relative to the start of the call")
        number = (number if number >= _EPOCH_MS else number * 1000) - call_start_ms
    if not math.isfinite(number) or number >= _LONGEST_MS:
        repairs.note(f"{_FIELD}[].{name}", "no time in a call, left out")
        return None
    if number < 0:
        repairs.note(f"{_FIELD}[].{name}", "negative, sent as 0")
        return 0
    return math.ceil(number)


def _times(given: Mapping[str, Any], call_start_ms: int, repairs: Repairs) -> dict[str, int]:
    start, end, duration = (_ms(name, given[name], call_start_ms, repairs) for name in _TIMES)
    if start is None and end is not None and duration is not None:
        start = max(0, end - duration)
    if start is None:
        return {} if end is None else {"end_ms": end}
    if end is None and duration is not None:
        end = start + duration
    if end is None:
        return {"start_ms": start}
    if end < start:
        repairs.note(f"{_FIELD}[].end_ms", "before the start, moved to it")
        end = start
    times = {"start_ms": start, "end_ms": end}
    if duration is not None:
        times["duration_ms"] = end - start
        if abs(duration - times["duration_ms"]) > 1:
            repairs.note(f"{_FIELD}[].duration_ms", "disagreed with start and end, corrected")
    return times


def _words(value: Any, call_start_ms: int, repairs: Repairs) -> list[dict[str, Any]]:
    if value is None:
        return []
    if isinstance(value, str) or not isinstance(value, Sequence):
        repairs.note(f"{_FIELD}[].words", "not a list, left out")
        return []
    kept: list[dict[str, Any]] = []
    for item in cast("Sequence[Any]", value):
        fields = _fields_of(item) or {}
        text = fields.get("word")
        start = _ms("words[].start_ms", fields.get("start_ms"), call_start_ms, repairs)
        end = _ms("words[].end_ms", fields.get("end_ms"), call_start_ms, repairs)
        if not isinstance(text, str) or start is None or end is None:
            repairs.note(f"{_FIELD}[].words", "a word without text or times was left out")
            continue
        word: dict[str, Any] = {"word": clean_text(text), "start_ms": start, "end_ms": max(start, end)}
        confidence = fields.get("confidence")
        if (
            isinstance(confidence, int | float)
            and math.isfinite(confidence)
            and not isinstance(confidence, bool)
        ):
            word["confidence"] = float(confidence)
        kept.append(word)
    return kept


def _node(value: Any, repairs: Repairs, *, required: bool) -> dict[str, Any] | None:
    fields = _fields_of(value)
    if fields is None:
        if value is not None:
            repairs.note(f"{_FIELD}[].node", "not an object, left out")
        fields = {}
        if not required:
            return None
    node: dict[str, Any] = {}
    for name, other in (("from", "from_"), ("to", "to_")):
        text = fields.get(name, fields.get(other))
        if text is None:
            repairs.note(f"{_FIELD}[].node.{name}", "missing, sent as 'unknown'")
        node[name] = "unknown" if text is None else _text(f"node.{name}", text, repairs)
    if fields.get("reason") is not None:
        node["reason"] = _text("node.reason", fields["reason"], repairs)
    return node


def _tool(value: Any, call_start_ms: int, repairs: Repairs) -> dict[str, Any] | None:
    if isinstance(value, str):
        value = {"name": value}
    fields = _fields_of(value)
    if fields is None:
        if value is not None:
            repairs.note(f"{_FIELD}[].tool", "not an object, left out")
        return None
    tool: dict[str, Any] = {}
    for name, member in fields.items():
        match name:
            case "name" | "request_id" | "error":
                tool[name] = _text(f"tool.{name}", member, repairs)
            case "params" | "result":
                tool[name] = _tool_object(f"tool.{name}", member, repairs)
            case "is_error":
                tool[name] = bool(member)
            case "start_ms":
                start = _ms("tool.start_ms", member, call_start_ms, repairs)
                if start is not None:
                    tool[name] = start
            case _:
                tool[name] = as_json(member, field=f"{_FIELD}[].tool.{name[:40]}", repairs=repairs)
    return tool


def _tool_object(name: str, value: Any, repairs: Repairs) -> dict[str, Any]:
    """Arguments or a result as an object; JSON text, as models write it, is read first."""
    if isinstance(value, str):
        text = value.strip()
        if not text:
            return {}
        if text[0] in "{[":
            try:
                value = json.loads(text, parse_constant=_no_constant)
            except (ValueError, RecursionError):
                value = text
    return _object(name, value, repairs)


def _no_constant(name: str) -> None:
    """NaN and Infinity, which Python reads and JSON does not have."""
    del name


def _object(name: str, value: Any, repairs: Repairs) -> dict[str, Any]:
    converted = as_json(value, field=f"{_FIELD}[].{name}", repairs=repairs)
    if isinstance(converted, dict):
        return converted
    repairs.note(f"{_FIELD}[].{name}", "not an object, wrapped in one")
    return {"value": converted}


def _place_untimed(rows: list[dict[str, Any]], repairs: Repairs) -> None:
    """Give spoken rows the times that the API insists on, from their words or from the row before."""
    latest = 0
    for row in rows:
        if row["role"] in {"user", "agent"} and not ("start_ms" in row and "end_ms" in row):
            words = row.get("words")
            if words:
                row.setdefault("start_ms", words[0]["start_ms"])
                row["end_ms"] = max(row["start_ms"], row.get("end_ms", words[-1]["end_ms"]))
            else:
                start = row.get("start_ms", row.get("end_ms", latest))
                row["start_ms"], row["end_ms"] = start, max(start, row.get("end_ms", start))
                repairs.note(f"{_FIELD}[]", "a spoken row without start and end got the times next to it")
        latest = max(latest, row.get("end_ms", row.get("start_ms", latest)))


def _in_order(rows: list[dict[str, Any]], repairs: Repairs) -> list[dict[str, Any]]:
    """Rows by start; one without a time stays behind the row before it."""
    keyed: list[tuple[int, dict[str, Any]]] = []
    latest = 0
    for row in rows:
        latest = row.get("start_ms", row.get("end_ms", latest))
        keyed.append((latest, row))
    ordered = [row for _, row in sorted(keyed, key=lambda item: item[0])]
    if any(one is not other for one, other in zip(ordered, rows, strict=True)):
        repairs.note(_FIELD, "rows put into order of time")
    return ordered
