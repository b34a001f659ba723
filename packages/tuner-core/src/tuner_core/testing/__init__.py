"""Create Call endpoints on loopback for tests, yours and ours: one that follows a script, one that is unreliable."""

from __future__ import annotations

from tuner_core.testing.scripted import (
    HALF,
    HANG,
    RESET,
    TAKE_AND_RESET,
    Answer,
    Misbehaviour,
    RateLimit,
    Received,
    ScriptedTuner,
    Step,
)
from tuner_core.testing.unreliable import Overlap, UnreliableTuner

__all__ = [
    "HALF",
    "HANG",
    "RESET",
    "TAKE_AND_RESET",
    "Answer",
    "Misbehaviour",
    "Overlap",
    "RateLimit",
    "Received",
    "ScriptedTuner",
    "Step",
    "UnreliableTuner",
]
