"""The result as a picture: one self-contained page with two bar charts, the table, and further sections."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader

from bench.results import Conditions, Row, notes

WIDTH, LABELS, GAP, VALUES, ROW, TOP = 1100.0, 300.0, 30.0, 70.0, 30.0, 40.0
_PLOT = (WIDTH - LABELS - GAP - 2 * VALUES) / 2


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar; lengths in the drawing's own units."""

    y: float
    length: float
    value: str
    ours: bool


@dataclass(frozen=True, slots=True)
class Panel:
    """One chart: where it begins, what it shows, its bars and its marks."""

    x: float
    title: str
    bars: list[Bar]
    marks: list[tuple[float, str]]


def page_of(rows: Sequence[Row], conditions: Conditions, sections: Sequence[Mapping[str, Any]] = ()) -> str:
    """The page as HTML.

    Args:
        rows: as measured; those without a run are in the table only.
        conditions: told below the title.
        sections: what follows, as `bench.core.page` makes it.
    """
    drawn = [row for row in rows if row.runs]
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent), autoescape=True, trim_blocks=True
    )
    return environment.get_template("page.html.j2").render(
        rows=rows,
        labels=[_label(index, row) for index, row in enumerate(drawn)],
        panels=[_costs(drawn), _pacings(drawn)] if drawn else [],
        width=WIDTH,
        height=TOP + ROW * len(drawn) + 24,
        bottom=TOP + ROW * len(drawn),
        top=TOP,
        label_x=LABELS - 12,
        conditions=conditions.sentence,
        notes=notes(rows),
        sections=sections,
    )


def _label(index: int, row: Row) -> tuple[float, str, bool]:
    return _middle(index), f"{row.subject.name} · {row.calls}", row.subject.ours


def _middle(index: int) -> float:
    return TOP + ROW * index + ROW / 2


def _costs(rows: Sequence[Row]) -> Panel:
    highest = max(row.cpu_us for row in rows)
    step = next(step for step in (100, 200, 500, 1000, 2000, 5000, 10**5) if highest / step <= 5)
    return _panel(
        LABELS,
        "CPU µs for a second of one call (shorter is better)",
        rows,
        share=lambda row: row.cpu_us / highest,
        value=lambda row: f"{row.cpu_us:,.0f}",
        marks=[(value / highest, f"{value:,}") for value in range(0, int(highest) + 1, step)],
    )


def _pacings(rows: Sequence[Row]) -> Panel:
    lowest = 10 ** math.floor(math.log10(min(max(row.p99_ms, 0.01) for row in rows)))
    highest = max(lowest * 10, *(row.p99_ms for row in rows))
    span = math.log10(highest / lowest)
    decades = [lowest * 10**power for power in range(int(span) + 1)]
    return _panel(
        LABELS + _PLOT + VALUES + GAP,
        "pacing error p99, ms (logarithmic)",
        rows,
        share=lambda row: max(0.0, math.log10(max(row.p99_ms, lowest) / lowest)) / span,
        value=lambda row: f"{row.p99_ms:.2f}",
        marks=[(math.log10(value / lowest) / span, f"{value:g}") for value in decades],
    )


def _panel(
    x: float,
    title: str,
    rows: Sequence[Row],
    *,
    share: Callable[[Row], float],
    value: Callable[[Row], str],
    marks: list[tuple[float, str]],
) -> Panel:
    bars = [
        Bar(_middle(index), max(2.0, round(share(row) * _PLOT, 1)), value(row), row.subject.ours)
        for index, row in enumerate(rows)
    ]
    return Panel(x, title, bars, [(round(x + at * _PLOT, 1), text) for at, text in marks])
