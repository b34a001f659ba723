"""The span processor: one for a tracer provider, however many calls pass."""

from __future__ import annotations

import threading
from weakref import WeakSet

from opentelemetry.context import Context
from opentelemetry.sdk.trace import ReadableSpan, Span, SpanProcessor, TracerProvider
from opentelemetry.trace import SpanContext

from tuner_core.tracing.call_spans import SpanKey
from tuner_core.tracing.hub import Hub

_followed: WeakSet[TracerProvider] = WeakSet()
_lock = threading.Lock()


class CallSpanProcessor(SpanProcessor):
    """Tells the hub of spans that start and end; costs one comparison a span while no call runs.

    Args:
        hub: of the process.
    """

    def __init__(self, hub: Hub) -> None:
        self._hub = hub

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        """Note whose span it is."""
        if self._hub.is_idle:
            return
        context = span.get_span_context()
        self._hub.span_started(key_of(context), key_of(span.parent) if span.parent else None, parent_context)

    def on_end(self, span: ReadableSpan) -> None:
        """Put the span with its call's."""
        if self._hub.is_idle:
            return
        context = span.get_span_context()
        if context is not None and context.trace_flags.sampled:
            self._hub.span_ended(key_of(context), span)

    def force_flush(self, timeout_millis: int = 30000) -> bool:
        """Send what has ended so far."""
        return self._hub.flush(timeout_millis / 1000)


def key_of(context: SpanContext) -> SpanKey:
    """What names a span in this process."""
    return (context.trace_id, context.span_id)


def follow(provider: TracerProvider, hub: Hub) -> None:
    """Have a provider's spans told to the hub; a second time does nothing."""
    with _lock:
        if provider not in _followed:
            provider.add_span_processor(CallSpanProcessor(hub))
            _followed.add(provider)
