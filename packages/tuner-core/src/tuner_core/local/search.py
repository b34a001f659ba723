"""Finding calls, simulations and posts by an id or a part of one, page by page.

The ids are in columns of narrow tables (bodies lie apart), so that looking through ten thousand calls takes
milliseconds. Only a carrier's own id, which may stand anywhere in a record, is looked for in the bodies.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Generic, TypeVar

from tuner_core.identity.carrier_ids import CarrierId, recognise
from tuner_core.local.rows import Post, PostedCall
from tuner_core.local.store import Store, post_of
from tuner_core.local.views import CallOverview, LinkedSimulation, Views

PAGE = 50
"""Rows of one page."""

_CALL = ", ".join(field.name for field in fields(PostedCall))
_POST = ", ".join(field.name for field in fields(Post))
_CALL_IDS = ("call_id", "sip_call_id", "correlation_id", "recipient", "agent")
_POST_IDS = ("call_id", "sip_call_id", "agent")
_IN_BODIES = 10
_Row = TypeVar("_Row")


@dataclass(frozen=True, slots=True)
class Page(Generic[_Row]):
    """Some rows, the newest first.

    Attributes:
        rows: of this page.
        older: the number to ask for as `before` to get the next page, None on the last one.
        total: how many rows there are on all pages.
    """

    rows: Sequence[_Row] = ()
    older: int | None = None
    total: int = 0


@dataclass(frozen=True, slots=True)
class Explained:
    """What a carrier's own id is, and what it may belong to.

    Attributes:
        carrier: whose id it is, and what to send instead.
        calls: calls whose record holds it anywhere.
    """

    carrier: CarrierId
    calls: Sequence[CallOverview] = field(default_factory=tuple[CallOverview, ...])


def calls_like(store: Store, ids: Mapping[str, str]) -> list[PostedCall]:
    """Give the calls whose `call_id` or `sip_call_id` is just this, the oldest first."""
    wanted = {name: value for name, value in ids.items() if name in _CALL_IDS}
    where = " AND ".join(f"{name} = ?" for name in wanted) or "1"
    query = f"SELECT {_CALL} FROM calls WHERE {where} ORDER BY id"
    return [PostedCall(*row) for row in store.database.tuples(query, *wanted.values())]


def page_of_calls(views: Views, query: str = "", *, before: int | None = None) -> Page[CallOverview]:
    """Give a page of calls whose ids or agent hold `query`.

    Args:
        views: of the store.
        query: any part of a call_id, Call-ID, X-Correlation-Id, recipient or agent, in any case; "" for all.
        before: number that the page begins below, None for the newest.
    """
    where, values = _matching(_CALL_IDS, query)
    total = views.store.database.number(f"SELECT count(*) FROM calls WHERE {where}", *values)
    rows = views.store.database.tuples(
        f"SELECT {_CALL} FROM calls WHERE {where} AND id < ? ORDER BY id DESC LIMIT ?",
        *values,
        *_below(before),
    )
    links = views.links()
    found = [links.of(PostedCall(*row)) for row in rows[:PAGE]]
    return Page(found, found[-1].call.id if len(rows) > PAGE else None, total)


def page_of_posts(
    store: Store, query: str = "", *, before: int | None = None, amiss: bool = False, rows: int = PAGE
) -> Page[Post]:
    """Give a page of posts.

    Args:
        store: where they are.
        query: any part of a call_id, Call-ID or agent, in any case; "" for all.
        before: number that the page begins below, None for the newest.
        amiss: only posts that were refused or left to a fault.
        rows: longest page.
    """
    where, values = _matching(_POST_IDS, query)
    if amiss:
        where += " AND verdict IN ('refused', 'fault')"
    total = store.database.number(f"SELECT count(*) FROM posts WHERE {where}", *values)
    found = store.database.rows(
        f"SELECT {_POST} FROM posts WHERE {where} AND id < ? ORDER BY id DESC LIMIT ?",
        *values,
        *_below(before, rows),
    )
    posts = [post_of(row) for row in found[:rows]]
    return Page(posts, posts[-1].id if len(found) > rows else None, total)


def page_of_simulations(views: Views, query: str = "", *, offset: int = 0) -> Page[LinkedSimulation]:
    """Give a page of simulations whose ids, agent, scenario or target hold `query`; `older` is an offset."""
    wanted = query.strip().lower()
    rows = [row for row in reversed(views.links().simulations) if not wanted or wanted in _words(row)]
    end = offset + PAGE
    return Page(rows[offset:end], end if len(rows) > end else None, len(rows))


def explain(views: Views, query: str) -> Explained | None:
    """Say what a pasted id is when it is a carrier's own and not a Call-ID; None for anything else."""
    text = query.strip()
    carrier = recognise(text) if text else None
    if carrier is None:
        return None
    links = views.links()
    rows = views.store.database.tuples(
        "SELECT DISTINCT call FROM bodies WHERE call IS NOT NULL AND instr(body, ?) > 0 "
        f"ORDER BY call DESC LIMIT {_IN_BODIES}",
        text.encode(),
    )
    numbers = [row[0] for row in rows]
    found = [stored[0] for number in numbers if (stored := views.store.call(number)) is not None]
    return Explained(carrier, [links.of(call) for call in found])


def fault_counts(store: Store) -> list[tuple[str, int]]:
    """Give how often each fault was played, the most frequent first."""
    return [
        (name, count)
        for name, count in store.database.tuples(
            "SELECT fault, count(*) FROM posts WHERE fault <> '' GROUP BY fault ORDER BY count(*) DESC, fault"
        )
    ]


def _matching(columns: Sequence[str], query: str) -> tuple[str, list[str]]:
    """A condition and its values: any column holds the query, `%` and `_` taken as they are."""
    text = query.strip()
    if not text:
        return "1", []
    escaped = text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    condition = " OR ".join(f"{column} LIKE ? ESCAPE '\\'" for column in columns)
    return f"({condition})", [f"%{escaped}%"] * len(columns)


def _below(before: int | None, rows: int = PAGE) -> tuple[int, int]:
    return (2**62 if before is None else before), rows + 1


def _words(row: LinkedSimulation) -> str:
    simulation = row.simulation
    parts = (
        simulation.sip_call_id,
        simulation.correlation_id,
        simulation.recipient,
        simulation.agent,
        simulation.scenario,
        simulation.target,
    )
    return "\n".join(part for part in parts if part).lower()
