"""Tool calls and their results out of Pipecat's frames. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pipecat.frames.frames import (
    ExternalFunctionCallCancelFrame,
    ExternalFunctionCallInProgressFrame,
    ExternalFunctionCallResultFrame,
    ExternalFunctionCallsStartedFrame,
    Frame,
    FunctionCallCancelFrame,
    FunctionCallInProgressFrame,
    FunctionCallResultFrame,
    FunctionCallsStartedFrame,
)

from tuner_core.events import ToolCalled, ToolReturned

TOOL_FRAMES: tuple[type[Frame], ...] = (
    FunctionCallsStartedFrame,
    FunctionCallInProgressFrame,
    FunctionCallResultFrame,
    FunctionCallCancelFrame,
    ExternalFunctionCallsStartedFrame,
    ExternalFunctionCallInProgressFrame,
    ExternalFunctionCallResultFrame,
    ExternalFunctionCallCancelFrame,
)
"""The frames that `Tools` reads."""


class Tools:
    """Follows each tool call from its start to its result, so that none is left open."""

    def __init__(self) -> None:
        self._open: dict[str, str] = {}
        self._called: set[str] = set()

    def take(self, frame: Frame, at: float) -> Iterator[ToolCalled | ToolReturned]:
        """The events in one frame."""
        match frame:
            case FunctionCallsStartedFrame():
                for call in frame.function_calls:
                    yield from self._call(call.tool_call_id, call.function_name, call.arguments, at)
            case FunctionCallInProgressFrame() | ExternalFunctionCallInProgressFrame():
                yield from self._call(frame.tool_call_id, frame.function_name, frame.arguments, at)
            case FunctionCallResultFrame() | ExternalFunctionCallResultFrame():
                yield from self._call(frame.tool_call_id, frame.function_name, frame.arguments, at)
                error: str | None = getattr(frame, "error", None)
                yield self._returned(frame, at, result=frame.result, error=error)
            case FunctionCallCancelFrame() | ExternalFunctionCallCancelFrame():
                if frame.tool_call_id in self._open:
                    yield self._returned(frame, at, error="cancelled")
            case _:
                # The arguments of a call that runs elsewhere come with the frame that says it is in progress.
                pass

    def finished(self, at: float) -> Iterator[ToolReturned]:
        """The call is over: tools that have not returned never will."""
        for request_id, name in self._open.items():
            yield ToolReturned(
                at, request_id, name, is_error=True, error="the call ended before the tool returned"
            )
        self._open.clear()

    def _call(self, request_id: str, name: str, arguments: Any, at: float) -> Iterator[ToolCalled]:
        if request_id not in self._called:
            self._called.add(request_id)
            self._open[request_id] = name
            yield ToolCalled(at, request_id, name, arguments)

    def _returned(self, frame: Any, at: float, *, result: Any = None, error: str | None) -> ToolReturned:
        # An asynchronous tool may tell a result several times; the last one replaces those before it.
        self._open.pop(frame.tool_call_id, None)
        return ToolReturned(
            at,
            frame.tool_call_id,
            frame.function_name,
            result=result,
            is_error=error is not None,
            error=error,
        )
