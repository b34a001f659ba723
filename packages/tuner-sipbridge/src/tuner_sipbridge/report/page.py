"""What the page shows, gathered from the result and the files beside it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tuner_sipbridge.errors import FileError
from tuner_sipbridge.report.figures import Group, groups_of
from tuner_sipbridge.report.json_values import object_of, spans_of
from tuner_sipbridge.report.ladder import Rung, rungs_of
from tuner_sipbridge.report.latency_chart import LatencyChart, latency_chart
from tuner_sipbridge.report.result import CallResult, RunResult, turns_of
from tuner_sipbridge.report.timeline import Band, Timeline, in_ms, timeline_of, width_for
from tuner_sipbridge.report.transcript import Row, rows_of
from tuner_sipbridge.report.waveform import duration_of, read_sides
from tuner_sipbridge.trace import Trace

FULL_CALLS = 120
"""Calls that get a section of their own; of a larger run those that failed come first."""
THUMBNAIL_PX = 220.0


@dataclass(frozen=True, slots=True)
class CallView:
    """One call on the page."""

    anchor: str
    result: CallResult
    timeline: Timeline | None
    rows: list[Row]
    rungs: list[Rung]
    groups: list[Group]
    record_text: str


@dataclass(frozen=True, slots=True)
class TableRow:
    """One call in the table; `anchor` is empty when it has no section."""

    result: CallResult
    anchor: str
    caller: list[Band]
    agent: list[Band]
    figures: list[str]


@dataclass(frozen=True, slots=True)
class Page:
    """The whole page."""

    title: str
    began: str
    lasted: str
    passed: bool
    tiles: list[tuple[str, str, str]]
    chart: LatencyChart | None
    table: list[TableRow]
    calls: list[CallView]
    left_out: int


def page_of(result: RunResult, directory: Path) -> Page:
    """Gather the page; a file that is missing or broken leaves its part of the page empty.

    Args:
        result: the run.
        directory: where the paths in the result start.
    """
    shown = _shown(result)
    anchors = [f"call-{number}" if number in shown else "" for number in range(1, len(result.calls) + 1)]
    began = datetime.fromtimestamp(result.started_at, UTC)
    return Page(
        title=result.name,
        began=began.strftime("%-d %B %Y, %H:%M:%S UTC"),
        lasted=f"{result.ended_at - result.started_at:.1f} s",
        passed=result.passed,
        tiles=_tiles(result),
        chart=latency_chart(result, anchors),
        table=[_table_row(call, anchor) for call, anchor in zip(result.calls, anchors, strict=True)],
        calls=[
            _call_view(call, anchor, directory)
            for call, anchor in zip(result.calls, anchors, strict=True)
            if anchor
        ],
        left_out=len(result.calls) - len(shown),
    )


def _shown(result: RunResult) -> set[int]:
    numbers = range(1, len(result.calls) + 1)
    failed_first = sorted(numbers, key=lambda number: result.calls[number - 1].passed)
    return set(failed_first[:FULL_CALLS])


def _tiles(result: RunResult) -> list[tuple[str, str, str]]:
    calls = len(result.calls)
    asked = [call for call in result.calls if call.linked is not None]
    response, stop = result.response_latency(), result.stop_time()
    tiles = [("calls passed", f"{sum(call.passed for call in result.calls)} / {calls}", "")]
    if result.failed:
        said = ", ".join(f"{count} {kind}" for kind, count in result.failed.items())
        tiles.append(("failed", str(sum(result.failed.values())), said))
    if result.not_made:
        tiles.append(("not made", str(result.not_made), "the run was interrupted"))
    if asked:
        tiles.append(("linked", f"{sum(call.linked is True for call in asked)} / {len(asked)}", "by Tuner"))
    if response.p50 is not None and response.p95 is not None:
        tiles.append(("response latency", in_ms(response.p50 * 1000), f"median of {response.count} turns"))
        tiles.append(("slow end", in_ms(response.p95 * 1000), "95th percentile"))
    if stop.p50 is not None:
        tiles.append(("barge-in stop", in_ms(stop.p50 * 1000), f"median of {stop.count}"))
    if result.refused:
        said = ", ".join(f"{count} {reason}" for reason, count in result.refused.items())
        tiles.append(("turned away", str(sum(result.refused.values())), said))
    received = sum(_part(call, "media").get("received") or 0 for call in result.calls)
    if received:
        lost = sum(_part(call, "media").get("lost") or 0 for call in result.calls)
        tiles.append(("packets lost", str(lost), f"of {received + lost:,}"))
    return tiles


def _table_row(call: CallResult, anchor: str) -> TableRow:
    speech = _part(call, "speech_ms")
    sides = [spans_of(speech.get(side)) for side in ("caller", "agent")]
    ends = [end for spans in sides for _, end in spans]
    scale = THUMBNAIL_PX / max([call.duration_s * 1000, *ends, 1.0])
    lanes = [
        [Band(round(start * scale, 1), round(max(1.0, (end - start) * scale), 1)) for start, end in spans]
        for spans in sides
    ]
    response = _part(call, "response_latency_ms")
    stop = _part(call, "stop_time_ms")
    figures = [
        _short(_part(call, "signalling").get("setup_time_ms")),
        _short(call.measures.get("greeting_latency_ms")),
        _short(response.get("p50")),
        _short(response.get("max")),
        _short(stop.get("p50")),
        f"{call.duration_s:.1f}",
    ]
    return TableRow(call, anchor, lanes[0], lanes[1], figures)


def _call_view(call: CallResult, anchor: str, directory: Path) -> CallView:
    trace, record = _trace(call, directory), _record(call, directory)
    started_at = call.measures.get("recording_started_at")
    rows = rows_of(record, turns_of(call), recording_started_at=started_at)
    return CallView(
        anchor=anchor,
        result=call,
        timeline=_timeline(call, trace, rows, directory),
        rows=rows,
        rungs=rungs_of(trace),
        groups=groups_of(call.measures),
        record_text="" if record is None else json.dumps(record, indent=2, ensure_ascii=False),
    )


def _timeline(call: CallResult, trace: Trace, rows: list[Row], directory: Path) -> Timeline | None:
    started_at = call.measures.get("recording_started_at")
    path = directory / call.recording if call.recording else None
    duration_s = duration_of(path) if path is not None else None
    if not duration_s or started_at is None or path is None:
        return None
    answered, ended = trace.first("call.answered"), trace.first("call.ended")
    return timeline_of(
        call.measures,
        rows,
        duration_s=duration_s,
        sides=read_sides(path, width=width_for(duration_s)),
        answered_ms=None if answered is None else max(0.0, (answered.at - started_at) * 1000),
        ended_ms=None if ended is None else min(duration_s, ended.at - started_at) * 1000,
        ended_by="" if ended is None else str(ended.fields.get("by", "")),
    )


def _trace(call: CallResult, directory: Path) -> Trace:
    try:
        return Trace.read(directory / call.trace) if call.trace else Trace()
    except (OSError, FileError):
        return Trace()


def _record(call: CallResult, directory: Path) -> dict[str, Any] | None:
    try:
        record = json.loads((directory / call.record).read_text(encoding="utf-8")) if call.record else None
    except (OSError, ValueError):
        return None
    return object_of(record) or None


def _part(call: CallResult, name: str) -> dict[str, Any]:
    return object_of(call.measures.get(name))


def _short(milliseconds: float | None) -> str:
    return "–" if milliseconds is None else f"{milliseconds:.0f}"
