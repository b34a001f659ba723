"""Tool calls of one session, put together from LiveKit's events and its history. Pure."""

from __future__ import annotations

import ast
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from livekit.agents.llm import FunctionCall, FunctionCallOutput

from tuner_core.events import ToolCalled, ToolReturned

_LITERAL_LIMIT = 65_536
"""Longest tool result, in characters, that is tried as a Python literal."""


@dataclass(slots=True)
class _Tool:
    call: FunctionCall = field(repr=False)
    started_at: float
    ended_at: float | None = None
    status: str = ""
    message: str | None = field(default=None, repr=False)
    output: FunctionCallOutput | None = field(default=None, repr=False)
    told: int = 0
    """How much of it is in a checkpoint: 1 the call, 2 its end too."""


@dataclass(slots=True)
class ToolLog:
    """Collects what is known of each tool call, whichever of LiveKit's sources tells it first.

    `tool_execution_updated` (livekit-agents 1.7 and later) gives the times and the cancelled calls,
    `function_tools_executed` and the history give the outputs.
    """

    _tools: dict[str, _Tool] = field(default_factory=dict[str, _Tool])

    def started(self, call: FunctionCall, *, at: float) -> None:
        """A call was dispatched, or is in the history; `at` is Unix seconds, the first report wins."""
        if self._base_of(call.call_id) is None:
            self._tools.setdefault(call.call_id, _Tool(call, at))

    def ended(self, call_id: str, *, at: float, status: str, message: str | None) -> None:
        """A call reached its end: `done`, `error` or `cancelled`."""
        tool = self._tools.get(call_id)
        if tool is not None:
            tool.ended_at, tool.status, tool.message = at, status, message

    def returned(self, output: FunctionCallOutput) -> None:
        """The model was given `output`."""
        base = self._base_of(output.call_id)
        tool = self._tools.get(base or output.call_id)
        if tool is None or (base is not None and not output.call_id.endswith("_final")):
            return
        # A tool that reports progress (`RunContext.update`) answers its own id with the first report and
        # `<id>_final` with the result: the result is what counts, whichever is seen last.
        if tool.output is None or not tool.output.call_id.endswith("_final"):
            tool.output = output

    def events(self, *, ended_at: float) -> Iterator[ToolCalled | ToolReturned]:
        """Each call and its end, in order of the calls; a call still open ends at `ended_at` as an error."""
        for call_id, tool in self._tools.items():
            name = tool.call.name
            yield ToolCalled(tool.started_at, call_id, name, value_of(tool.call.arguments))
            yield _end_of(call_id, name, tool, ended_at)

    def news(self) -> Iterator[ToolCalled | ToolReturned]:
        """What has happened since the last time: calls begun, calls ended."""
        for call_id, tool in self._tools.items():
            if tool.told < 1:
                tool.told = 1
                yield ToolCalled(tool.started_at, call_id, tool.call.name, value_of(tool.call.arguments))
            if tool.told < 2 and (tool.output is not None or tool.ended_at is not None):
                tool.told = 2
                yield _end_of(call_id, tool.call.name, tool, tool.started_at)

    def _base_of(self, call_id: str) -> str | None:
        """The call that a progress report's own id (`<id>_update_<n>`, `<id>_final`) belongs to."""
        for mark in ("_update_", "_final"):
            base, found, _ = call_id.rpartition(mark)
            if found and base in self._tools:
                return base
        return None


def _end_of(call_id: str, name: str, tool: _Tool, ended_at: float) -> ToolReturned:
    output = tool.output
    at = tool.ended_at or (output.created_at if output else ended_at)
    if tool.status == "cancelled":
        return ToolReturned(at, call_id, name, is_error=True, error="cancelled")
    if output is not None and output.is_error:
        return ToolReturned(at, call_id, name, is_error=True, error=output.output)
    if tool.status == "error":
        return ToolReturned(at, call_id, name, is_error=True, error=tool.message or "failed")
    if output is not None:
        return ToolReturned(at, call_id, name, result=value_of(output.output))
    if tool.status == "done":
        return ToolReturned(at, call_id, name, result=value_of(tool.message))
    return ToolReturned(at, call_id, name, is_error=True, error="no result before the call ended")


def value_of(text: str | None) -> Any:
    """The value that LiveKit's string form of arguments or a result stands for, else the string itself.

    Arguments come as JSON as the model wrote it, which need not parse; results come as `str()` of what the
    tool gave, so a dict comes as a Python literal.
    """
    if text is None:
        return None
    stripped = text.strip()
    if not stripped.startswith(("{", "[")):
        return text
    try:
        return json.loads(stripped)
    except (ValueError, RecursionError):
        pass
    if len(stripped) > _LITERAL_LIMIT:
        return text
    try:
        return ast.literal_eval(stripped)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return text
