"""What happened when in one call: turns, tools from call to result, waits, nodes. In milliseconds; no pixels."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from tuner_core.local.validation import PostedRecord, PostedSegment

SLOW_MS = 1500.0
"""A wait from here on is drawn as slow."""

_LONGEST_MS = 7 * 24 * 3600 * 1000

Placed: TypeAlias = tuple[int, PostedSegment, int, int]
"""A segment with its place in the transcript, counted from 1, and its start and end."""

_PARTS = (
    ("stt", "speech to text", ("stt_node_ttfb", "asr_node_ttfb")),
    ("eou", "end of turn", ("eou_delay",)),
    ("llm", "language model", ("llm_node_ttft",)),
    ("tts", "voice", ("tts_node_ttfb",)),
)


@dataclass(frozen=True, slots=True)
class Turn:
    """Somebody spoke, or pressed keys."""

    number: int
    speaker: Literal["user", "agent"]
    start_ms: int
    end_ms: int
    text: str = field(repr=False)
    words: tuple[tuple[int, str], ...] = field(repr=False)
    is_interrupted: bool
    source: str


@dataclass(frozen=True, slots=True)
class ToolRun:
    """A tool from its call to its result.

    Attributes:
        number: place of the call in the transcript; of the result where no call was found.
        result: place of the result, None without one.
        name: of the tool.
        start_ms: when it was called.
        end_ms: when it returned; `start_ms` where that is not known.
        is_error: it failed.
        error: what went wrong.
    """

    number: int
    result: int | None = field(repr=False)
    name: str
    start_ms: int
    end_ms: int
    is_error: bool
    error: str

    @property
    def ms(self) -> int:
        """How long it took."""
        return self.end_ms - self.start_ms


@dataclass(frozen=True, slots=True)
class Wait:
    """Time that the user waited for the agent's answer.

    Attributes:
        number: place of the answer in the transcript.
        start_ms: when the user had spoken.
        end_ms: when the agent began.
        ms: the latency.
        measured: True for the posted `e2e_latency`; False for the distance between the two turns.
        parts: what it is made of: class name, name in words, milliseconds.
    """

    number: int
    start_ms: int
    end_ms: int
    ms: float
    measured: bool
    parts: tuple[tuple[str, str, float], ...]

    @property
    def is_slow(self) -> bool:
        """Whether the user waited long."""
        return self.ms >= SLOW_MS


@dataclass(frozen=True, slots=True)
class Step:
    """The conversation was at a node; `number` is the transition that led there, None for the first node."""

    name: str
    start_ms: int
    end_ms: int
    reason: str
    number: int | None


@dataclass(frozen=True, slots=True)
class Timeline:
    """One call, all times from its start."""

    length_ms: int
    turns: tuple[Turn, ...]
    tools: tuple[ToolRun, ...]
    waits: tuple[Wait, ...]
    steps: tuple[Step, ...]

    @property
    def typical_wait_ms(self) -> float | None:
        """Median time the user waited for an answer, None without one."""
        return statistics.median(wait.ms for wait in self.waits) if self.waits else None

    @property
    def longest_wait(self) -> Wait | None:
        """The longest wait, None without one."""
        return max(self.waits, key=lambda wait: wait.ms, default=None)

    def talked(self, speaker: str) -> float:
        """The part of the call, 0 to 1, in which `speaker` spoke."""
        spans = [(turn.start_ms, turn.end_ms) for turn in self.turns if turn.speaker == speaker]
        return covered_ms(spans) / self.length_ms


def timeline_of(record: PostedRecord) -> Timeline:
    """Read one call; it lasts from its start to the last thing in it."""
    placed: list[Placed] = []
    for number, segment in enumerate(record.transcript_with_tool_calls, 1):
        if segment.role != "node_transition" and (span := _span(segment)) is not None:
            placed.append((number, segment, *span))
    call_ms = min(round((record.ended_at - record.started_at) * 1000), _LONGEST_MS)
    length = max([call_ms, 1000, *(end for _, _, _, end in placed)])
    return Timeline(
        length_ms=length,
        turns=tuple(_turn(*item) for item in placed if item[1].role in PostedSegment.SPOKEN),
        tools=_tools([item for item in placed if item[1].role in {"agent_function", "agent_result"}]),
        waits=_waits(placed),
        steps=_steps(record.transcript_with_tool_calls, length),
    )


def latency_parts(metadata: Mapping[str, Any]) -> tuple[tuple[str, str, float], ...]:
    """The known parts of a turn's latency: class name, name in words, milliseconds."""
    parts: list[tuple[str, str, float]] = []
    for name, words, keys in _PARTS:
        values = (number_in(metadata.get(key)) for key in keys)
        value = next((value for value in values if value is not None), None)
        if value is not None and value >= 0:
            parts.append((name, words, value))
    return tuple(parts)


