"""The result on a terminal."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from bench.results import Conditions, Row, notes

_COLUMNS = (
    "calls",
    "CPU µs per\ncall-second",
    "calls\nper core",
    "pacing\np50 ms",
    "pacing\np99 ms",
    "loss %",
    "packets/s\nper call",
)


def table_of(rows: Sequence[Row], conditions: Conditions) -> RenderableType:
    """The table with its notes."""
    table = Table(title="What a dialled call costs", title_justify="left", pad_edge=False)
    table.add_column("dialer")
    for heading in _COLUMNS:
        table.add_column(heading, justify="right", no_wrap=True)
    for row in rows:
        style = "bold" if row.subject.ours else ""
        if not row.runs:
            table.add_row(Text(row.subject.name, style), str(row.subject.calls), "-", "-", "-", "-", "-", "-")
            continue
        table.add_row(
            Text(row.subject.name, style),
            row.calls,
            f"{row.cpu_us:,.0f}",
            f"{row.calls_per_core:,}",
            f"{row.p50_ms:.3f}",
            f"{row.p99_ms:.2f}",
            f"{row.loss * 100:.2f}",
            f"{row.rate:.2f}",
        )
    failures = {f"{row.subject.name}: {row.failure}": None for row in rows if row.failure}
    lines = [conditions.sentence + ".", *failures, *notes(rows)]
    return Group(table, *(Padding(Text(line), (0, 0, 0, 1)) for line in lines))
