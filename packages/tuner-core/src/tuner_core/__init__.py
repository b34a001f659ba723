"""Client for Tuner's Create Call API: delivery that loses nothing, and the SIP Call-ID of every call."""

from __future__ import annotations

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
)
from tuner_core.http import RetryPolicy
from tuner_core.identity.model import SipIdentity
from tuner_core.records import CallRecord, Node, Receipt, Segment, Tool, Word
from tuner_core.repair import Conformed, conform
from tuner_core.timeline import CallTimeline
from tuner_core.version import VERSION as __version__

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
    "RetryPolicy",
    "Segment",
    "ServerError",
    "SipIdentity",
    "Tool",
    "TransportError",
    "TunerClient",
    "TunerConfig",
    "TunerError",
    "Word",
    "__version__",
    "conform",
    "default_sink",
]
