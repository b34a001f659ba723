"""How much an outbox keeps, and what goes first when that is not enough.

The bounds are on what is not delivered: its number, its bytes (journals of running calls included) and its age. When a
record that comes in makes it too much, the oldest refused records go first, since they need somebody to act before
they could be sent, then the oldest pending ones; never one that is being sent, and never the one that came in. What
is dropped is counted as `dropped`; its row stays without its body for as long as a delivered one's, and says why.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass

KEEP_SETTLED_S = 7 * 24 * 3600.0
"""How long the row of a delivered or dropped call is remembered, in seconds."""

_MAX_SETTLED = 100_000
_FREE_PAGES = 256
_PAGES_AT_ONCE = 2048
_TO_GO = (
    "SELECT id, COALESCE(LENGTH(body), 0) FROM records WHERE state = 'refused' AND id <> ? ORDER BY id",
    "SELECT id, COALESCE(LENGTH(body), 0) FROM records"
    " WHERE state = 'pending' AND lease_holder IS NULL AND id <> ? ORDER BY id",
)


@dataclass(frozen=True, slots=True)
class Bounds:
    """What an outbox keeps of what is not delivered.

    Attributes:
        records: at most so many.
        bytes: of their bodies and of the journals of running calls.
        age_s: seconds since a record was handed over.
    """

    records: int = 100_000
    bytes: int = 1024 * 1024 * 1024
    age_s: float = 30 * 24 * 3600.0


def make_room(db: sqlite3.Connection, bounds: Bounds, *, newest: int, now: float) -> int:
    """Drop records until the rest is within the bounds; how many were dropped.

    Args:
        db: inside the transaction that stored a record.
        bounds: on number and bytes.
        newest: row of the record that came in.
        now: Unix seconds.
    """
    count, size = db.execute(
        "SELECT SUM(count), SUM(bytes) + (SELECT COALESCE(SUM(bytes), 0) FROM calls)"
        " FROM totals WHERE state IN ('pending', 'refused')"
    ).fetchone()
    dropped = 0
    if count <= bounds.records and size <= bounds.bytes:
        return dropped
    for row, freed in _first_to_go(db, newest):
        if count <= bounds.records and size <= bounds.bytes:
            break
        drop(db, "id = ?", (row,), "the outbox was full", now)
        count, size, dropped = count - 1, size - freed, dropped + 1
    return dropped


def drop_older(db: sqlite3.Connection, bounds: Bounds, *, now: float) -> int:
    """Drop what was handed over longer ago than the bound on age; how many records that were."""
    return drop(
        db,
        "state IN ('pending', 'refused') AND lease_holder IS NULL AND stored_at < ?",
        (now - bounds.age_s,),
        f"not delivered within {bounds.age_s / 86400:g} days",
        now,
    )


def drop(db: sqlite3.Connection, condition: str, values: tuple[object, ...], reason: str, now: float) -> int:
    """Turn undelivered records into dropped ones: counted, without a body, with the reason; how many there were.

    Args:
        db: inside a transaction.
        condition: on rows that are pending or refused, in SQL.
        values: its parameters.
        reason: in words.
        now: Unix seconds.
    """
    return db.execute(
        "UPDATE records SET state = 'dropped', body = NULL, settled_at = ?, detail = ?, lease_holder = NULL,"
        f" lease_until = NULL WHERE {condition}",
        (now, f"dropped: {reason}", *values),
    ).rowcount


def forget_settled(db: sqlite3.Connection, *, now: float) -> None:
    """Remove rows of calls that were settled long ago, or whose like are too many; they stay in the account.

    Journals go whose call has a whole record: they were left when that came by another way than the outbox.
    """
    db.execute(
        "DELETE FROM calls WHERE EXISTS (SELECT 1 FROM records WHERE state <> 'dropped'"
        " AND (NOT cut_short OR state = 'delivered')"
        " AND records.base_url = calls.base_url AND records.workspace_id = calls.workspace_id"
        " AND records.agent_id = calls.agent_id AND records.call_id = calls.call_id)"
    )
    for state in ("delivered", "dropped"):
        db.execute("DELETE FROM records WHERE state = ? AND settled_at < ?", (state, now - KEEP_SETTLED_S))
        db.execute(
            "DELETE FROM records WHERE state = ? AND id <="
            " (SELECT id FROM records WHERE state = ? ORDER BY id DESC LIMIT 1 OFFSET ?)",
            (state, state, _MAX_SETTLED),
        )


def give_back_pages(db: sqlite3.Connection) -> None:
    """Return a part of the file's free pages to the file system, when there are many; outside a transaction."""
    (free,) = db.execute("PRAGMA freelist_count").fetchone()
    (pages,) = db.execute("PRAGMA page_count").fetchone()
    if free > max(_FREE_PAGES, pages // 4):
        # A script, because it frees one page a step, and `execute` makes a single one.
        db.executescript(f"PRAGMA incremental_vacuum({_PAGES_AT_ONCE})")


def _first_to_go(db: sqlite3.Connection, newest: int) -> Iterator[tuple[int, int]]:
    for query in _TO_GO:
        # A few at a time: what is read must not change under the reader.
        while rows := db.execute(f"{query} LIMIT 100", (newest,)).fetchall():
            for row in rows:
                yield row[0], row[1]
