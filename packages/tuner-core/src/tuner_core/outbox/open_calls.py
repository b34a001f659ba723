"""The journal of calls that still run: what is known of each, appended as it becomes known.

A checkpoint adds rows and touches one, however long the call is. A call's journal ends when its record is stored.
When the process that wrote it is gone instead, any other makes the record out of the journal; the journal itself
stays until that record is delivered or replaced, in case the process was only thought gone and writes on.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Sequence
from typing import TypeAlias

from tuner_core.outbox.file import OutboxFile
from tuner_core.outbox.keys import KEY, Key, destination_in, key_of
from tuner_core.outbox.parcels import Checkpoint, Destination, OpenCall, Rebuilt

QUIET_S = 6 * 3600.0
"""A call that nobody told of for so long is over, even if the process lives: its host forgot to deliver it."""

MAX_JOURNAL_BYTES = 32 * 1024 * 1024
"""Events of one call beyond this are not kept: a host that reports without end must not fill the disk."""

Rebuild: TypeAlias = Callable[[OpenCall], Rebuilt]


class OpenCalls:
    """The journals in one outbox file.

    Args:
        file: the open outbox.
    """

    def __init__(self, file: OutboxFile) -> None:
        self._file = file

    def checkpoint(self, checkpoints: Sequence[Checkpoint], *, now: float) -> list[str]:
        """Append to the journals of running calls, in one commit.

        A call whose record is complete takes nothing more. The process that writes becomes the call's holder.

        Args:
            checkpoints: in their order.
            now: Unix seconds.

        Returns:
            Ids of calls whose journal is full, so that something was not kept.
        """
        full: list[str] = []
        with self._file.writing() as db:
            for checkpoint in checkpoints:
                key = key_of(checkpoint.to, checkpoint.call_id)
                if db.execute(
                    f"SELECT 1 FROM records WHERE {KEY} AND state <> 'dropped'"
                    " AND (state = 'delivered' OR NOT cut_short)",
                    key,
                ).fetchone():
                    continue
                call, facts, size = db.execute(
                    "INSERT INTO calls (base_url, workspace_id, agent_id, call_id, holder, opened_at, seen_at)"
                    " VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE"
                    " SET holder = excluded.holder, seen_at = excluded.seen_at RETURNING id, facts, bytes",
                    (*key, self._file.holder.id, now, now),
                ).fetchone()
                if size > MAX_JOURNAL_BYTES:
                    full.append(checkpoint.call_id)
                    continue
                db.executemany(
                    "INSERT INTO events (call, event) VALUES (?, ?)",
                    [(call, event) for event in checkpoint.events],
                )
                if checkpoint.facts:
                    facts = json.dumps({**json.loads(facts), **checkpoint.facts})
                db.execute(
                    "UPDATE calls SET facts = ?, bytes = bytes + ? WHERE id = ?",
                    (facts, sum(map(len, checkpoint.events)), call),
                )
        return full

    def recover(self, rebuild: Rebuild, *, now: float) -> list[str]:
        """Make records of calls whose process is gone, each in one commit; ids of the calls that got one.

        Several processes may do this at once: each call is done by one of them.

        Args:
            rebuild: makes the record out of a journal; must not raise.
            now: Unix seconds.
        """
        recovered: list[str] = []
        for key in self._abandoned(now):
            with self._file.writing() as db:
                row = db.execute(f"SELECT * FROM calls WHERE {KEY} AND holder <> ''", key).fetchone()
                if row is None or not self._open_call(row, now).abandoned:
                    continue
                events = db.execute("SELECT event FROM events WHERE call = ? ORDER BY id", (row["id"],))
                call = self._open_call(row, now, events=tuple(event for (event,) in events))
                _store_cut_short(db, key, rebuild(call), now)
                db.execute("UPDATE calls SET holder = '' WHERE id = ?", (row["id"],))
            recovered.append(call.call_id)
        return recovered

    def listed(self, *, now: float) -> list[OpenCall]:
        """Calls that run or wait for their record to be made, without what was said in them."""
        with self._file.reading() as db:
            rows = db.execute("SELECT * FROM calls WHERE holder <> '' ORDER BY id").fetchall()
        return [self._open_call(row, now) for row in rows]

    def length(self, to: Destination, call_id: str) -> int:
        """How many events the journal of a call holds."""
        with self._file.reading() as db:
            row = db.execute(
                f"SELECT COUNT(*) FROM events WHERE call = (SELECT id FROM calls WHERE {KEY})",
                key_of(to, call_id),
            ).fetchone()
        return int(row[0])

    def _abandoned(self, now: float) -> list[Key]:
        return [key_of(call.to, call.call_id) for call in self.listed(now=now) if call.abandoned]

    def _open_call(self, row: sqlite3.Row, now: float, events: tuple[str, ...] = ()) -> OpenCall:
        lives = self._file.holder.is_alive(row["holder"])
        return OpenCall(
            to=destination_in(row),
            call_id=row["call_id"],
            opened_at=row["opened_at"],
            seen_at=row["seen_at"],
            abandoned=row["seen_at"] < now - QUIET_S or not lives,
            holder_lives=lives,
            events=events,
            facts=json.loads(row["facts"]),
        )


def _store_cut_short(db: sqlite3.Connection, key: Key, record: Rebuilt, now: float) -> None:
    """Store a record unless the call has a complete one."""
    db.execute(
        "INSERT INTO records (base_url, workspace_id, agent_id, call_id, state, body, repairs, stored_at, settled_at,"
        " detail, cut_short) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 1)"
        " ON CONFLICT DO UPDATE SET state = excluded.state, body = excluded.body, repairs = excluded.repairs,"
        " settled_at = excluded.settled_at, detail = excluded.detail, cut_short = 1"
        " WHERE state = 'dropped' OR (cut_short AND state <> 'delivered')",
        (
            *key,
            "refused" if record.problem else "pending",
            record.body,
            json.dumps(list(record.repairs)),
            now,
            now if record.problem else None,
            record.problem,
        ),
    )
