"""A body within a bound of bytes: what goes first when a call is too large for one request.

The API's own limit is not published, so the bound is ours: `MAX_BODY_BYTES`, or what is configured. A body over it
is trimmed step by step until it fits, the largest part of a step first, and each step is listed among the repairs:

1. `transcript`, which the API derives from the rows;
2. `words` of rows, whose text and times stay;
3. members of `general_meta_data_raw`, `metadata` and rows' `metadata` that the API does not know, and unknown fields;
4. `params`, `result` and further members of tools;
5. members of `call_analysis` and `collected_dynamic_variables`;
6. texts, cut to one length, no shorter than 200 bytes;
7. fields of the call that are longer than an address or a name should be;
8. rows, from the middle of the call, with a row in their place that says how many.

From step 3 to 5 a marker `{"left_out": "too large", "bytes": …}` stands where something was.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, cast

from tuner_core.repair.fields import SDK_NOTES
from tuner_core.repair.notes import Repairs
from tuner_core.repair.times import ROWS
from tuner_core.repair.values import json_size

MAX_BODY_BYTES = 5_000_000
"""Bytes of JSON that a body has at most, unless another bound is configured."""

SMALLEST_BOUND = 50_000
"""No bound can be lower: the fields that every call needs may take so much."""

_ENCODER = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"))
_MARKER_BYTES = 60
_SHORTEST_TEXT = 200
_LONG_FIELD = 2000
_KNOWN_METADATA = frozenset({"ai_models", "usage_token"})
_KNOWN_ROW = frozenset(
    {"role", "text", "words", "start_ms", "end_ms", "duration_ms", "node", "tool", "metadata"}
)
_KNOWN_ROW_METADATA = frozenset(
    {"e2e_latency", "llm_node_ttft", "tts_node_ttfb", "stt_node_ttfb", "asr_node_ttfb", "eou_delay", "id"}
    | {"transcript_confidence", "interrupted", "interrupted_at_ms", "turn_index", "source"}
)
_KNOWN_TOOL = frozenset({"name", "request_id", "is_error", "error", "start_ms"})
_KNOWN = frozenset(
    {"call_id", "call_type", ROWS, "start_timestamp", "end_timestamp", "recording_url", "agent_version"}
    | {"transcript", "duration_ms", "call_status", "disconnection_reason", "caller_phone_number"}
    | {"call_successful", "user_sentiment", "in_voicemail", "collected_dynamic_variables", "call_cost"}
    | {"call_analysis", "metadata", "general_meta_data_raw", "recording_multi_channel_url", "sip_call_id"}
    | {"recipient", "sip_headers", "recording_file_extension", "recording_s3_multi_channel"}
    | {"recording_s3_caller_channel"}
)
_UNBOUNDED = frozenset(
    {"general_meta_data_raw", "metadata", "call_analysis", "collected_dynamic_variables"}
    | {"recording_file_extension", "sip_headers", "recipient"}
)


def encoded(payload: dict[str, Any], repairs: Repairs | None = None) -> bytes:
    """A payload as UTF-8 JSON.

    Args:
        payload: JSON values only.
        repairs: called between rows.
    """
    rows: list[bytes] = []
    for row in payload.get(ROWS) or ():
        rows.append(_json(row))
        if repairs is not None:
            repairs.between_rows()
    members = [
        _json(name) + b":" + (b"[" + b",".join(rows) + b"]" if name == ROWS else _json(value))
        for name, value in payload.items()
    ]
    return b"{" + b",".join(members) + b"}"


def _json(value: Any) -> bytes:
    return _ENCODER.encode(value).encode()


def fit(payload: dict[str, Any], max_bytes: int, repairs: Repairs) -> bytes:
    """The payload as a body of at most `max_bytes` bytes; what is too much of it is taken out in place.

    Args:
        payload: JSON values only.
        max_bytes: the bound, not below `SMALLEST_BOUND`.
        repairs: gets a note for each step.
    """
    body = encoded(payload, repairs)
    for step in _STEPS:
        if len(body) <= max_bytes:
            break
        step(payload, len(body) - max_bytes, repairs)
        body = encoded(payload, repairs)
    return body


@dataclass(frozen=True, slots=True)
class _Part:
    """A member of some object in the payload, its name in the notes, and its size as JSON in bytes."""

    holder: dict[str, Any]
    key: str
    field: str
    size: int


def _parts(holder: Any, field: str, known: frozenset[str] = frozenset()) -> Iterator[_Part]:
    if isinstance(holder, dict):
        members = cast("dict[str, Any]", holder)
        for key, member in members.items():
            if key not in known:
                yield _Part(members, key, field, json_size(member))


def _rows(payload: dict[str, Any]) -> list[dict[str, Any]]:
    return payload[ROWS]


def _largest_first(parts: Iterator[_Part], over: int, take: Callable[[_Part], None]) -> None:
    for part in sorted(parts, key=lambda part: -part.size):
        if over <= 0 or part.size <= _MARKER_BYTES:
            return
        take(part)
        over -= part.size - _MARKER_BYTES


def _marking(repairs: Repairs) -> Callable[[_Part], None]:
    def mark(part: _Part) -> None:
        part.holder[part.key] = {"left_out": "too large", "bytes": part.size}
        repairs.note(part.field, "too large, left out")

    return mark


def _transcript(payload: dict[str, Any], over: int, repairs: Repairs) -> None:
    del over
    if payload.pop("transcript", None) is not None:
        repairs.note("transcript", "left out of a call that is too large: it follows from the rows")


def _words(payload: dict[str, Any], over: int, repairs: Repairs) -> None:
    def drop(part: _Part) -> None:
        del part.holder[part.key]
        repairs.note(part.field, "left out of a call that is too large")

    parts = (
        _Part(row, "words", f"{ROWS}[].words", json_size(row["words"]))
        for row in _rows(payload)
        if "words" in row
    )
    _largest_first(parts, over, drop)


def _extras(payload: dict[str, Any], over: int, repairs: Repairs) -> None:
    def parts() -> Iterator[_Part]:
        yield from _parts(payload, "a field that this version does not know", _KNOWN)
        yield from _parts(
            payload.get("general_meta_data_raw"), "general_meta_data_raw", frozenset({SDK_NOTES})
        )
        yield from _parts(payload.get("metadata"), "metadata", _KNOWN_METADATA)
        for row in _rows(payload):
            yield from _parts(row, f"{ROWS}[], a further key", _KNOWN_ROW)
            yield from _parts(row.get("metadata"), f"{ROWS}[].metadata", _KNOWN_ROW_METADATA)

    _largest_first(parts(), over, _marking(repairs))


def _all_extras(payload: dict[str, Any], over: int, repairs: Repairs) -> None:
    """For extras that are too many instead of too long."""
    del over
    holders = [(payload.get("general_meta_data_raw"), frozenset({SDK_NOTES}), "general_meta_data_raw")]
    holders.append((payload.get("metadata"), _KNOWN_METADATA, "metadata"))
    for row in _rows(payload):
        holders.append((row, _KNOWN_ROW, f"{ROWS}[], a further key"))
        holders.append((row.get("metadata"), _KNOWN_ROW_METADATA, f"{ROWS}[].metadata"))
    for holder, known, field in holders:
        further = [key for key in holder or () if key not in known]
        for key in further:
            del cast("dict[str, Any]", holder)[key]
        if further:
            repairs.note(field, "further members left out of a call that is too large")


def _tools(payload: dict[str, Any], over: int, repairs: Repairs) -> None:
    def parts() -> Iterator[_Part]:
        for row in _rows(payload):
            for part in _parts(row.get("tool"), f"{ROWS}[].tool", _KNOWN_TOOL):
                name = part.key if part.key in {"params", "result"} else ""
                yield _Part(part.holder, part.key, f"{part.field}.{name}" if name else part.field, part.size)

    _largest_first(parts(), over, _marking(repairs))


def _free_objects(payload: dict[str, Any], over: int, repairs: Repairs) -> None:
    def parts() -> Iterator[_Part]:
        for name in ("call_analysis", "collected_dynamic_variables"):
            yield from _parts(payload.get(name), name)

    _largest_first(parts(), over, _marking(repairs))


def _texts(payload: dict[str, Any], over: int, repairs: Repairs) -> None:
    parts = list(_text_parts(payload))
    low, high = _SHORTEST_TEXT, max((part.size for part in parts), default=_SHORTEST_TEXT)
    while low < high:
        limit = (low + high + 1) // 2
        if sum(part.size - limit for part in parts if part.size > limit) >= over:
            low = limit
        else:
            high = limit - 1
    for part in parts:
        if part.size > low:
            part.holder[part.key] = _cut(part.holder[part.key], low)
            repairs.note(part.field, "cut in a call that is too large")


def _text_parts(payload: dict[str, Any]) -> Iterator[_Part]:
    for row in _rows(payload):
        tool: dict[str, Any] = row.get("tool") or {}
        node: dict[str, Any] = row.get("node") or {}
        for holder, key, field in (
            (row, "text", "text"),
            (tool, "error", "tool.error"),
            (tool, "name", "tool.name"),
            (tool, "request_id", "tool.request_id"),
            (node, "reason", "node.reason"),
            (node, "from", "node.from"),
            (node, "to", "node.to"),
        ):
            text = holder.get(key)
            if isinstance(text, str) and len(text) > _SHORTEST_TEXT // 6:
                yield _Part(holder, key, f"{ROWS}[].{field}", json_size(text))


def _cut(text: str, limit: int) -> str:
    """The beginning of `text` and a note of its length, in at most `limit` bytes of JSON."""
    note = f" … [cut, {len(text)} characters]"
    kept = text[: limit - len(note)]
    while json_size(kept + note) > limit:
        kept = kept[: max(0, len(kept) * 9 // 10 - 1)]
    return kept + note


def _middle_rows(payload: dict[str, Any], over: int, repairs: Repairs) -> None:
    rows = _rows(payload)
    sizes = [json_size(row) + 1 for row in rows]
    half = (sum(sizes) - over - 2 * _SHORTEST_TEXT) // 2
    front = _fitting(sizes, half)
    back = _fitting(sizes[front:][::-1], half)
    left_out = rows[front : len(rows) - back]
    if not left_out:
        return
    reason = f"{len(left_out)} rows left out of a call that is too large"
    gap: dict[str, Any] = {"role": "node_transition"}
    start = next((row["start_ms"] for row in left_out if "start_ms" in row), None)
    if start is not None:
        gap["start_ms"] = start
    gap["node"] = {"from": "rows_left_out", "to": "rows_left_out", "reason": reason}
    payload[ROWS] = [*rows[:front], gap, *rows[len(rows) - back :]]
    repairs.note(ROWS, "too many rows, left out of the middle", len(left_out))


def _fitting(sizes: list[int], room: int) -> int:
    for count, size in enumerate(sizes):
        room -= size
        if room < 0:
            return count
    return len(sizes)


def _long_fields(payload: dict[str, Any], over: int, repairs: Repairs) -> None:
    further = [part for part in _parts(payload, "a field that this version does not know", _KNOWN)]
    if sum(len(part.key) + part.size for part in further) > _LONG_FIELD:
        for part in further:
            del payload[part.key]
            over -= len(part.key) + part.size
        repairs.note("a field that this version does not know", "too large, left out", len(further))
    for part in sorted(_parts(payload, "", _KNOWN - _UNBOUNDED), key=lambda part: -part.size):
        if over > 0 and part.size > _LONG_FIELD:
            del payload[part.key]
            over -= part.size
            repairs.note(part.key, "too large, left out")


_STEPS: tuple[Callable[[dict[str, Any], int, Repairs], None], ...] = (
    _transcript,
    _words,
    _extras,
    _all_extras,
    _tools,
    _free_objects,
    _texts,
    _long_fields,
    _middle_rows,
)
