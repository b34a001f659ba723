"""The core's figures on a terminal, and any others that stand beside a peer's."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from bench.core.figures import Figure, notes_of
from bench.core.run import PUBLISHED, Measured


def table_of(figures: Sequence[Figure], measured: Measured, where: str) -> RenderableType:
    """The table with its notes; `where` names the machine."""
    lines = [f"{where}; {often(measured.rounds)}.", *notes_of(measured)]
    return comparison("What the core costs", f"tuner-core\n{PUBLISHED}", figures, lines)


def comparison(title: str, peer: str, figures: Sequence[Figure], lines: Sequence[str]) -> RenderableType:
    """Ours beside a peer, figure by figure under their groups, and lines of text below."""
    table = Table(title=title, title_justify="left", pad_edge=False)
    table.add_column("")
    for heading in ("ours", peer, "ratio"):
        table.add_column(heading, justify="right", no_wrap=True)
    group = ""
    for figure in figures:
        if figure.group != group:
            table.add_section()
            table.add_row(Text(figure.group, "bold"))
            group = figure.group
        table.add_row(f"  {figure.name}", *cells(figure))
    return Group(table, *(Padding(Text(line), (0, 0, 0, 1)) for line in lines))


def cells(figure: Figure) -> tuple[str, str, str]:
    """Ours, the published package's, and the ratio, as text."""
    ours = f"{number(figure.ours)} {figure.unit}"
    if figure.bound is not None:
        ours = f"{ours} {'<' if figure.holds else '≥'} {figure.bound:g}"
    peer = figure.why_not or "-" if figure.peer is None else f"{number(figure.peer)} {figure.unit}"
    return ours, peer, "" if figure.ratio is None else number(figure.ratio)


def number(value: float) -> str:
    """Three digits that count; none is a plain 0."""
    if not value:
        return "0"
    if value >= 100:
        return f"{value:,.0f}"
    if value >= 10:
        return f"{value:.1f}"
    return f"{value:.2f}" if value >= 1 else f"{value:.3f}"


def often(rounds: int) -> str:
    """How often it was measured."""
    return "one round" if rounds == 1 else f"medians of {rounds} alternating rounds"
