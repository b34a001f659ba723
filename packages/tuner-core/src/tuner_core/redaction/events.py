"""Redaction of the neutral events of a call, for what is stored while it runs."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from tuner_core.events import (
    AgentTurn,
    CallEnded,
    CallEvent,
    DigitPressed,
    NodeChanged,
    ToolCalled,
    ToolReturned,
    TurnMetrics,
    UsageReported,
    UserTurn,
    Word,
)
from tuner_core.redaction.texts import Found, Redactor
from tuner_core.repair.values import Repairs, as_json

MASKED_KEY = "x"
"""Stands for a key that the user pressed: one digit alone does not show what it belongs to."""


def redact(event: CallEvent, redactor: Redactor) -> CallEvent:
    """The event with its texts and tool values redacted; ids, names and times stay."""
    found: Found = {}
    match event:
        case UserTurn() | AgentTurn():
            return _turn(event, redactor)
        case ToolCalled():
            return replace(event, params=_value(event.params, "tool.params", redactor, found))
        case ToolReturned():
            return replace(
                event,
                result=_value(event.result, "tool.result", redactor, found),
                error=_value(event.error, "tool.error", redactor, found),
            )
        case NodeChanged():
            return replace(event, reason=_value(event.reason, "node.reason", redactor, found))
        case DigitPressed():
            return replace(event, digit=MASKED_KEY)
        case UsageReported():
            return replace(event, extra=_value(event.extra, "metadata.usage_detail", redactor, found))
        case CallEnded():
            return replace(event, detail=_value(event.detail, "end_detail", redactor, found))
        case _:
            return event


def _turn(event: UserTurn | AgentTurn, redactor: Redactor) -> UserTurn | AgentTurn:
    lost: Found = {}
    text = _value(event.text, "text", redactor, lost)
    words = _words(event.words, lost, redactor)
    metrics = _metrics(event.metrics, redactor)
    if isinstance(event, UserTurn):
        return replace(event, text=text, words=words, metrics=metrics)
    intended = _value(event.intended_text, "metadata.intended_text", redactor, {})
    return replace(event, text=text, words=words, metrics=metrics, intended_text=intended)


def _words(words: tuple[Word, ...], lost: Found, redactor: Redactor) -> tuple[Word, ...]:
    if not words:
        return ()
    texts = [str(word.text) for word in words]
    return tuple(
        words[first]
        if text == texts[first]
        else replace(words[first], text=text, ended_at=words[last].ended_at)
        for first, last, text in redactor.words(texts, lost) or ()
    )


def _metrics(metrics: TurnMetrics, redactor: Redactor) -> TurnMetrics:
    if not metrics.extra:
        return metrics
    return replace(metrics, extra=_value(metrics.extra, "metadata", redactor, {}))


def _value(value: Any, place: str, redactor: Redactor, found: Found) -> Any:
    """Anything as a JSON value, redacted."""
    if value is None:
        return None
    return redactor.value(as_json(value, field=place, repairs=Repairs()), place, found)
