"""The core's figures on the bench's page: a card with a table, and a pair of bars where there is a peer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from bench.core.figures import Figure, notes_of
from bench.core.run import PUBLISHED, Measured
from bench.core.table import cells, often


@dataclass(frozen=True, slots=True)
class Line:
    """One figure as drawn; bars in percent of the longer one, None without a peer."""

    name: str
    ours: str
    peer: str
    ratio: str
    ours_bar: float | None
    peer_bar: float | None


def section_of(figures: Sequence[Figure], measured: Measured, where: str) -> dict[str, Any]:
    """What the page's template is told of the core."""
    conditions = f"{where}; {often(measured.rounds)}"
    return comparison(
        "What the core costs", f"tuner-core {PUBLISHED}", figures, conditions, notes_of(measured)
    )


def comparison(
    title: str, peer: str, figures: Sequence[Figure], conditions: str, notes: Sequence[str]
) -> dict[str, Any]:
    """A section of the page: ours beside a peer, figure by figure under their groups."""
    return {
        "title": title,
        "groups": [
            (name, [_line(one) for one in group]) for name, group in groupby(figures, lambda one: one.group)
        ],
        "peer": peer,
        "conditions": conditions,
        "notes": notes,
    }


def _line(figure: Figure) -> Line:
    longest = max(figure.ours, figure.peer or 0.0) or 1.0
    ours_bar, peer_bar = (
        (None, None)
        if figure.peer is None
        else (round(100 * figure.ours / longest, 1), round(100 * figure.peer / longest, 1))
    )
    return Line(figure.name, *cells(figure), ours_bar, peer_bar)
