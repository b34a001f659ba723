"""The picture of one call: what stands where, in pixels. Numbers and short texts only; the template makes SVG."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass

from tuner_core.local.pages.timeline import Step, Timeline, ToolRun, Turn, Wait

FIT_PX = 1022.0
"""Width of the whole call on a page of usual width."""

MOST_ZOOM = 12

_READABLE_PX_PER_S = 20.0
_WIDEST_PX = 300_000.0
_LETTER_PX = 6.6
_SMALL_LETTER_PX = 6.1
_STEPS_S = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1800, 3600)
_TICK_PX = 74.0
_TICK_LABEL_PX = 44.0
_TEXT_PAD_PX = 16.0
_SHORTEST_PX = 5.0
_TOUCH_PX = 1.0
_OPEN_PX = 26.0
_MOST_ROWS = 6

NODE_Y, NODE_H = 8, 22
TURN_H, TOOL_H, TOOL_STEP = 40, 20, 24


@dataclass(frozen=True, slots=True)
class TurnBar:
    """One turn: left edge, width, the lines of text that fit, marks where words begin."""

    turn: Turn
    x: float
    width: float
    shown: tuple[str, ...]
    marks: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class ToolBar:
    """One tool run; `row` is 0 unless it overlaps others. `shown` stands in the bar or, `outside`, after it."""

    run: ToolRun
    x: float
    width: float
    row: int
    shown: str
    outside: bool


@dataclass(frozen=True, slots=True)
class WaitGap:
    """One wait; `label_x` is the middle of its figure, None where there is no room for it."""

    wait: Wait
    x: float
    width: float
    label_x: float | None
    parts: tuple[tuple[str, float, float], ...]
    """Class name, left edge and width of each part, the last one ending with the wait."""


@dataclass(frozen=True, slots=True)
class StepBand:
    """One node of the conversation."""

    step: Step
    x: float
    width: float
    shown: str


@dataclass(frozen=True, slots=True)
class Tick:
    """A mark on the time axis; `label` is "" where there is no room for it."""

    x: float
    label: str


@dataclass(frozen=True, slots=True)
class Drawing:
    """The picture; `zoom` doubles with each step from 0, the whole call on one page."""

    timeline: Timeline
    width: float
    zoom: int
    deepest: int
    turns: tuple[TurnBar, ...]
    tools: tuple[ToolBar, ...]
    waits: tuple[WaitGap, ...]
    steps: tuple[StepBand, ...]
    ticks: tuple[Tick, ...]

    @property
    def y(self) -> dict[str, int]:
        """Upper edges of the lanes, and the height of the whole."""
        user = NODE_Y + NODE_H + 12 if self.steps else 10
        agent = user + TURN_H + 22
        tools = agent + TURN_H + 16
        rows = max((bar.row + 1 for bar in self.tools), default=0)
        axis = tools + rows * TOOL_STEP + (4 if rows else -4)
        return {
            "node": NODE_Y,
            "user": user,
            "agent": agent,
            "tool": tools,
            "axis": axis,
            "height": axis + 26,
        }

    @property
    def ms_per_px(self) -> float:
        """Milliseconds of one pixel."""
        return self.timeline.length_ms / self.width


def draw(timeline: Timeline, zoom: int | None = None) -> Drawing:
    """Lay a call out.

    Args:
        timeline: the call.
        zoom: 0 for all of it on one page, each step twice as wide; None for one at which words can be read.
    """
    seconds = timeline.length_ms / 1000
    deepest = max(0, min(MOST_ZOOM, int(math.log2(min(_WIDEST_PX, seconds * 400) / FIT_PX))))
    if zoom is None:
        zoom = math.ceil(math.log2(max(1.0, seconds * _READABLE_PX_PER_S / FIT_PX)))
    zoom = min(max(0, zoom), deepest)
    width = FIT_PX * 2**zoom
    scale = width / timeline.length_ms
    return Drawing(
        timeline=timeline,
        width=width,
        zoom=zoom,
        deepest=deepest,
        turns=tuple(_turn_bar(turn, scale) for turn in timeline.turns),
        tools=_tool_bars(timeline.tools, scale, width),
        waits=_wait_gaps(timeline.waits, scale),
        steps=tuple(_step_band(step, scale) for step in timeline.steps),
        ticks=_ticks(timeline.length_ms, scale),
    )


def fitted(text: str, width: float, letter_px: float = _LETTER_PX) -> str:
    """The part of a text that fits into `width` pixels, with an ellipsis; "" where not even a word's start does."""
    room = int(width / letter_px)
    if len(text) <= room:
        return text
    return f"{text[: room - 1].rstrip()}…" if room >= 4 else ""


