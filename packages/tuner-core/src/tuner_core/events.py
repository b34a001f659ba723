"""Neutral events of one call: what LiveKit, Pipecat or a stack of your own tells the `CallTimeline`.

Plain values with Unix times in seconds. `CallTimeline` is the one place that turns them into a record; a plugin's
only work is to translate its framework's words into these.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias


@dataclass(frozen=True, slots=True)
class Word:
    """One recognised or spoken word; times in Unix seconds, confidence 0 to 1."""

    text: str = field(repr=False)
    started_at: float
    ended_at: float
    confidence: float | None = None


@dataclass(frozen=True, slots=True)
class TurnMetrics:
    """Latency of one turn in seconds, None where it is not known. Names follow Create Call's segment metadata.

    Attributes:
        e2e_latency_s: end of the user's speech to the agent's first audio, as the framework measured it.
        llm_ttft_s: transcript received to first LLM token.
        tts_ttfb_s: text to first audio byte.
        stt_latency_s: end of the user's speech to transcript ready.
        eou_delay_s: end of the user's speech to the decision that the turn is over.
        transcript_confidence: 0 to 1.
        extra: further segment metadata, JSON values under names of the framework's own.
    """

    e2e_latency_s: float | None = None
    llm_ttft_s: float | None = None
    tts_ttfb_s: float | None = None
    stt_latency_s: float | None = None
    eou_delay_s: float | None = None
    transcript_confidence: float | None = None
    extra: Mapping[str, Any] = field(default_factory=dict[str, Any], repr=False)


@dataclass(frozen=True, slots=True)
class CallStarted:
    """The call was answered; the timeline's zero."""

    at: float


@dataclass(frozen=True, slots=True)
class UserTurn:
    """The user said something and the turn is over.

    Attributes:
        text: as recognised.
        started_at: Unix seconds of the first sound.
        ended_at: Unix seconds of the last sound.
        id: the framework's id of the turn; a second event with the same id replaces the first.
        source: `speech`, or `injected` for text that was never spoken (RAG, text input).
        words: word timings when the recogniser gives them.
        metrics: latency of the turn.
    """

    text: str = field(repr=False)
    started_at: float
    ended_at: float
    id: str = ""
    source: Literal["speech", "injected"] = "speech"
    words: tuple[Word, ...] = field(default=(), repr=False)
    metrics: TurnMetrics = TurnMetrics()


@dataclass(frozen=True, slots=True)
class AgentTurn:
    """The agent said something and the turn is over.

    Attributes:
        text: what was spoken; after a barge-in only what was heard, where the framework knows.
        started_at: Unix seconds of the first audio.
        ended_at: Unix seconds of the last audio played.
        id: the framework's id of the turn; a second event with the same id replaces the first.
        interrupted: True when the user cut it short.
        interrupted_at: Unix seconds of the cut.
        intended_text: the whole text when only a part was spoken.
        words: word timings when known.
        metrics: latency of the turn.
    """

    text: str = field(repr=False)
    started_at: float
    ended_at: float
    id: str = ""
    interrupted: bool = False
    interrupted_at: float | None = None
    intended_text: str | None = field(default=None, repr=False)
    words: tuple[Word, ...] = field(default=(), repr=False)
    metrics: TurnMetrics = TurnMetrics()


@dataclass(frozen=True, slots=True)
class ToolCalled:
    """The agent called a tool; `params` is any value, conform makes it an object."""

    at: float
    request_id: str
    name: str
    params: Any = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class ToolReturned:
    """A tool gave its result, failed, or was cancelled (`is_error` with an `error`)."""

    at: float
    request_id: str
    name: str
    result: Any = field(default=None, repr=False)
    is_error: bool = False
    error: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class NodeChanged:
    """The conversation moved from one node, flow state or agent to another."""

    at: float
    from_node: str
    to_node: str
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class DigitPressed:
    """The user pressed a key (DTMF)."""

    at: float
    digit: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class UsageReported:
    """Totals of the call so far; each report replaces the one before, field by field where not None.

    Attributes:
        asr_model: name of the speech recogniser's model.
        llm_model: name of the language model.
        tts_model: name of the voice model.
        stt_audio_s: seconds of audio transcribed.
        llm_tokens: prompt and completion tokens, each cached token once.
        tts_characters: characters spoken.
        extra: anything else worth keeping, JSON values.
    """

    asr_model: str | None = None
    llm_model: str | None = None
    tts_model: str | None = None
    stt_audio_s: float | None = None
    llm_tokens: int | None = None
    tts_characters: int | None = None
    extra: Mapping[str, Any] = field(default_factory=dict[str, Any], repr=False)


@dataclass(frozen=True, slots=True)
class CallEnded:
    """The call is over.

    Attributes:
        at: Unix seconds.
        reason: Create Call's `disconnection_reason`: `user_hangup`, `agent_hangup`, `error`, `timeout`, `unknown`.
        status: Create Call's `call_status`; `call_ended` unless the agent failed (`error`).
        detail: the framework's own words, kept in the raw metadata.
    """

    at: float
    reason: Literal["user_hangup", "agent_hangup", "error", "timeout", "unknown"] = "unknown"
    status: Literal["call_ended", "error"] = "call_ended"
    detail: str = field(default="", repr=False)


CallEvent: TypeAlias = (
    CallStarted
    | UserTurn
    | AgentTurn
    | ToolCalled
    | ToolReturned
    | NodeChanged
    | DigitPressed
    | UsageReported
    | CallEnded
)
