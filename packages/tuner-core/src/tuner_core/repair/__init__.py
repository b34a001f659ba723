"""Any record as one that the API accepts."""

from __future__ import annotations

from tuner_core.repair.record import PENDING_RECORDING, Conformed, ConformOptions, conform
from tuner_core.repair.size import MAX_BODY_BYTES

__all__ = ["MAX_BODY_BYTES", "PENDING_RECORDING", "ConformOptions", "Conformed", "conform"]
