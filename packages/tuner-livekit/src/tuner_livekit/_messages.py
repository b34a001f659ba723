"""Messages of a LiveKit session as neutral turns: who said what when, and whether it was spoken. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from livekit.agents.llm import ChatMessage

from tuner_core.events import AgentTurn, TurnMetrics, UserTurn


@dataclass(frozen=True, slots=True)
class Heard:
    """Final transcripts since the user message before: the evidence that a message was spoken.

    Attributes:
        text: the transcripts, joined by a blank.
        at: Unix seconds of the last one.
    """

    text: str = field(repr=False)
    at: float


@dataclass(frozen=True, slots=True)
class Interval:
    """One stretch of a party's speech, Unix seconds."""

    started_at: float
    ended_at: float


@dataclass(slots=True)
class SpeechLog:
    """When one party spoke, as the session's states told it."""

    intervals: list[Interval] = field(default_factory=list[Interval])
    _since: float | None = None

    def state(self, state: str, *, at: float) -> None:
        """The party's state became `state` at `at`."""
        if state == "speaking":
            self._since = at
        elif self._since is not None:
            self.intervals.append(Interval(self._since, max(at, self._since)))
            self._since = None

    def until(self, at: float, *, after: int) -> tuple[list[Interval], int]:
        """The intervals behind the first `after` that began by `at`, and how many are used up with them."""
        end = after
        while end < len(self.intervals) and self.intervals[end].started_at <= at:
            end += 1
        return self.intervals[after:end], end


def user_turns(
    message: ChatMessage, heard: Heard | None, speech: Sequence[Interval], *, agent_started_at: float | None
) -> Iterator[UserTurn]:
    """The turn that was spoken and the text that code put beside it, each marked for what it is.

    Args:
        message: a message of role `user`.
        heard: what the recogniser told before the message was committed.
        speech: stretches of user speech since the user message before.
        agent_started_at: first audio of the agent's turn before this one.
    """
    parts = [part for part in message.content if isinstance(part, str) and part.strip()]
    if not parts:
        return
    metrics: Mapping[str, Any] = message.metrics
    if not _was_spoken(message, parts, metrics, heard):
        text = "\n".join(parts)
        yield UserTurn(text, message.created_at, message.created_at, id=message.id, source="injected")
        return
    spoken, added = _split(parts, heard)
    started_at, ended_at = _spoken_times(message, metrics, heard, speech, agent_started_at)
    yield UserTurn(spoken, started_at, ended_at, id=message.id, metrics=_user_metrics(message, metrics))
    if added:
        yield UserTurn(added, ended_at, ended_at, id=f"{message.id}:injected", source="injected")


def agent_turn(message: ChatMessage, speech: Sequence[Interval]) -> AgentTurn | None:
    """The turn of a message of role `assistant`, None when it holds no text.

    Args:
        message: its times are those of the session, which counts a turn as over when its interruption was
            decided on.
        speech: stretches of agent speech; the audio had stopped earlier, when the session paused it.
    """
    text = (message.text_content or "").strip()
    if not text:
        return None
    metrics: Mapping[str, Any] = message.metrics
    started_at = float(metrics.get("started_speaking_at") or message.created_at)
    ended_at = max(float(metrics.get("stopped_speaking_at") or started_at), started_at)
    if message.interrupted:
        during = (each for each in speech if each.started_at <= ended_at and each.ended_at >= started_at)
        ended_at = min(max((each.ended_at for each in during), default=ended_at), ended_at)
    return AgentTurn(
        text,
        started_at,
        ended_at,
        id=message.id,
        interrupted=message.interrupted,
        interrupted_at=ended_at if message.interrupted else None,
        metrics=_agent_metrics(metrics),
    )


def _was_spoken(
    message: ChatMessage, parts: Sequence[str], metrics: Mapping[str, Any], heard: Heard | None
) -> bool:
    if metrics.get("started_speaking_at") or metrics.get("stopped_speaking_at"):
        return True
    if message.transcript_confidence is not None:
        return True  # only recognised text has one, realtime models' too
    return heard is not None and (heard.text in "\n".join(parts) or parts[0] in heard.text)


def _split(parts: Sequence[str], heard: Heard | None) -> tuple[str, str]:
    """What was said, and what code added (`on_user_turn_completed` may append to or rewrite the message)."""
    first, rest = parts[0], list(parts[1:])
    if heard is not None and heard.text and heard.text != first and heard.text in first:
        before, _, after = first.partition(heard.text)
        rest = [piece.strip() for piece in (before, after) if piece.strip()] + rest
        first = heard.text
    return first, "\n".join(rest)


def _spoken_times(
    message: ChatMessage,
    metrics: Mapping[str, Any],
    heard: Heard | None,
    speech: Sequence[Interval],
    agent_started_at: float | None,
) -> tuple[float, float]:
    fallback = heard.at if heard is not None else message.created_at
    ended_at = float(metrics.get("stopped_speaking_at") or (speech[-1].ended_at if speech else fallback))
    started_at = float(metrics.get("started_speaking_at") or (speech[0].started_at if speech else ended_at))
    if agent_started_at is not None and started_at < agent_started_at:
        # A noise before the agent's turn opened the user's: the words began with the first speech that
        # reached beyond the agent's start.
        later = next((each for each in speech if each.ended_at > agent_started_at), None)
        if later is not None and later.started_at <= ended_at:
            started_at = max(started_at, later.started_at)
    return started_at, max(started_at, ended_at)


def _user_metrics(message: ChatMessage, metrics: Mapping[str, Any]) -> TurnMetrics:
    return TurnMetrics(
        stt_latency_s=_seconds(metrics, "transcription_delay"),
        eou_delay_s=_seconds(metrics, "end_of_turn_delay"),
        transcript_confidence=message.transcript_confidence,
    )


def _agent_metrics(metrics: Mapping[str, Any]) -> TurnMetrics:
    return TurnMetrics(
        e2e_latency_s=_seconds(metrics, "e2e_latency"),
        llm_ttft_s=_seconds(metrics, "llm_node_ttft"),
        tts_ttfb_s=_seconds(metrics, "tts_node_ttfb"),
    )


def _seconds(metrics: Mapping[str, Any], name: str) -> float | None:
    value = metrics.get(name)
    return float(value) if isinstance(value, int | float) else None
