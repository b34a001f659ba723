"""What an application or a plugin holds of a call's trace."""

from __future__ import annotations

import asyncio
import atexit
import logging
import weakref
from concurrent.futures import Future
from importlib import import_module
from types import TracebackType
from typing import TYPE_CHECKING, Self

from tuner_core.config import TunerConfig
from tuner_core.errors import ConfigError
from tuner_core.tracing.call_spans import TRACES_PATH, CallSpans, TraceOutcome
from tuner_core.tracing.hub import hub

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.trace import Span, SpanContext

logger = logging.getLogger("tuner_core.tracing")

_EXIT_S = 2.0


class CallTrace:
    """Sends the OpenTelemetry spans of one call to Tuner, with its `tuner.call_id` and its tenant's key.

    Spans become the call's in one of two ways:

    - by context: `start` binds the current context, and every task or thread that inherits it from then on starts
      spans of this call;
    - by name: `adopt` takes a span and all that descends from it, whatever context they were started in. For
      frameworks that start spans in tasks of their own.

    Any number of calls may run in a process, side by side and for different tenants: a span goes to its own call or
    to none. When the call has ended nothing of it is left. A traces endpoint that fails costs spans, which are
    counted, and nothing else.

    Attributes that may hold what was said in the call (prompts, transcripts, tool values, phone numbers, messages of
    exceptions) stay here unless `with_content` is set.

    Args:
        call_id: the record's `call_id`.
        config: whose call it is; from the environment when omitted.
        with_content: send all attributes as they are.
        provider: the tracer provider whose spans to watch, OpenTelemetry's global one when omitted.

    Raises:
        ConfigError: a setting is missing or wrong, or OpenTelemetry is not installed.
    """

    def __init__(
        self,
        call_id: str,
        config: TunerConfig | None = None,
        *,
        with_content: bool = False,
        provider: TracerProvider | None = None,
    ) -> None:
        _require_opentelemetry()
        settings = config or TunerConfig()
        self._spans = CallSpans(
            call_id, f"{settings.base_url}{TRACES_PATH}", settings.api_key, with_content=with_content
        )
        self._provider = provider
        self._number: int | None = None
        # A trace that is forgotten instead of ended must not stay open for ever.
        weakref.finalize(self, hub.close_call, self._spans, grace_s=0.0, deadline_s=_EXIT_S).atexit = False

    def __repr__(self) -> str:
        return f"<CallTrace of {self._spans.call_id!r}>"

    @property
    def call_id(self) -> str:
        """Value of `tuner.call_id` on each span."""
        return self._spans.call_id

    @property
    def outcome(self) -> TraceOutcome:
        """What became of the spans so far."""
        return self._spans.outcome

    def start(self, *, bind_context: bool = True) -> bool:
        """Begin to take spans; False, and a warning, when nobody makes any.

        Args:
            bind_context: spans started in the current context, and what inherits it, are this call's. Without it
                the call has no spans until `adopt`; those that end before are held back for it.
        """
        from tuner_core.tracing.binding import bind_current

        if self._number is None:
            self._spans.awaits_root = not bind_context
            self._number = hub.open_call(self._spans)
            hub.send(self._spans)
            if bind_context:
                bind_current(self._number)
        return self.follow(self._provider)

    def follow(self, provider: TracerProvider | None = None) -> bool:
        """Watch the spans of a tracer provider; a second time, and by a second call, does nothing.

        Args:
            provider: of OpenTelemetry's SDK; the global one when omitted.

        Returns:
            False, and a warning, when the provider is not the SDK's, so that no spans are recorded.
        """
        from opentelemetry import trace
        from opentelemetry.sdk.trace import TracerProvider

        from tuner_core.tracing.processor import follow

        source: object = provider or trace.get_tracer_provider()
        if not isinstance(source, TracerProvider):
            _warn_without_provider()
            return False
        follow(source, hub)
        return True

    def adopt(self, root: Span | SpanContext | Context | None = None) -> bool:
        """Take a span and all that descends from it, those included that have started or ended already.

        Args:
            root: the span, its span context, or a context it is current in; the current span when omitted.

        Returns:
            False when there is no span in it, or the call has not started.
        """
        from opentelemetry import trace

        from tuner_core.tracing.processor import key_of

        if root is None:
            root = trace.get_current_span()
        elif isinstance(root, dict):
            root = trace.get_current_span(root)
        context = root.get_span_context() if isinstance(root, trace.Span) else root
        if self._number is None or not context.is_valid:
            return False
        is_open = isinstance(root, trace.Span) and root.is_recording()
        hub.adopt(key_of(context), self._spans, is_open=is_open)
        return True

    def end(self, *, grace_s: float = 2.0, deadline_s: float = 8.0) -> Future[TraceOutcome]:
        """The call is over: send the rest in the background and release everything. Returns at once.

        Args:
            grace_s: longest wait, in seconds, for spans of the call that are still open.
            deadline_s: seconds until what could not be sent is dropped.

        Returns:
            The outcome, when it is known.
        """
        spans = self._spans
        if self._number is None:
            if not spans.finished.done():
                spans.finished.set_result(spans.outcome)
            return spans.finished
        from tuner_core.tracing.binding import unbind_current

        unbind_current(self._number)
        hub.close_call(spans, grace_s=grace_s, deadline_s=deadline_s)
        return spans.finished

    async def aend(self, *, grace_s: float = 2.0, deadline_s: float = 8.0) -> TraceOutcome:
        """As `end`, and wait for the outcome without blocking the loop; at most a little over `deadline_s`."""
        finished = self.end(grace_s=grace_s, deadline_s=deadline_s)
        return await asyncio.shield(asyncio.wrap_future(finished))

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.end()


def set_up_tracing(service_name: str = "voice-agent", **attributes: str) -> TracerProvider:
    """OpenTelemetry's global tracer provider, made and set if there is none yet.

    Pipecat and LiveKit Agents start their spans at the global provider. An application that has set one, for a
    backend of its own, needs nothing of this.

    Args:
        service_name: resource attribute `service.name` of a provider that is made here.
        attributes: further resource attributes of it.

    Raises:
        ConfigError: OpenTelemetry is not installed.
    """
    _require_opentelemetry()
    from opentelemetry import trace
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider

    provider: object = trace.get_tracer_provider()
    if not isinstance(provider, TracerProvider):
        provider = TracerProvider(resource=Resource.create({"service.name": service_name, **attributes}))
        trace.set_tracer_provider(provider)
    return provider


def _require_opentelemetry() -> None:
    try:
        import_module("opentelemetry.sdk.trace")
        import_module("opentelemetry.exporter.otlp.proto.common.trace_encoder")
    except ImportError:
        raise ConfigError("traces need OpenTelemetry: pip install 'tuner-core[otel]'") from None


def _warn_without_provider() -> None:
    global _warned  # noqa: PLW0603
    if not _warned:
        _warned = True
        logger.warning(
            "no spans are recorded, so none are sent: set an OpenTelemetry TracerProvider, for example with "
            "tuner_core.tracing.set_up_tracing(), before the call starts"
        )


_warned = False


@atexit.register
def _at_exit() -> None:
    hub.close_all(_EXIT_S)
