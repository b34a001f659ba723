"""Which attributes of a span leave the process: those that say how a call went, not what was said in it. Pure.

An allow-list, because nobody can list what may hold a prompt, a transcript, a phone number or a tool's values.
Tuner keeps names, timings, status, model names and token counts, so nothing that it would show is lost.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, cast

MAX_TEXT = 256
"""Characters of an attribute or a name: longer ones are prose, not names."""

_NAMES = frozenset(
    {
        # GenAI semantic conventions, and how OpenInference and Pipecat spell the same.
        "gen_ai.agent.name", "gen_ai.operation.name", "gen_ai.output.type", "gen_ai.provider.name",
        "gen_ai.request.model", "gen_ai.response.finish_reasons", "gen_ai.response.model", "gen_ai.system",
        "gen_ai.token.type", "gen_ai.tool.call.id", "gen_ai.tool.name", "gen_ai.tool.type",
        "gen_ai.workflow.name", "llm.model_name", "llm.provider", "llm.system", "openinference.span.kind",
        "service.operation", "tool.name", "turn.type", "language", "voice_id",
        # What went wrong, by kind; the message may quote anything.
        "error.type", "exception.type", "http.request.method", "http.response.status_code",
        "http.status_code", "otel.status_code", "rpc.method",
        # LiveKit Agents.
        "job_id", "room_id", "lk.agent_label", "lk.agent_name", "lk.close_reason", "lk.disconnect_reason",
        "lk.eou.outcome", "lk.eou.source", "lk.fallback.label", "lk.function_tool.id", "lk.function_tool.name",
        "lk.generation_id", "lk.interruption.source", "lk.job_id", "lk.parent_generation_id",
        "lk.participant_kind", "lk.previous_agent_label", "lk.provider_request_ids", "lk.room_sid",
        "lk.speech_id", "lk.tts.label", "lk.llm_metrics", "lk.tts_metrics", "lk.realtime_model_metrics",
        # The resource.
        "service.name", "service.namespace", "service.version", "telemetry.sdk.language", "telemetry.sdk.name",
        "telemetry.sdk.version", "deployment.environment", "deployment.environment.name",
    }
)  # fmt: skip
"""Attributes whose text is a name from a short list, an id without meaning, or figures as JSON."""

_FIGURES = re.compile(
    r"(gen_ai\.(usage|request|response)|llm\.token_count|metrics|turn"
    r"|lk\.(response|eou|job|speech|blocking|playout|interruption|close|input|fallback|function_tool|tts))\."
)
_LONE_FIGURES = frozenset(
    {
        "audio.data_size_bytes", "is_final", "lk.e2e_latency", "lk.end_of_turn_delay", "lk.first_frame_delay",
        "lk.generation_count", "lk.interrupted", "lk.is_interruption", "lk.on_user_turn_completed_delay",
        "lk.retry_count", "lk.transcript_confidence", "lk.transcription_delay", "stream", "tool_count",
        "vad_enabled", "tools.available", "tools.count", "function_calls.count", "tts.interrupted",
        "stt.interrupted",
    }
)  # fmt: skip
_METRICS_JSON = frozenset({"lk.llm_metrics", "lk.tts_metrics", "lk.realtime_model_metrics"})
_MAX_JSON = 4096
_DIGITS = re.compile(r"\+?\d(?:[ ()./-]?\d){6,}")


def harmless(attributes: Mapping[str, Any] | None) -> dict[str, Any]:
    """The attributes that hold names, ids and figures only.

    Args:
        attributes: of a span, an event or a resource.
    """
    return {key: value for key, value in (attributes or {}).items() if _is_harmless(key, value)}


def harmless_name(name: str) -> str:
    """A span's name, cut to size, without anything that reads like a phone or card number."""
    return _DIGITS.sub("#", name)[:MAX_TEXT]


def _is_harmless(key: str, value: Any) -> bool:
    if isinstance(value, bool | int | float):
        return key in _NAMES or key in _LONE_FIGURES or _FIGURES.match(key) is not None
    if key not in _NAMES:
        return False
    if isinstance(value, str):
        return len(value) <= (_MAX_JSON if key in _METRICS_JSON else MAX_TEXT)
    if isinstance(value, Sequence):
        items = cast("Sequence[Any]", value)
        return len(items) <= 16 and all(isinstance(item, str) and len(item) <= MAX_TEXT for item in items)
    return False
