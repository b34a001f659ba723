"""The spans of one session: bound by the context it is started in, and by the session's own root span.

A plugin is made just before `session.start`, in the same task, so the spans of the session inherit the context that
is bound here. Where an application makes several plugins before it starts their sessions, the session's root span
tells whose each is.
"""

from __future__ import annotations

from typing import Any

from livekit.agents import telemetry
from opentelemetry.sdk.trace import TracerProvider

from tuner_core.config import TunerConfig
from tuner_core.tracing import CallTrace


class SessionTrace(CallTrace):
    """Sends the spans of one session to Tuner.

    Args:
        call_id: of the record.
        config: credentials and addresses; from the environment when omitted.

    Raises:
        ConfigError: a setting is missing or wrong, or OpenTelemetry is not installed.
    """

    def __init__(self, call_id: str, config: TunerConfig | None) -> None:
        super().__init__(call_id, config, provider=livekit_provider())
        self._rooted = False
        self.start()

    def began(self, session: Any) -> None:
        """The session has begun: take its root span, and follow the provider that LiveKit may have set meanwhile."""
        if self._rooted:
            return
        root = getattr(session, "_root_span_context", None)
        if root is not None:
            self._rooted = True
            self.follow(livekit_provider())
            self.adopt(root)


def livekit_provider() -> TracerProvider | None:
    """The provider given to `telemetry.set_tracer_provider`, which need not be the global one; None for none."""
    provider = getattr(telemetry.tracer, "_tracer_provider", None)
    return provider if isinstance(provider, TracerProvider) else None
