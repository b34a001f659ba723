"""Rows of a transcript from the events of a call: order, times, metadata, plain text."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from tuner_core.events import (
    AgentTurn,
    DigitPressed,
    NodeChanged,
    ToolCalled,
    ToolReturned,
    TurnMetrics,
    UserTurn,
)
from tuner_core.events import Word as SpokenWord
from tuner_core.records import Segment, Word

RowEvent: TypeAlias = UserTurn | AgentTurn | ToolCalled | ToolReturned | NodeChanged | DigitPressed

_LAST_MOMENT = 1e11

DIGIT_GAP_S = 3.0
"""Keys pressed within this time of each other are one entry of the keypad."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """The call's first and last moment in Unix seconds; `last` is infinite while the call runs."""

    first: float
    last: float = math.inf

    def ms(self, at: float) -> int:
        """`at` as milliseconds from the start of the call, never outside it."""
        if at <= self.first:
            return 0
        return round(((at if at < self.last else self.last) - self.first) * 1000)


def moment(value: Any) -> float | None:
    """`value` as Unix seconds, None when it is no number or no moment of this age (milliseconds are none)."""
    if type(value) is float:
        return value if 0 <= value < _LAST_MOMENT else None
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if 0 <= value < _LAST_MOMENT else None


def span(event: Any) -> tuple[float, float] | None:
    """First and last moment of an event in Unix seconds, None when it holds no usable time."""
    if isinstance(event, UserTurn | AgentTurn):
        started, ended = moment(event.started_at), moment(event.ended_at)
    else:
        started = ended = moment(getattr(event, "at", None))
    if started is None and ended is None:
        return None
    start = started if started is not None else ended
    end = ended if ended is not None else started
    assert start is not None
    assert end is not None
    return start, max(start, end)


def segments_of(events: Sequence[RowEvent], bounds: Bounds) -> list[Segment]:
    """The rows in order of their start; events that start together keep their order of arrival.

    Args:
        events: in order of arrival. One without a usable time stands where the one before it ended.
        bounds: times outside the call are moved to its edge.
    """
    placed: list[tuple[float, float, RowEvent]] = []
    latest = bounds.first
    for event in events:
        start, end = span(event) or (latest, latest)
        latest = max(latest, end)
        placed.append((start, end, event))
    placed.sort(key=lambda item: item[0])
    returns = {event.request_id: start for start, _, event in placed if isinstance(event, ToolReturned)}
    rows: list[Segment] = []
    digits: list[tuple[float, str]] = []
    for start, end, event in placed:
        if isinstance(event, DigitPressed):
            if digits and start - digits[-1][0] > DIGIT_GAP_S:
                rows.append(_keypad_row(digits, bounds))
                digits = []
            digits.append((start, str(event.digit)))
            continue
        if digits:
            rows.append(_keypad_row(digits, bounds))
            digits = []
        rows.append(_row(event, start, end, returns, bounds))
    if digits:
        rows.append(_keypad_row(digits, bounds))
    return sorted(rows, key=lambda row: row.start_ms or 0)


def plain_transcript(segments: Iterable[Segment]) -> str:
    """The spoken rows as text, a line each: `User: …`, `Agent: …`."""
    return plain_lines((segment.role, segment.text, segment.metadata) for segment in segments)


def plain_lines(rows: Iterable[tuple[str | None, str | None, Mapping[str, Any] | None]]) -> str:
    """As `plain_transcript`, from the role, the text and the metadata of each row."""
    lines: list[str] = []
    for role, text, metadata in rows:
        if not text or role not in {"user", "agent"}:
            continue
        speaker = "User" if role == "user" else "Agent"
        source = (metadata or {}).get("source")
        lines.append(f"{speaker} ({source}): {text}" if source else f"{speaker}: {text}")
    return "\n".join(lines)


