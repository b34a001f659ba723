"""The spans of a call's trace as a waterfall: depth, offset and length of each. Numbers only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tuner_core.local.traces import TracedSpan

WIDTH_PX = 420.0
MOST_SPANS = 200
_DEEPEST = 12


@dataclass(frozen=True, slots=True)
class SpanRow:
    """One span: how deep it stands below others, its bar in pixels, its times in milliseconds."""

    span: TracedSpan
    depth: int
    x: float
    width: float
    start_ms: int
    ms: float


@dataclass(frozen=True, slots=True)
class Waterfall:
    """The first spans of a trace, children below their parents; `left_out` is how many more there are."""

    rows: tuple[SpanRow, ...] = ()
    left_out: int = 0


def waterfall(spans: Sequence[TracedSpan], call_started_at: float) -> Waterfall:
    """Lay out the spans of one call.

    Args:
        spans: in order of their begin.
        call_started_at: Unix seconds.
    """
    if not spans:
        return Waterfall()
    first = min(span.started_at for span in spans)
    whole = max(max(span.ended_at for span in spans) - first, 1e-3)
    scale = WIDTH_PX / whole
    rows = [
        SpanRow(
            span=span,
            depth=depth,
            x=round((span.started_at - first) * scale, 1),
            width=round(max((span.ended_at - span.started_at) * scale, 2.0), 1),
            start_ms=round((span.started_at - call_started_at) * 1000),
            ms=(span.ended_at - span.started_at) * 1000,
        )
        for span, depth in _in_order(spans)
    ]
    return Waterfall(tuple(rows[:MOST_SPANS]), max(0, len(rows) - MOST_SPANS))


def _in_order(spans: Sequence[TracedSpan]) -> list[tuple[TracedSpan, int]]:
    """Each span after its parent; those whose parent is not there, or is below themselves, come first."""
    known = {span.span_id for span in spans}
    children: dict[str, list[TracedSpan]] = {}
    for span in spans:
        parent = span.parent_span_id if span.parent_span_id in known else ""
        children.setdefault(parent, []).append(span)
    ordered: list[tuple[TracedSpan, int]] = []
    seen: set[int] = set()
    waiting = [(span, 0) for span in reversed(children.get("", []))]
    while waiting:
        span, depth = waiting.pop()
        if id(span) in seen:
            continue
        seen.add(id(span))
        ordered.append((span, min(depth, _DEEPEST)))
        waiting += [(child, depth + 1) for child in reversed(children.get(span.span_id, []))]
    return ordered + [(span, 0) for span in spans if id(span) not in seen]
