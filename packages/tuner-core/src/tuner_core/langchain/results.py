"""What a tool of LangChain gave back, as a value for the record. Pure: told by shape, not by LangChain's types."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, cast

_MAX_ERROR = 2000


@dataclass(frozen=True, slots=True)
class ToolOutcome:
    """A result, or an error that the tool told the model."""

    result: Any = field(default=None, repr=False)
    is_error: bool = False
    error: str = field(default="", repr=False)


def outcome_of(output: Any, *, with_values: bool) -> ToolOutcome:
    """Read what `on_tool_end` gives: a value, a `ToolMessage`, or a `Command` of LangGraph.

    Args:
        output: what the tool gave.
        with_values: keep the values; otherwise only whether it is an error.
    """
    message = _message_in(output)
    if message is not None and getattr(message, "status", "success") == "error":
        return ToolOutcome(is_error=True, error=_text(message.content) if with_values else "the tool failed")
    if not with_values:
        return ToolOutcome()
    if message is not None:
        return ToolOutcome(_value(message.content))
    goto = getattr(output, "goto", None)
    if goto and hasattr(output, "update"):
        return ToolOutcome({"goto": _text(goto)})
    return ToolOutcome(_value(output))


def error_text(error: BaseException, *, with_values: bool) -> str:
    """An exception in words; without values only its kind, because messages quote arguments."""
    kind = type(error).__name__
    said = str(error) if with_values else ""
    return f"{kind}: {said}"[:_MAX_ERROR] if said else kind


def is_pause(error: BaseException) -> bool:
    """Whether LangGraph stops here to go on later (an interrupt), which is no failure."""
    return any(kind.__name__ == "GraphBubbleUp" for kind in type(error).__mro__)


def _message_in(output: Any) -> Any:
    """The `ToolMessage` in an output, or in the update that a `Command` carries."""
    if hasattr(output, "tool_call_id") and hasattr(output, "content"):
        return output
    update = getattr(output, "update", None)
    if isinstance(update, Mapping):
        messages = cast("Mapping[str, Any]", update).get("messages")
        for message in cast("list[Any]", messages) if isinstance(messages, list) else []:
            if hasattr(message, "tool_call_id") and hasattr(message, "content"):
                return message
    return None


def _value(content: Any) -> Any:
    """Content as the tool meant it: LangChain writes an object as JSON text."""
    if isinstance(content, str) and content[:1] in "{[" and content:
        try:
            return json.loads(content)
        except (ValueError, RecursionError):
            return content
    return content


def _text(content: Any) -> str:
    return (content if isinstance(content, str) else str(content))[:_MAX_ERROR]
