"""Tuner for LiveKit Agents: `TunerPlugin(session, ctx)` records and posts a call, linked by SIP Call-ID."""

from tuner_livekit.plugin import TunerPlugin

__all__ = ["TunerPlugin"]
