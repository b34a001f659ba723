"""What a row may carry besides text and times: a tool, a node, metadata."""

from __future__ import annotations

import json
from typing import Any

from tuner_core.repair.moments import number_in
from tuner_core.repair.scalars import flag_of, text_of
from tuner_core.repair.times import ROWS, relative_ms
from tuner_core.repair.values import Repairs, as_json, as_object, fields_of, free_name

_TOOL = f"{ROWS}[].tool"
_FURTHER = f"{_TOOL}, a further key"
_NODE = f"{ROWS}[].node"
_METADATA = f"{ROWS}[].metadata"
_LATENCIES = frozenset(
    {"e2e_latency", "llm_node_ttft", "tts_node_ttfb", "stt_node_ttfb", "asr_node_ttfb", "eou_delay"}
)
_SHARES = frozenset({"transcript_confidence", "eou_confidence"})
_MEASURED = _LATENCIES | _SHARES | {"interrupted"}


def row_tool(value: Any, call_start_ms: int, scale: float, repairs: Repairs) -> dict[str, Any] | None:
    """A tool call or result whose params and result are objects, None when there is nothing of it.

    Args:
        value: a `Tool`, a mapping, or the tool's name.
        call_start_ms: in Unix milliseconds.
        scale: 1000 when the row's times are in seconds.
        repairs: gets a note for each change.
    """
    if isinstance(value, str):
        repairs.note(_TOOL, "a name, made an object")
        value = {"name": value}
    fields = fields_of(value)
    if fields is None:
        if value is not None:
            repairs.note(_TOOL, "not an object, left out")
        return None
    tool: dict[str, Any] = {}
    for name, member in fields.items():
        match name:
            case "name" | "request_id" | "error":
                kept: Any = text_of(f"{_TOOL}.{name}", member, repairs)
            case "params" | "result":
                kept = _tool_object(f"{_TOOL}.{name}", member, repairs)
            case "is_error":
                kept = flag_of(f"{_TOOL}.is_error", member, repairs)
            case "start_ms":
                kept = relative_ms(f"{_TOOL}.start_ms", member, call_start_ms, repairs, scale=scale)
            case _:
                kept = as_json(member, field=_FURTHER, repairs=repairs)
        if kept is not None:
            tool[name] = kept
    return tool


def row_node(value: Any, repairs: Repairs, *, required: bool) -> dict[str, Any] | None:
    """A node transition with `from` and `to`.

    Args:
        value: a `Node` or a mapping.
        repairs: gets a note for each change.
        required: give a node also when there is none.
    """
    fields = fields_of(value)
    if fields is None:
        if value is not None:
            repairs.note(_NODE, "not an object, left out")
        if not required:
            return None
        fields = {}
    node: dict[str, Any] = {}
    for name, other in (("from", "from_"), ("to", "to_")):
        text = fields.pop(name, None)
        text = fields.pop(other, None) if text is None else text
        if text is None:
            repairs.note(f"{_NODE}.{name}", "missing, sent as 'unknown'")
        node[name] = "unknown" if text is None else text_of(f"{_NODE}.{name}", text, repairs)
    if "reason" in fields:
        node["reason"] = text_of(f"{_NODE}.reason", fields.pop("reason"), repairs)
    for name, member in fields.items():
        converted = as_json(member, field=f"{_NODE}, a further key", repairs=repairs)
        if converted is not None:
            node[name] = converted
    return node


def row_metadata(value: Any, repairs: Repairs) -> dict[str, Any]:
    """Metadata of a row as an object, its measures numbers from 0 up.

    Args:
        value: any.
        repairs: gets a note for each change.
    """
    metadata = as_object(value, field=_METADATA, repairs=repairs)
    if _MEASURED.isdisjoint(metadata):
        return metadata
    checked: dict[str, Any] = {}
    moved: dict[str, Any] = {}
    for name, member in metadata.items():
        if name not in _MEASURED or member is None:
            checked[name] = member
            continue
        kept = _measure(name, member, moved, repairs)
        if kept is not None:
            checked[name] = kept
    for name, member in moved.items():
        checked[free_name(f"user_{name}", checked)] = member
    return {name: member for name, member in checked.items() if member is not None or name not in _MEASURED}


def _measure(name: str, value: Any, moved: dict[str, Any], repairs: Repairs) -> Any:
    field = f"{_METADATA}.{name}"
    if name == "interrupted":
        return flag_of(field, value, repairs)
    number = number_in(value)
    if number is None:
        moved[name] = value
        repairs.note(field, f"not a number, moved to user_{name}")
        return None
    if number < 0 or (number > 1 and name in _SHARES):
        repairs.note(field, "out of its range, left out")
        return None
    if isinstance(value, str):
        repairs.note(field, "text, read as a number")
        return number
    return value


def _tool_object(field: str, value: Any, repairs: Repairs) -> dict[str, Any]:
    """Arguments or a result as an object; JSON text, as models write it, is read first."""
    if isinstance(value, str):
        text = value.strip()
        if not text:
            repairs.note(field, "empty text, sent as an empty object")
            return {}
        if text[0] in "{[":
            value = _read(text, field, repairs)
    return as_object(value, field=field, repairs=repairs)


def _read(text: str, field: str, repairs: Repairs) -> Any:
    try:
        value: Any = json.loads(text, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        return text
    repairs.note(field, "JSON text, read")
    return value


def _no_constant(name: str) -> None:
    """NaN and Infinity, which Python reads and JSON does not have."""
    del name
