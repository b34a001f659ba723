"""The command `tuner`."""

from __future__ import annotations

from tuner_core.cli.app import app, main

__all__ = ["app", "main"]
