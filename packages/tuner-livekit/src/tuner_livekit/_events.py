"""What one run of an `AgentSession` shows, collected while it runs, told as neutral events at its end. Pure.

Listeners only append here. The translation happens once, when the session closes: the history then holds
every message with its final metrics, and what the history lacks (times of tools, transcripts, stretches of
speech) was collected on the way.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from livekit.agents import llm

from tuner_core.events import CallEvent, DigitPressed, NodeChanged, UsageReported
from tuner_livekit._messages import Heard, Interval, SpeechLog, agent_turn, user_turns
from tuner_livekit._tools import ToolLog

_FRAMEWORK_ID = "lk."
"""Prefix of the ids of messages that LiveKit itself puts into a chat context."""


@dataclass(frozen=True, slots=True)
class ModelNames:
    """Names of the models a session was built with, where they are known before any usage is."""

    stt: str | None = None
    llm: str | None = None
    tts: str | None = None


@dataclass(slots=True)
class _Position:
    """How far the translation has come: start of the agent's last turn, stretches of user speech used up."""

    agent_started_at: float | None = None
    speech_used: int = 0


@dataclass(slots=True)
class SessionCapture:
    """Everything one run of a session told; one of these for each start of the session.

    Attributes:
        skip: ids of history items that belong to an earlier run of the same session.
        started_at: Unix seconds when the session started, None before.
        untold: items of the history that could not be translated.
        failed_at: Unix seconds of the last error that a model could not recover from.
        is_open: its beginning is in a checkpoint.
    """

    skip: frozenset[str] = frozenset()
    started_at: float | None = None
    untold: int = 0
    failed_at: float | None = None
    is_open: bool = False
    _items: dict[str, Any] = field(default_factory=dict[str, Any])
    _heard: dict[str, Heard] = field(default_factory=dict[str, Heard])
    _pending: Heard | None = None
    _user: SpeechLog = field(default_factory=SpeechLog)
    _agent: SpeechLog = field(default_factory=SpeechLog)
    _tools: ToolLog = field(default_factory=ToolLog)
    _digits: list[DigitPressed] = field(default_factory=list[DigitPressed], repr=False)
    _added: list[CallEvent] = field(default_factory=list[CallEvent], repr=False)
    _added_told: int = 0
    _usage: Sequence[Any] = ()
    _errors: int = 0
    _fresh: list[Any] = field(default_factory=list[Any])
    _position: _Position = field(default_factory=_Position)
    _digits_told: int = 0

    def transcribed(self, text: str, *, at: float) -> None:
        """The recogniser gave a final transcript."""
        if text := text.strip():
            before = f"{self._pending.text} " if self._pending else ""
            self._pending = Heard(before + text, at)

    def item_added(self, item: Any) -> None:
        """An item joined the conversation; the same item may be told again by the history."""
        self._items[item.id] = item
        self._fresh.append(item)
        if item.type == "message" and item.role == "user" and self._pending is not None:
            self._heard[item.id] = self._pending
            self._pending = None

    def user_state(self, state: str, *, at: float) -> None:
        """The user began or ceased to speak."""
        self._user.state(state, at=at)

    def agent_state(self, state: str, *, at: float) -> None:
        """The agent began or ceased to speak; the first state of all is the session's start."""
        if self.started_at is None:
            self.started_at = at
        self._agent.state(state, at=at)

    def tool_updated(self, update: Any, *, at: float) -> None:
        """One step in the life of a tool call (`ToolExecutionUpdatedEvent.update`)."""
        if update.type == "tool_call_started":
            self._tools.started(update.function_call, at=at)
        elif update.type == "tool_call_ended":
            self._tools.ended(update.call_id, at=at, status=update.status, message=update.message)

    def tools_executed(self, pairs: Iterable[tuple[llm.FunctionCall, llm.FunctionCallOutput]]) -> None:
        """A batch of tools has run (`FunctionToolsExecutedEvent.zipped()`)."""
        for call, output in pairs:
            self._tools.started(call, at=call.created_at)
            self._tools.returned(output)

    def digit(self, digit: str, *, at: float) -> None:
        """The caller pressed a key."""
        self._digits.append(DigitPressed(at, digit))

    def add(self, *events: CallEvent) -> None:
        """The application tells what the session does not show."""
        self._added.extend(events)

    def usage(self, model_usage: Sequence[Any]) -> None:
        """Totals so far (`AgentSessionUsage.model_usage`); each report replaces the one before."""
        self._usage = model_usage

    def error(self, *, recoverable: bool, at: float) -> None:
        """One of the models failed; the session may give up after errors that it cannot recover from."""
        self._errors += 1
        if not recoverable:
            self.failed_at = at

    @property
    def seen(self) -> frozenset[str]:
        """Ids of the items that this run has told."""
        return frozenset(self._items)

    def news(self, *, names: ModelNames) -> list[CallEvent]:
        """What has happened since the last time, for a checkpoint; `events` tells it again, with final figures.

        The work is that of the new items alone, however long the call already is.
        """
        fresh, self._fresh = self._fresh, []
        told: list[CallEvent] = list(self._conversation(fresh, self._position))
        told.extend(self._tools.news())
        told.extend(self._digits[self._digits_told :])
        self._digits_told = len(self._digits)
        added = self._added[self._added_told :]
        self._added_told += len(added)
        told.extend(added)
        if told:
            told.append(usage_of(self._usage, names, errors=self._errors))
        return told

    def events(self, history: Iterable[Any], *, ended_at: float, names: ModelNames) -> list[CallEvent]:
        """All of it as neutral events, in the order of the conversation.

        Args:
            history: `session.history.items` at the end.
            ended_at: Unix seconds of the end.
            names: used where the usage names no model.
        """
        items = self._merged(history)
        self.untold = 0
        told: list[CallEvent] = list(self._conversation(items, _Position()))
        told.extend(self._tools.events(ended_at=ended_at))
        told.extend(self._digits)
        told.extend(self._added)
        told.append(usage_of(self._usage, names, errors=self._errors))
        return told

    def _merged(self, history: Iterable[Any]) -> list[Any]:
        """History items, then those that were told by an event but taken out of the history since."""
        items = {item.id: item for item in history if item.id not in self.skip}
        for item_id, item in self._items.items():
            items.setdefault(item_id, item)
        self._items.update(items)
        return list(items.values())

    def _conversation(self, items: Sequence[Any], position: _Position) -> Iterator[CallEvent]:
        for item in items:
            try:
                yield from self._events_of(item, position)
            except Exception:
                # One item of a shape not known here, such as a subclass of the application's own, must not
                # cost the rest of the call.
                self.untold += 1

    def _events_of(self, item: Any, position: _Position) -> list[CallEvent]:
        if item.type == "message" and not item.id.startswith(_FRAMEWORK_ID):
            if item.role == "user":
                speech = self._speech_until(item, position)
                started_at = position.agent_started_at
                return list(user_turns(item, self._heard.get(item.id), speech, agent_started_at=started_at))
            if item.role == "assistant" and (turn := agent_turn(item, self._agent.intervals)) is not None:
                position.agent_started_at = turn.started_at
                return [turn]
        elif item.type == "function_call":
            self._tools.started(item, at=item.created_at)
        elif item.type == "function_call_output":
            self._tools.returned(item)
        elif item.type == "agent_handoff" and item.old_agent_id:
            return [NodeChanged(item.created_at, item.old_agent_id, item.new_agent_id)]
        return []

    def _speech_until(self, message: llm.ChatMessage, position: _Position) -> list[Interval]:
        """Stretches of user speech since the message before that began before this one was committed."""
        metrics: Any = message.metrics
        limit = max(message.created_at, float(metrics.get("stopped_speaking_at") or 0.0))
        speech, position.speech_used = self._user.until(limit, after=position.speech_used)
        return speech


