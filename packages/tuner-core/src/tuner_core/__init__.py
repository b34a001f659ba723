"""Client for Tuner's Create Call API: delivery that loses nothing, and the SIP Call-ID of every call.

Importing this package loads nothing else: each name is fetched from its module when it is first used, so an agent
that only asks for a `CallTimeline` does not pay for HTTP.
"""

from __future__ import annotations

from importlib import import_module

TYPE_CHECKING = False
"""Type checkers take it for true; the one of `typing` would cost more to import than all else here."""

if TYPE_CHECKING:
    from tuner_core.client import AsyncTunerClient, TunerClient
    from tuner_core.config import TunerConfig
    from tuner_core.delivery import CallSink, Delivery, DeliveryOutcome, default_sink
    from tuner_core.errors import (
        ApiError,
        AuthenticationError,
        ConfigError,
        InvalidRecord,
        OutboxError,
        RateLimited,
        RecordRefused,
        ServerError,
        TransportError,
        TunerError,
        UploadError,
    )
    from tuner_core.http import RetryPolicy
    from tuner_core.identity.model import SipIdentity
    from tuner_core.identity.registry import register_provider
    from tuner_core.identity.resolver import resolve
    from tuner_core.recordings import Recording
    from tuner_core.records import CallRecord, Node, Receipt, Segment, Tool, Word
    from tuner_core.repair import Conformed, conform
    from tuner_core.timeline import CallTimeline
    from tuner_core.version import __version__

__all__ = [
    "ApiError",
    "AsyncTunerClient",
    "AuthenticationError",
    "CallRecord",
    "CallSink",
    "CallTimeline",
    "ConfigError",
    "Conformed",
    "Delivery",
    "DeliveryOutcome",
    "InvalidRecord",
    "Node",
    "OutboxError",
    "RateLimited",
    "Receipt",
    "RecordRefused",
    "Recording",
    "RetryPolicy",
    "Segment",
    "ServerError",
    "SipIdentity",
    "Tool",
    "TransportError",
    "TunerClient",
    "TunerConfig",
    "TunerError",
    "UploadError",
    "Word",
    "__version__",
    "conform",
    "default_sink",
    "register_provider",
    "resolve",
]

# The imports above once more, for the interpreter: a test compares them.
_PLACES = {
    "client": ("AsyncTunerClient", "TunerClient"),
    "config": ("TunerConfig",),
    "delivery": ("CallSink", "Delivery", "DeliveryOutcome", "default_sink"),
    "errors": (
        "ApiError",
        "AuthenticationError",
        "ConfigError",
        "InvalidRecord",
        "OutboxError",
        "RateLimited",
        "RecordRefused",
        "ServerError",
        "TransportError",
        "TunerError",
        "UploadError",
    ),
    "http": ("RetryPolicy",),
    "identity.model": ("SipIdentity",),
    "identity.registry": ("register_provider",),
    "identity.resolver": ("resolve",),
    "recordings": ("Recording",),
    "records": ("CallRecord", "Node", "Receipt", "Segment", "Tool", "Word"),
    "repair": ("Conformed", "conform"),
    "timeline": ("CallTimeline",),
    "version": ("__version__",),
}
_PLACE_OF = {name: place for place, names in _PLACES.items() for name in names}


def __getattr__(name: str) -> object:
    """Fetch an exported name from its module, once (PEP 562)."""
    place = _PLACE_OF.get(name)
    if place is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(f"{__name__}.{place}"), name)
    return value


def __dir__() -> list[str]:
    """Name what is exported, fetched or not."""
    return sorted({*globals(), *__all__})
