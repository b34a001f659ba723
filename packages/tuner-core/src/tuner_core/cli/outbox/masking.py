"""A Create Call body with its shape and without its content: for a terminal that others may see."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast
from urllib.parse import urlsplit

_PLAIN = frozenset(
    {
        "call_id",
        "call_type",
        "call_status",
        "disconnection_reason",
        "call_successful",
        "in_voicemail",
        "user_sentiment",
        "call_cost",
        "agent_version",
        "sip_call_id",
        "start_timestamp",
        "end_timestamp",
        "duration_ms",
        "recording_file_extension",
        "recording_s3_multi_channel",
        "recording_s3_caller_channel",
    }
)
_URLS = frozenset({"recording_url", "recording_multi_channel_url"})
_IDS = frozenset({"x-correlation-id", "x-cid"})
_PLAIN_IN_ROW = frozenset({"role", "start_ms", "end_ms", "duration_ms"})
_PLAIN_IN_NODE = frozenset({"from", "to"})
_PLAIN_IN_TOOL = frozenset({"name", "request_id", "is_error", "start_ms"})


def masked(body: Mapping[str, Any]) -> dict[str, Any]:
    """The body with every text, number and value that may say something of a person replaced by its kind and length.

    Ids, times and what the API's own words name stay.
    """
    return {name: _field(name, value) for name, value in body.items()}


def _field(name: str, value: Any) -> Any:
    if name in _PLAIN:
        return value
    if name in _URLS:
        return _url(value)
    if name == "transcript_with_tool_calls" and isinstance(value, list):
        return [_row(row) for row in cast("list[Any]", value)]
    if name == "sip_headers" and isinstance(value, dict):
        headers = cast("dict[str, Any]", value)
        return {key: kept if key.lower() in _IDS else _kind(kept) for key, kept in headers.items()}
    if name == "caller_phone_number" and isinstance(value, str):
        return f"<phone number, {len(value)} characters>"
    return _kind(value)


def _row(row: Any) -> Any:
    if not isinstance(row, dict):
        return _kind(row)
    shown: dict[str, Any] = {}
    for name, value in cast("dict[str, Any]", row).items():
        if name in _PLAIN_IN_ROW:
            shown[name] = value
        elif name == "words" and isinstance(value, list):
            shown[name] = f"<{len(cast('list[Any]', value))} words>"
        elif name == "tool" and isinstance(value, dict):
            tool = cast("dict[str, Any]", value)
            shown[name] = {key: kept if key in _PLAIN_IN_TOOL else _kind(kept) for key, kept in tool.items()}
        elif name == "node" and isinstance(value, dict):
            node = cast("dict[str, Any]", value)
            shown[name] = {key: kept if key in _PLAIN_IN_NODE else _kind(kept) for key, kept in node.items()}
        elif name == "metadata" and isinstance(value, dict):
            metadata = cast("dict[str, Any]", value)
            # Latencies are what the figures of a row are for.
            shown[name] = {
                key: kept if isinstance(kept, int | float) else _kind(kept) for key, kept in metadata.items()
            }
        else:
            shown[name] = _kind(value)
    return shown


def _kind(value: Any) -> Any:
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return f"<{len(value)} characters>"
    if isinstance(value, int | float):
        return "<number>"
    if isinstance(value, dict):
        return {name: _kind(kept) for name, kept in cast("dict[str, Any]", value).items()}
    if isinstance(value, list):
        return [_kind(kept) for kept in cast("list[Any]", value)]
    return f"<{type(value).__name__}>"


def _url(value: Any) -> Any:
    """Scheme and host; the rest may be signed, or name somebody."""
    parts = urlsplit(value) if isinstance(value, str) else None
    if parts is None or not parts.netloc:
        return value if value == "pending" else _kind(value)
    host = parts.hostname or ""
    return f"{parts.scheme}://{host}/<{len(str(value)) - len(parts.scheme) - len(host) - 4} characters>"
