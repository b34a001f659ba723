"""What is known of a running call as JSON, and back: events and facts.

Pure. Written by one version and read by another, perhaps an older one: what is not understood is left out, and
nothing read from a file raises.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import MISSING, fields
from typing import Any, TypeVar, cast

from tuner_core.events import (
    AgentTurn,
    CallEnded,
    CallEvent,
    CallStarted,
    DigitPressed,
    NodeChanged,
    ToolCalled,
    ToolReturned,
    TurnMetrics,
    UsageReported,
    UserTurn,
    Word,
)
from tuner_core.identity.model import SipIdentity
from tuner_core.repair.values import Repairs, as_json

_KINDS: dict[str, type[CallEvent]] = {
    "call_started": CallStarted,
    "user_turn": UserTurn,
    "agent_turn": AgentTurn,
    "tool_called": ToolCalled,
    "tool_returned": ToolReturned,
    "node_changed": NodeChanged,
    "digit_pressed": DigitPressed,
    "usage_reported": UsageReported,
    "call_ended": CallEnded,
}
_NAMES = {kind: name for name, kind in _KINDS.items()}
_T = TypeVar("_T")


def event_text(event: CallEvent) -> str | None:
    """An event as one line of JSON, None for what is no event of a call."""
    name = _NAMES.get(type(event))
    if name is None:
        return None
    values = {"kind": name, **_told(event)}
    return json.dumps(as_json(values, field="event", repairs=Repairs()), separators=(",", ":"))


def event_in(text: str) -> CallEvent | None:
    """The event that a line holds, None when this version does not understand it."""
    try:
        values: Any = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if not isinstance(values, dict):
        return None
    told = cast("dict[str, Any]", values)
    kind = _KINDS.get(str(told.get("kind")))
    if kind is None:
        return None
    if "words" in told:
        words = told["words"]
        read = [_made(Word, word) for word in cast("list[Any]", words)] if isinstance(words, list) else []
        told["words"] = tuple(word for word in read if word is not None)
    if "metrics" in told:
        told["metrics"] = _made(TurnMetrics, told["metrics"]) or TurnMetrics()
    return _made(kind, told)


def facts_json(facts: Mapping[str, Any]) -> dict[str, Any]:
    """Facts of a call as JSON values; None takes back what was said before."""
    told = {name: _told(value) if isinstance(value, SipIdentity) else value for name, value in facts.items()}
    plain = as_json(told, field="facts", repairs=Repairs())
    return plain if isinstance(plain, dict) else {}


def facts_in(values: Mapping[str, Any]) -> dict[str, Any]:
    """Facts as they were told, those without a value left out."""
    facts = {name: value for name, value in values.items() if value is not None}
    if "identity" in facts:
        told: Any = facts["identity"]
        if isinstance(told, dict):
            told = {**cast("dict[str, Any]", told)}
            told["warnings"] = tuple(told.get("warnings") or ())
        facts["identity"] = _made(SipIdentity, told)
    return facts


def _told(source: Any) -> dict[str, Any]:
    """The fields of a dataclass that differ from their defaults, those of dataclasses within it likewise."""
    told: dict[str, Any] = {}
    for item in fields(source):
        value = getattr(source, item.name)
        if value == (item.default if item.default_factory is MISSING else item.default_factory()):
            continue
        if isinstance(value, TurnMetrics):
            value = _told(value)
        elif item.name == "words":
            value = [_told(word) for word in value]
        told[item.name] = value
    return told


def _made(kind: type[_T], values: Any) -> _T | None:
    """A dataclass from those values that it knows, None when something that it needs is missing."""
    if not isinstance(values, dict):
        return None
    known = cast("dict[str, Any]", values)
    names = {item.name for item in fields(cast("Any", kind))}
    try:
        return kind(**{name: value for name, value in known.items() if name in names})
    except TypeError:
        return None
