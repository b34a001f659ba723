"""Usage and model names out of Pipecat's metrics. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from pipecat.metrics.metrics import (
    LLMTokenUsage,
    LLMUsageMetricsData,
    MetricsData,
    STTUsageMetricsData,
    TTFBMetricsData,
    TTSUsageMetricsData,
)

from tuner_core.events import UsageReported

_TOKEN_FIELDS = (
    "prompt_tokens",
    "completion_tokens",
    "cache_read_input_tokens",
    "cache_creation_input_tokens",
    "reasoning_tokens",
    "input_audio_tokens",
    "output_audio_tokens",
)


@dataclass(slots=True)
class Usage:
    """Totals of one call.

    Attributes:
        models: model name of each kind of service (`stt`, `llm`, `tts`), the last one that was used.
    """

    models: dict[str, str] = field(default_factory=dict[str, str])
    _stt_audio_s: float | None = None
    _llm_tokens: int | None = None
    _tts_characters: int | None = None
    _tokens: dict[str, int] = field(default_factory=dict[str, int])

    def add(self, data: Iterable[MetricsData], kind: str | None) -> float | None:
        """Take in the data of one metrics frame.

        Args:
            data: of one `MetricsFrame`.
            kind: `stt`, `llm` or `tts`: what service sent it, None for another processor.

        Returns:
            The service's time to first byte in seconds, None when the frame holds none. Pipecat sends one frame of
            zeros when it starts, which is not a measurement.
        """
        ttfb_s: float | None = None
        for entry in data:
            if kind and entry.model:
                self.models[kind] = entry.model
            match entry:
                case TTFBMetricsData() if entry.value > 0:
                    ttfb_s = entry.value
                case LLMUsageMetricsData():
                    self._add_tokens(entry.value)
                case STTUsageMetricsData():
                    self._stt_audio_s = (self._stt_audio_s or 0.0) + entry.value.audio_seconds
                case TTSUsageMetricsData():
                    self._tts_characters = (self._tts_characters or 0) + entry.value
                case _:
                    pass
        return ttfb_s

    def report(self) -> UsageReported:
        """The totals so far; `total_tokens` counts each cached token once, whatever the service."""
        extra: dict[str, Any] = {"llm_token_detail": dict(self._tokens)} if self._tokens else {}
        return UsageReported(
            asr_model=self.models.get("stt"),
            llm_model=self.models.get("llm"),
            tts_model=self.models.get("tts"),
            stt_audio_s=round(self._stt_audio_s, 3) if self._stt_audio_s is not None else None,
            llm_tokens=self._llm_tokens,
            tts_characters=self._tts_characters,
            extra=extra,
        )

    def _add_tokens(self, usage: LLMTokenUsage) -> None:
        self._llm_tokens = (self._llm_tokens or 0) + usage.total_tokens
        for name in _TOKEN_FIELDS:
            value: int | None = getattr(usage, name, None)
            if value:
                self._tokens[name] = self._tokens.get(name, 0) + value
