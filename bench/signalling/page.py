"""The figures of signalling on a terminal and on the bench's page."""

from __future__ import annotations

from typing import Any

from rich.console import RenderableType

from bench.core import page, table
from bench.signalling.figures import figures_of, notes_of
from bench.signalling.run import Measured

TITLE = "What signalling costs"


def table_of(measured: Measured, where: str) -> RenderableType:
    """The table with its notes; `where` names the machine."""
    lines = [f"{where}; {table.often(measured.rounds)}.", *notes_of(measured)]
    return table.comparison(TITLE, f"SIPp\n{measured.version}", figures_of(measured), lines)


def section_of(measured: Measured, where: str) -> dict[str, Any]:
    """What the page's template is told."""
    conditions = f"{where}; {table.often(measured.rounds)}"
    return page.comparison(
        TITLE, f"SIPp {measured.version}", figures_of(measured), conditions, notes_of(measured)
    )
