"""The drawing of one call: what stands where on the time axis. Numbers only; the template makes SVG."""

from __future__ import annotations

import math
import statistics
from dataclasses import dataclass
from typing import Literal

from tuner_core.local.validation import PostedRecord, PostedSegment

Lane = Literal["user", "agent", "tool"]

_PIXELS_PER_S = 22.0
_WIDTH = (880.0, 24000.0)
_POINT_MS = 120
_LONGEST_MS = 7 * 24 * 3600 * 1000
_STEPS_S = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1800, 3600)


@dataclass(frozen=True, slots=True)
class Bar:
    """One turn or tool call, in pixels from the left.

    Attributes:
        lane: the row it stands in.
        x: left edge.
        width: at least one visible pixel.
        start_ms: from the start of the call.
        end_ms: from the start of the call.
        label: what it says, shown on hover.
        is_interrupted: an agent turn that was cut short.
        is_error: a tool that failed.
        number: place in the transcript, counted from 1.
    """

    lane: Lane
    x: float
    width: float
    start_ms: int
    end_ms: int
    label: str
    is_interrupted: bool
    is_error: bool
    number: int


@dataclass(frozen=True, slots=True)
class Gap:
    """Time that the user waited for the agent's answer.

    Attributes:
        x: left edge in pixels.
        width: in pixels.
        ms: the latency.
        measured: True for the posted `e2e_latency`; False for the distance between the two segments.
    """

    x: float
    width: float
    ms: float
    measured: bool


@dataclass(frozen=True, slots=True)
class Tick:
    """A mark on the time axis."""

    x: float
    ms: int


@dataclass(frozen=True, slots=True)
class Drawing:
    """The timeline of one call in pixels; `length_ms` is the time it covers."""

    width: float
    length_ms: int
    bars: tuple[Bar, ...]
    gaps: tuple[Gap, ...]
    ticks: tuple[Tick, ...]

    @property
    def typical_wait_ms(self) -> float | None:
        """Median time the user waited for an answer, None without one."""
        return statistics.median(gap.ms for gap in self.gaps) if self.gaps else None

    @property
    def longest_wait_ms(self) -> float | None:
        """Longest time the user waited for an answer, None without one."""
        return max((gap.ms for gap in self.gaps), default=None)


def draw(record: PostedRecord) -> Drawing:
    """Lay the call out on a time axis that begins with the call and ends with the last thing in it."""
    placed = [
        (number, segment, *span)
        for number, segment in enumerate(record.transcript_with_tool_calls, 1)
        if segment.role != "node_transition" and (span := _span(segment)) is not None
    ]
    call_ms = min(round((record.ended_at - record.started_at) * 1000), _LONGEST_MS)
    length = max([call_ms, 1000, *(end for _, _, _, end in placed)])
    width = min(max(length / 1000 * _PIXELS_PER_S, _WIDTH[0]), _WIDTH[1])
    scale = width / length
    bars = tuple(_bar(number, segment, start, end, scale) for number, segment, start, end in placed)
    gaps = _gaps([(segment, start, end) for _, segment, start, end in placed], scale)
    return Drawing(width, length, bars, gaps, _ticks(length, scale))


def _span(segment: PostedSegment) -> tuple[int, int] | None:
    span = segment.span_ms
    if span is None and segment.tool is not None and segment.tool.start_ms is not None:
        span = segment.tool.start_ms, segment.tool.start_ms
    if span is None:
        return None
    start = min(max(0, span[0]), _LONGEST_MS)
    return start, min(max(start, span[1]), _LONGEST_MS)


def _bar(number: int, segment: PostedSegment, start: int, end: int, scale: float) -> Bar:
    lane: Lane = "user" if segment.role == "user" else "agent" if segment.role == "agent" else "tool"
    tool = segment.tool
    label = segment.text or ""
    if tool is not None:
        label = f"{tool.name or 'tool'}{' → result' if segment.role == 'agent_result' else ''}"
    length = max(end - start, _POINT_MS if lane == "tool" else 0)
    return Bar(
        lane=lane,
        x=round(start * scale, 1),
        width=round(max(length * scale, 2.0), 1),
        start_ms=start,
        end_ms=end,
        label=label,
        is_interrupted=segment.metadata.get("interrupted") is True,
        is_error=bool(tool and (tool.is_error or tool.error)),
        number=number,
    )


def _gaps(placed: list[tuple[PostedSegment, int, int]], scale: float) -> tuple[Gap, ...]:
    """One gap before each agent turn that has a latency or follows a user's turn."""
    gaps: list[Gap] = []
    user_end: int | None = None
    for segment, start, end in sorted(placed, key=lambda item: item[1]):
        if segment.role == "user":
            user_end = end
        elif segment.role == "agent":
            measured = number_in(segment.metadata.get("e2e_latency"))
            waited = float(start - user_end) if user_end is not None else None
            ms = measured if measured is not None else waited
            if ms is not None and ms > 0:
                left = max(0.0, start - ms)
                gap = Gap(round(left * scale, 1), round((start - left) * scale, 1), ms, measured is not None)
                gaps.append(gap)
            user_end = None
    return tuple(gaps)


def number_in(value: object) -> float | None:
    """The finite number that a piece of free JSON is, None for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None


def _ticks(length_ms: int, scale: float) -> tuple[Tick, ...]:
    """Marks at round times, at least 70 pixels apart."""
    step_s = next((step for step in _STEPS_S if step * 1000 * scale >= 70), math.ceil(length_ms / 1000 / 12))
    step = step_s * 1000
    return tuple(Tick(round(at * scale, 1), at) for at in range(0, length_ms + 1, step))
