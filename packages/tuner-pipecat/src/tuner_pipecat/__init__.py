"""Tuner for Pipecat: one observer that captures the call and posts it, linked by its SIP Call-ID."""

from tuner_pipecat.observer import TunerObserver

__all__ = ["TunerObserver"]