def usage_of(model_usage: Sequence[Any], names: ModelNames, *, errors: int = 0) -> UsageReported:
    """Totals over all models of each kind.

    `input_tokens` already counts what came from the prompt cache, so a cached token is counted once.
    """
    stt = [usage for usage in model_usage if usage.type == "stt_usage"]
    models = [usage for usage in model_usage if usage.type == "llm_usage"]
    tts = [usage for usage in model_usage if usage.type == "tts_usage"]
    cached = sum(usage.input_cached_tokens for usage in models)
    extra: dict[str, Any] = {"llm_cached_token": cached} if cached else {}
    if errors:
        extra["model_errors"] = errors
    return UsageReported(
        asr_model=_busiest(stt, "audio_duration") or names.stt,
        llm_model=_busiest(models, "output_tokens") or names.llm,
        tts_model=_busiest(tts, "audio_duration") or names.tts,
        stt_audio_s=sum(usage.audio_duration for usage in stt) if stt else None,
        llm_tokens=sum(usage.input_tokens + usage.output_tokens for usage in models) if models else None,
        tts_characters=sum(usage.characters_count for usage in tts) if tts else None,
        extra=extra,
    )


def _busiest(usages: Sequence[Any], amount: str) -> str | None:
    """Name of the model that did most of the work."""
    busiest = max(usages, key=lambda usage: float(getattr(usage, amount)), default=None)
    return (busiest.model or None) if busiest is not None else None
