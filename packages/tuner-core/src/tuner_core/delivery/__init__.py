"""Delivery that loses nothing: a record is on disk before its first byte goes out."""

from __future__ import annotations

from tuner_core.delivery.delivery import Delivery, default_sink
from tuner_core.delivery.sink import CallFacts, CallSink, CheckpointSink, DeliveryOutcome, DeliveryState

__all__ = [
    "CallFacts",
    "CallSink",
    "CheckpointSink",
    "Delivery",
    "DeliveryOutcome",
    "DeliveryState",
    "default_sink",
]
