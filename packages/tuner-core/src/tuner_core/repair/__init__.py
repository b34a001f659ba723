"""Any record as one that the API accepts."""

from __future__ import annotations

from tuner_core.repair.record import PENDING_RECORDING, Conformed, conform

__all__ = ["PENDING_RECORDING", "Conformed", "conform"]
