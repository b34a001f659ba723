"""What must not leave this machine, taken out of records and checkpoints before they are stored."""

from __future__ import annotations

from tuner_core.redaction.redactor import Redaction

__all__ = ["Redaction"]