def number_in(value: object) -> float | None:
    """The finite number that a piece of free JSON is, None for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None


def covered_ms(spans: Iterable[tuple[int, int]]) -> int:
    """Milliseconds that any of the spans covers."""
    total, reached = 0, 0
    for start, end in sorted(spans):
        total += max(0, end - max(start, reached))
        reached = max(reached, end)
    return total


def _bounded(ms: int) -> int:
    return min(max(0, ms), _LONGEST_MS)


def _span(segment: PostedSegment) -> tuple[int, int] | None:
    span = segment.span_ms
    if span is None:
        tool = segment.tool
        start = segment.start_ms if segment.start_ms is not None else tool.start_ms if tool else None
        span = (start, start) if start is not None else None
    if span is None:
        return None
    return _bounded(span[0]), max(_bounded(span[0]), _bounded(span[1]))


def _turn(number: int, segment: PostedSegment, start: int, end: int) -> Turn:
    source = segment.metadata.get("source")
    return Turn(
        number=number,
        speaker="user" if segment.role == "user" else "agent",
        start_ms=start,
        end_ms=end,
        text=segment.text or " ".join(word.word for word in segment.words or ()),
        words=tuple((_bounded(word.start_ms), word.word) for word in segment.words or ()),
        is_interrupted=segment.metadata.get("interrupted") is True,
        source=source if isinstance(source, str) else "",
    )


def _tools(placed: Sequence[Placed]) -> tuple[ToolRun, ...]:
    """Calls joined with their results: by request_id, else the oldest open call of the same name."""
    waiting: list[Placed] = []
    runs: list[ToolRun] = []
    for item in placed:
        if item[1].role == "agent_function":
            waiting.append(item)
            continue
        call = next((open_ for open_ in waiting if _belong(open_[1], item[1])), None)
        if call is not None:
            waiting.remove(call)
        runs.append(_run(call, item))
    runs.extend(_run(call, None) for call in waiting)
    return tuple(sorted(runs, key=lambda run: (run.start_ms, run.number)))


def _belong(call: PostedSegment, result: PostedSegment) -> bool:
    asked, given = call.tool, result.tool
    if asked is None or given is None:
        return asked is given
    if asked.request_id is not None and given.request_id is not None:
        return asked.request_id == given.request_id
    return asked.name == given.name


def _run(call: Placed | None, result: Placed | None) -> ToolRun:
    tools = [item[1].tool for item in (call, result) if item is not None and item[1].tool is not None]
    numbers = [item[0] for item in (call, result) if item is not None]
    starts = [item[2] for item in (call, result) if item is not None]
    ends = [call[3]] if call is not None and result is None else [result[2]] if result is not None else []
    return ToolRun(
        number=numbers[0],
        result=result[0] if result is not None else None,
        name=next((tool.name for tool in tools if tool.name), "tool"),
        start_ms=starts[0],
        end_ms=max(starts[0], *ends),
        is_error=any(tool.is_error or tool.error for tool in tools),
        error=next((tool.error for tool in tools if tool.error), ""),
    )


def _waits(placed: Iterable[Placed]) -> tuple[Wait, ...]:
    """One wait before each agent turn that has a latency or follows a user's turn."""
    waits: list[Wait] = []
    heard: tuple[int, PostedSegment] | None = None
    for number, segment, start, end in sorted(placed, key=lambda item: item[2]):
        if segment.role == "user":
            heard = end, segment
        elif segment.role == "agent":
            measured = number_in(segment.metadata.get("e2e_latency"))
            ms = measured if measured is not None else float(start - heard[0]) if heard else 0.0
            if ms > 0:
                own = latency_parts(segment.metadata)
                first = latency_parts(heard[1].metadata) if heard else ()
                names = {part[0] for part in own}
                parts = (*(part for part in first if part[0] not in names), *own)
                ordered = tuple(sorted(parts, key=lambda part: ("stt", "eou", "llm", "tts").index(part[0])))
                begun = max(0, round(start - min(ms, float(start))))
                waits.append(Wait(number, begun, start, ms, measured is not None, ordered))
            heard = None
    return tuple(waits)


def _steps(segments: Sequence[PostedSegment], length: int) -> tuple[Step, ...]:
    """The nodes one after another; a transition without a time stands where the segment before it ended."""
    marks: list[tuple[int, int, PostedSegment]] = []
    latest = 0
    for number, segment in enumerate(segments, 1):
        span = _span(segment)
        if segment.role == "node_transition":
            marks.append((span[0] if span is not None else latest, number, segment))
        if span is not None:
            latest = max(latest, span[1])
    marks.sort(key=lambda mark: mark[:2])
    steps: list[Step] = []
    first = marks[0][2].node if marks else None
    if first is not None and marks[0][0] > 0:
        steps.append(Step(first.from_, 0, marks[0][0], "", None))
    ends = [mark[0] for mark in marks[1:]] + [length]
    for (at, number, segment), end in zip(marks, ends, strict=True) if marks else ():
        if segment.node is not None:
            steps.append(Step(segment.node.to, at, max(at, end), segment.node.reason or "", number))
    return tuple(steps)
