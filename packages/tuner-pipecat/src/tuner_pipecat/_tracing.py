"""The spans of one pipeline: found by the conversation that Pipecat traces, not by who made the observer.

Pipecat starts its spans in tasks of its own, so a context that the application set says nothing about them when
several pipelines are made in one task. What tells them apart is each worker's tracing context, which has the
conversation's span from the moment it begins.
"""

from __future__ import annotations

from concurrent.futures import Future
from typing import Any

from pipecat.frames.frames import Frame, StartFrame
from pipecat.processors.frame_processor import FrameProcessor

from tuner_core.config import TunerConfig
from tuner_core.tracing import CallTrace, TraceOutcome


class PipelineTrace:
    """Sends the spans of one pipeline to Tuner.

    Args:
        call_id: of the record.
        config: credentials and addresses; from the environment when omitted.

    Raises:
        ConfigError: a setting is missing or wrong, or OpenTelemetry is not installed.
    """

    def __init__(self, call_id: str, config: TunerConfig | None) -> None:
        self._trace = CallTrace(call_id, config)
        self._trace.start(bind_context=False)
        self._tracing: Any = None
        self._adopted = False

    def saw(self, frame: Frame, source: FrameProcessor) -> None:
        """Look for the conversation's span, which begins at about the time of the `StartFrame`."""
        if self._adopted:
            return
        if isinstance(frame, StartFrame):
            # Read past the frame's own access, which warns: observers are not given a processor's set-up.
            try:
                self._tracing = object.__getattribute__(frame, "tracing_context")
            except AttributeError:
                self._tracing = getattr(source, "_tracing_context", None)
        self._adopt()

    def end(self, *, deadline_s: float) -> Future[TraceOutcome]:
        """The call is over. The conversation's span ends later, when the observers are cleaned up: do not wait."""
        self._adopt()
        return self._trace.end(deadline_s=deadline_s)

    def _adopt(self) -> None:
        if not self._adopted and self._tracing is not None:
            context = self._tracing.get_conversation_context()
            self._adopted = context is not None and self._trace.adopt(context)
