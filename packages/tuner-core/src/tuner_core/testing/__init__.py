"""Create Call endpoints on loopback for tests, yours and ours.

`LocalTuner` is the whole local Tuner (extra `local`), `ScriptedTuner` answers as told, `UnreliableTuner` badly by
seed. `tuner_core.testing.fixtures` has them as pytest fixtures.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

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
from tuner_core.testing.storage import EXPIRED, ScriptedStorage, UploadTry
from tuner_core.testing.unreliable import Overlap, UnreliableTuner

if TYPE_CHECKING:
    from tuner_core.local.server import LocalTuner

__all__ = [
    "EXPIRED",
    "HALF",
    "HANG",
    "RESET",
    "TAKE_AND_RESET",
    "Answer",
    "LocalTuner",
    "Misbehaviour",
    "Overlap",
    "RateLimit",
    "Received",
    "ScriptedStorage",
    "ScriptedTuner",
    "Step",
    "UnreliableTuner",
    "UploadTry",
]


def __getattr__(name: str) -> Any:
    if name != "LocalTuner":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        from tuner_core.local.server import LocalTuner
    except ImportError as error:
        raise ImportError(f"LocalTuner needs {error.name}: pip install 'tuner-core[local]'") from error
    return LocalTuner