def _row(
    event: UserTurn | AgentTurn | ToolCalled | ToolReturned | NodeChanged,
    start: float,
    end: float,
    returns: Mapping[str, float],
    bounds: Bounds,
) -> Segment:
    start_ms, end_ms = bounds.ms(start), bounds.ms(end)
    match event:
        case UserTurn():
            return Segment.user(
                _text(event.text),
                start_ms=start_ms,
                end_ms=end_ms,
                words=_words(event.words, bounds),
                metadata=_user_metadata(event),
            )
        case AgentTurn():
            return Segment.agent(
                _text(event.text),
                start_ms=start_ms,
                end_ms=end_ms,
                words=_words(event.words, bounds),
                metadata=_agent_metadata(event, bounds),
            )
        case ToolCalled():
            returned = returns.get(event.request_id) if event.request_id else None
            return Segment.tool_call(
                _text(event.name),
                request_id=_text(event.request_id) or None,
                params=event.params,
                start_ms=start_ms,
                end_ms=max(start_ms, bounds.ms(returned)) if returned is not None else None,
            )
        case ToolReturned():
            return Segment.tool_result(
                _text(event.name),
                request_id=_text(event.request_id) or None,
                result=event.result,
                is_error=bool(event.is_error),
                error=_text(event.error) or None,
                start_ms=start_ms,
                end_ms=end_ms,
            )
        case NodeChanged():
            return Segment.node_transition(
                _text(event.from_node),
                _text(event.to_node),
                reason=_text(event.reason) or None,
                start_ms=start_ms,
            )


def _keypad_row(digits: Sequence[tuple[float, str]], bounds: Bounds) -> Segment:
    return Segment.user(
        "".join(digit for _, digit in digits),
        start_ms=bounds.ms(digits[0][0]),
        end_ms=bounds.ms(digits[-1][0]),
        metadata={"source": "keypad"},
    )


def _text(value: Any) -> str:
    return value if isinstance(value, str) else "" if value is None else str(value)


def _words(words: Sequence[SpokenWord], bounds: Bounds) -> list[Word] | None:
    kept: list[Word] = []
    for word in words:
        started, ended = moment(word.started_at), moment(word.ended_at)
        if started is None or ended is None:
            continue
        kept.append(
            Word(
                word=_text(word.text),
                start_ms=bounds.ms(started),
                end_ms=max(bounds.ms(started), bounds.ms(ended)),
                confidence=_measured(word.confidence),
            )
        )
    return kept or None


def _user_metadata(turn: UserTurn) -> dict[str, Any] | None:
    metadata = _latencies(turn.metrics)
    if turn.id:
        metadata["id"] = turn.id
    if turn.source != "speech":
        metadata["source"] = turn.source
    return metadata or None


def _agent_metadata(turn: AgentTurn, bounds: Bounds) -> dict[str, Any] | None:
    metadata = _latencies(turn.metrics)
    if turn.id:
        metadata["id"] = turn.id
    if turn.interrupted:
        metadata["interrupted"] = True
        cut = moment(turn.interrupted_at)
        if cut is not None:
            metadata["interrupted_at_ms"] = bounds.ms(cut)
    if turn.intended_text and turn.intended_text != turn.text:
        metadata["intended_text"] = turn.intended_text
    return metadata or None


def _latencies(metrics: TurnMetrics) -> dict[str, Any]:
    """Segment metadata of a turn's metrics: milliseconds under the API's names; zero is a value."""
    metadata: dict[str, Any] = dict(metrics.extra)
    for name, value in (
        ("e2e_latency", metrics.e2e_latency_s),
        ("llm_node_ttft", metrics.llm_ttft_s),
        ("tts_node_ttfb", metrics.tts_ttfb_s),
        ("stt_node_ttfb", metrics.stt_latency_s),
        ("eou_delay", metrics.eou_delay_s),
    ):
        known = None if value is None else _measured(value)
        if known is not None:
            metadata[name] = round(known * 1000, 1)
    confidence = _measured(metrics.transcript_confidence)
    if confidence is not None:
        metadata["transcript_confidence"] = confidence
    return metadata


def _measured(value: Any) -> float | None:
    """A measure as it is, None when it is no finite number."""
    if type(value) is float:
        return value if abs(value) < _LAST_MOMENT else None
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if abs(value) < _LAST_MOMENT else None