def wrapped(text: str, width: float) -> tuple[str, ...]:
    """A text on two lines at most, broken between words, the second one cut to its room."""
    room = int(width / _LETTER_PX)
    words = text.split()
    whole = " ".join(words)
    if len(whole) <= room:
        return (whole,) if whole else ()
    first = ""
    for word in words:
        if len(first) + len(word) + bool(first) > room:
            break
        first = f"{first} {word}" if first else word
    if not first:
        cut = fitted(whole, width)
        return (cut,) if cut else ()
    return first, fitted(whole[len(first) + 1 :], width) or "…"


def _px(value: float) -> float:
    return round(value, 1)


def _turn_bar(turn: Turn, scale: float) -> TurnBar:
    x, width = turn.start_ms * scale, max((turn.end_ms - turn.start_ms) * scale, 3.0)
    marks = tuple(_px(at * scale) for at, _ in turn.words if at > turn.start_ms) if scale > 0.03 else ()
    return TurnBar(turn, _px(x), _px(width), wrapped(turn.text, width - _TEXT_PAD_PX), marks)


def _tool_bars(runs: Sequence[ToolRun], scale: float, width: float) -> tuple[ToolBar, ...]:
    """Runs that overlap stand below each other; a name stands in its bar, else after it as far as there is room."""
    spans = [
        (run.start_ms * scale, max(run.ms * scale, _OPEN_PX if run.result is None else _SHORTEST_PX))
        for run in runs
    ]
    rows: list[list[int]] = []
    for index, (x, _) in enumerate(spans):
        row = next((row for row in rows if sum(spans[row[-1]]) <= x + _TOUCH_PX), None)
        if row is not None:
            row.append(index)
        elif len(rows) < _MOST_ROWS:
            rows.append([index])
        else:
            rows[-1].append(index)
    bars: dict[int, ToolBar] = {}
    for number, row in enumerate(rows):
        for place, index in enumerate(row):
            x, length = spans[index]
            room = (spans[row[place + 1]][0] if place + 1 < len(row) else width) - x - length
            name = runs[index].name
            inside = fitted(name, length - 12, _SMALL_LETTER_PX)
            outside = "" if inside == name else fitted(name[:40], room - 14, _SMALL_LETTER_PX)
            is_outside = len(outside) > len(inside)
            shown = outside if is_outside else inside
            bars[index] = ToolBar(runs[index], _px(x), _px(length), number, shown, is_outside)
    return tuple(bars[index] for index in range(len(runs)))


def _wait_gaps(waits: Sequence[Wait], scale: float) -> tuple[WaitGap, ...]:
    gaps: list[WaitGap] = []
    labels = _labels(waits, scale)
    for wait in waits:
        x, end = wait.start_ms * scale, wait.end_ms * scale
        parts: list[tuple[str, float, float]] = []
        left = end
        for name, _, ms in reversed(wait.parts):
            length = min(ms * scale, left - x)
            if length > 0:
                left -= length
                parts.append((name, _px(left), _px(length)))
        gaps.append(
            WaitGap(wait, _px(x), _px(max(end - x, 1.0)), labels.get(wait.number), tuple(reversed(parts)))
        )
    return tuple(gaps)


def _labels(waits: Sequence[Wait], scale: float) -> dict[int, float]:
    """The middles of the figures over the waits, the longest waits first; those without room have none."""
    apart = _SMALL_LETTER_PX * 7 + 4
    taken: list[float] = []
    middles: dict[int, float] = {}
    for wait in sorted(waits, key=lambda wait: -wait.ms):
        middle = max((wait.start_ms + wait.end_ms) * scale / 2, _SMALL_LETTER_PX * 7 / 2)
        at = bisect_left(taken, middle)
        if all(abs(other - middle) >= apart for other in taken[max(0, at - 1) : at + 1]):
            taken.insert(at, middle)
            middles[wait.number] = _px(middle)
    return middles


def _step_band(step: Step, scale: float) -> StepBand:
    width = max((step.end_ms - step.start_ms) * scale - 2, 2.0)
    return StepBand(
        step, _px(step.start_ms * scale), _px(width), fitted(step.name, width - 14, _SMALL_LETTER_PX)
    )


def _ticks(length_ms: int, scale: float) -> tuple[Tick, ...]:
    """Marks at round times, far enough apart to be read."""
    step_s = next(
        (step for step in _STEPS_S if step * 1000 * scale >= _TICK_PX), math.ceil(length_ms / 12_000)
    )
    step = step_s * 1000
    width = length_ms * scale
    return tuple(
        Tick(_px(at * scale), _minutes(at) if at * scale < width - _TICK_LABEL_PX else "")
        for at in range(0, length_ms + 1, step)
    )


def _minutes(ms: int) -> str:
    minutes, seconds = divmod(ms // 1000, 60)
    return f"{minutes}:{seconds:02d}" if minutes < 60 else f"{minutes // 60}:{minutes % 60:02d}:{seconds:02d}"
