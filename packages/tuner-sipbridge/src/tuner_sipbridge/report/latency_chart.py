"""Every turn's response latency as a dot, one row an agent: the run in one picture."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tuner_sipbridge.report.result import RunResult, turns_of
from tuner_sipbridge.report.timeline import QUICK_MS, SLOW_MS, in_ms, tone_of

WIDTH, LEFT, RIGHT, TOP, ROW = 1000.0, 220.0, 40.0, 14.0, 44.0


@dataclass(frozen=True, slots=True)
class Dot:
    """One turn."""

    x: float
    y: float
    tone: str
    title: str
    link: str


@dataclass(frozen=True, slots=True)
class ChartRow:
    """One agent: where its row is, its median and 95th percentile."""

    agent: str
    y: float
    median_x: float
    p95_x: float
    label: str


@dataclass(frozen=True, slots=True)
class LatencyChart:
    """The drawing; everything in its own units of 1000 a width."""

    width: float
    height: float
    left: float
    right: float
    rows: list[ChartRow]
    dots: list[Dot]
    ticks: list[tuple[float, str]]
    quick_x: float
    slow_x: float


def latency_chart(result: RunResult, anchors: Sequence[str]) -> LatencyChart | None:
    """The chart of a run, None when no turn was answered.

    Args:
        result: the run.
        anchors: id of each call's section, in the order of the calls; empty for none.
    """
    values = [value * 1000 for value in result.turn_seconds("response_latency_ms")]
    if not values:
        return None
    highest = max(*values, SLOW_MS * 1.1)
    scale = (WIDTH - LEFT - RIGHT) / highest

    def x_of(latency: float) -> float:
        return round(LEFT + max(0.0, latency) * scale, 1)

    agents = list(dict.fromkeys(call.agent for call in result.calls))
    rows: list[ChartRow] = []
    dots: list[Dot] = []
    for agent in agents:
        spread = result.response_latency(agent)
        if spread.p50 is None or spread.p95 is None:
            continue
        y = TOP + ROW * len(rows) + ROW / 2
        label = f"p50 {in_ms(spread.p50 * 1000)}, p95 {in_ms(spread.p95 * 1000)}, {spread.count} turns"
        rows.append(ChartRow(agent, y, x_of(spread.p50 * 1000), x_of(spread.p95 * 1000), label))
        for call, anchor in zip(result.calls, anchors, strict=True):
            if call.agent != agent:
                continue
            for number, turn in enumerate(turns_of(call)):
                latency = turn.get("response_latency_ms")
                if latency is not None:
                    title = f"{call.scenario}: {in_ms(latency)} after “{turn.get('text', '')}”"
                    lift = (number % 3 - 1) * 7.0
                    dots.append(Dot(x_of(latency), y + lift, tone_of(latency), title, anchor))
    step = next(step for step in (100, 200, 250, 500, 1000, 2000, 5000, 10000, 10**9) if highest / step <= 9)
    ticks = [(x_of(value), in_ms(value)) for value in range(0, int(highest) + 1, step)]
    height = TOP + ROW * len(rows) + 26
    return LatencyChart(WIDTH, height, LEFT, WIDTH - RIGHT, rows, dots, ticks, x_of(QUICK_MS), x_of(SLOW_MS))
