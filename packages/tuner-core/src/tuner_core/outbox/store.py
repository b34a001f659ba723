"""Records on disk until Tuner has them: one SQLite file that several processes may share.

A record is `pending` until the API has it (`delivered`) or will never have it (`refused`). A pending record that
somebody is sending is leased: nobody else takes it until the lease expires or its holder is dead. What was delivered
loses its body and stays as a row for `KEEP_SETTLED_S`, so that a second hand-over of the same call is known for
what it is. Everything here blocks: call it off the event loop.
"""

from __future__ import annotations

import json
import math
import sqlite3
from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path

from tuner_core.outbox.bounds import (
    KEEP_SETTLED_S,
    Bounds,
    drop,
    drop_older,
    forget_settled,
    give_back_pages,
    make_room,
)
from tuner_core.outbox.file import OutboxFile
from tuner_core.outbox.keys import KEY, destination_in, key_of
from tuner_core.outbox.ledger import Ledger
from tuner_core.outbox.open_calls import OpenCalls
from tuner_core.outbox.parcels import Destination, OutboxEntry, OutboxStatus, Parcel, RowState, Stored
from tuner_core.outbox.replacing import carry_over
from tuner_core.outbox.uploads import Uploads

LEASE_S = 60.0
"""Length of a lease: longer than a try and the longest wait before it; renewed before each try."""


class Outbox:
    """The store of one file.

    Args:
        path: the file, made when missing with access for its owner only; None keeps everything in memory.
        bounds: how much is kept of what is not delivered.

    Attributes:
        calls: the journal of the calls that still run.
        uploads: recordings that follow their calls.
        ledger: the account, the rows and their content.

    Raises:
        OutboxError: it cannot be opened, is no outbox, or was written by a later version.
    """

    def __init__(self, path: Path | None, bounds: Bounds | None = None) -> None:
        self._file = OutboxFile(path)
        self._bounds = bounds or Bounds()
        self.calls = OpenCalls(self._file)
        self.uploads = Uploads(self._file)
        self.ledger = Ledger(self._file)

    @property
    def durable(self) -> bool:
        """False for an outbox in memory."""
        return self._file.path is not None

    def changing(self, *, durable: bool = True) -> AbstractContextManager[object]:
        """One commit for all changes in the block, or none when it raises; of records and uploads together.

        Args:
            durable: False for what may be lost to a power cut.
        """
        return self._file.writing(durable=durable)

    def put(
        self, to: Destination, call_id: str, body: bytes, *, repairs: Sequence[str] = (), now: float
    ) -> Stored:
        """Store a record and lease it to this process for its first try, in one commit; its journal ends with it.

        The same call again: one that was delivered stays delivered, one that waits, was refused or dropped takes the
        new body. One that is being sent stays as it is, unless it was cut short: then the whole record takes its
        place for the next try.

        Args:
            to: where it goes.
            call_id: its idempotency key.
            body: JSON, ready to send.
            repairs: what `conform` changed.
            now: Unix seconds.
        """
        listed = json.dumps(list(repairs))
        key = key_of(to, call_id)
        with self._file.writing() as db:
            holder = self._file.holder.id
            db.execute(f"DELETE FROM calls WHERE {KEY}", key)
            known = db.execute(
                f"SELECT id, state, lease_holder, lease_until, tuner_id, cut_short FROM records WHERE {KEY}",
                key,
            ).fetchone()
            if known is None:
                cursor = db.execute(
                    "INSERT INTO records (base_url, workspace_id, agent_id, call_id, state, body, repairs,"
                    " stored_at, attempts, lease_holder, lease_until)"
                    " VALUES (?, ?, ?, ?, 'pending', ?, ?, ?, 1, ?, ?)",
                    (*key, body, listed, now, holder, now + LEASE_S),
                )
                row = int(cursor.lastrowid or 0)
            else:
                row = int(known["id"])
                if known["state"] == "delivered":
                    return Stored("delivered", tuner_id=known["tuner_id"])
                if known["state"] == "pending" and self._held(known, now):
                    if known["cut_short"]:
                        db.execute(
                            "UPDATE records SET body = ?, repairs = ?, cut_short = 0 WHERE id = ?",
                            (body, listed, row),
                        )
                    return Stored("pending", held_here=known["lease_holder"] == holder)
                db.execute(
                    "UPDATE records SET state = 'pending', body = ?, repairs = ?, detail = '', settled_at = NULL,"
                    " cut_short = 0, attempts = attempts + 1, lease_holder = ?, lease_until = ? WHERE id = ?",
                    (body, listed, holder, now + LEASE_S, row),
                )
            dropped = make_room(db, self._bounds, newest=row, now=now)
        return Stored("pending", Parcel(to, call_id, body, tuple(repairs), attempts=1), dropped=dropped)

    def amend(self, parcel: Parcel) -> None:
        """Store another body for a record that this process is about to send."""
        with self._file.writing() as db:
            db.execute(
                f"UPDATE records SET body = ?, repairs = ? WHERE {KEY} AND state = 'pending' AND lease_holder = ?",
                (
                    parcel.body,
                    json.dumps(list(parcel.repairs)),
                    *key_of(parcel.to, parcel.call_id),
                    self._file.holder.id,
                ),
            )

    def extend(self, parcel: Parcel, *, now: float) -> None:
        """Go on leasing a record that is not being tried yet."""
        with self._file.writing(durable=False) as db:
            db.execute(
                f"UPDATE records SET lease_until = ? WHERE {KEY} AND state = 'pending' AND lease_holder = ?",
                (now + LEASE_S, *key_of(parcel.to, parcel.call_id), self._file.holder.id),
            )

    def claim(
        self, base_url: str, workspace_id: int, *, now: float, limit: int, hurry: bool = False
    ) -> list[Parcel]:
        """Lease pending records of any agent of a workspace for one try, those due longest first.

        Args:
            base_url: of the API that this process has a key for.
            workspace_id: of that key.
            now: Unix seconds.
            limit: at most so many.
            hurry: take also those whose wait after a failed try is not over.
        """
        due = (base_url, workspace_id, math.inf if hurry else now)
        free = (
            "FROM records WHERE state = 'pending' AND lease_holder IS NULL"
            " AND base_url = ? AND workspace_id = ? AND next_at <= ?"
        )
        self._release_the_dead(now)
        with self._file.reading() as db:
            if db.execute(f"SELECT 1 {free} LIMIT 1", due).fetchone() is None:
                return []
        with self._file.writing(durable=False) as db:
            rows = db.execute(f"SELECT * {free} ORDER BY next_at, id LIMIT ?", (*due, limit)).fetchall()
            for row in rows:
                db.execute(
                    "UPDATE records SET attempts = attempts + 1, lease_holder = ?, lease_until = ? WHERE id = ?",
                    (self._file.holder.id, now + LEASE_S, row["id"]),
                )
        return [_parcel(row) for row in rows]

    def _release_the_dead(self, now: float) -> None:
        """Free the records whose lease is over, or whose holder is gone."""
        leased = "FROM records WHERE state = 'pending' AND lease_holder IS NOT NULL"
        # A lease that ends later than any lease can was written before the clock was set back.
        over = "(lease_until <= ? OR lease_until > ?)"
        bounds = (now, now + 2 * LEASE_S)
        with self._file.reading() as db:
            holders = [str(row[0]) for row in db.execute(f"SELECT DISTINCT lease_holder {leased}")]
            gone = [holder for holder in holders if not self._file.holder.is_alive(holder)]
            if not gone and not db.execute(f"SELECT 1 {leased} AND {over} LIMIT 1", bounds).fetchone():
                return
        marks = ", ".join("?" * len(gone))
        with self._file.writing(durable=False) as db:
            db.execute(
                "UPDATE records SET lease_holder = NULL, lease_until = NULL"
                f" WHERE state = 'pending' AND lease_holder IS NOT NULL AND ({over} OR lease_holder IN ({marks}))",
                (*bounds, *gone),
            )

    def renew(self, parcel: Parcel, *, now: float) -> bool:
        """Lease it anew for one more try; False when the record is no longer this process's to send."""
        with self._file.writing(durable=False) as db:
            cursor = db.execute(
                "UPDATE records SET attempts = attempts + 1, lease_until = ?"
                f" WHERE {KEY} AND state = 'pending' AND lease_holder = ?",
                (now + LEASE_S, *key_of(parcel.to, parcel.call_id), self._file.holder.id),
            )
            return cursor.rowcount == 1

    def mark_delivered(self, parcel: Parcel, *, tuner_id: int | None, is_new: bool, now: float) -> None:
        """Tuner has it: the body is removed, the row stays."""
        key = key_of(parcel.to, parcel.call_id)
        with self._file.writing(durable=False) as db:
            db.execute(
                "UPDATE records SET state = 'delivered', body = NULL, settled_at = ?, tuner_id = ?, is_new = ?,"
                f" detail = '', lease_holder = NULL, lease_until = NULL WHERE {KEY}",
                (now, tuner_id, int(is_new), *key),
            )
            db.execute(f"DELETE FROM calls WHERE {KEY}", key)

    def mark_refused(self, parcel: Parcel, *, detail: str, now: float) -> None:
        """The API will not have it; the body is kept for `retry`."""
        with self._file.writing() as db:
            db.execute(
                "UPDATE records SET state = 'refused', settled_at = ?, detail = ?, lease_holder = NULL,"
                f" lease_until = NULL WHERE {KEY} AND state = 'pending'",
                (now, detail, *key_of(parcel.to, parcel.call_id)),
            )

    def postpone(self, parcel: Parcel, *, until: float, detail: str) -> None:
        """Give the lease back; nobody sends the record before `until` unless in a hurry.

        Args:
            parcel: the record.
            until: Unix seconds.
            detail: why the last try failed; empty keeps what is known.
        """
        with self._file.writing(durable=False) as db:
            db.execute(
                "UPDATE records SET next_at = ?, detail = COALESCE(NULLIF(?, ''), detail), lease_holder = NULL,"
                f" lease_until = NULL WHERE {KEY} AND state = 'pending' AND lease_holder = ?",
                (until, detail, *key_of(parcel.to, parcel.call_id), self._file.holder.id),
            )

    def retry(self, call_id: str | None = None) -> int:
        """Make refused records pending again, one or all; how many there were."""
        with self._file.writing() as db:
            cursor = db.execute(
                "UPDATE records SET state = 'pending', settled_at = NULL, next_at = 0"
                " WHERE state = 'refused' AND (? IS NULL OR call_id = ?)",
                (call_id, call_id),
            )
            return cursor.rowcount

    def next_due(self, base_url: str, workspace_id: int) -> float | None:
        """Unix seconds at which the next pending record is due and free, None when there is none."""
        with self._file.reading() as db:
            (free,) = db.execute(
                "SELECT MIN(next_at) FROM records WHERE state = 'pending' AND lease_holder IS NULL"
                " AND base_url = ? AND workspace_id = ?",
                (base_url, workspace_id),
            ).fetchone()
            (leased,) = db.execute(
                "SELECT MIN(MAX(next_at, lease_until)) FROM records WHERE state = 'pending'"
                " AND lease_holder IS NOT NULL AND base_url = ? AND workspace_id = ?",
                (base_url, workspace_id),
            ).fetchone()
        return min((float(due) for due in (free, leased) if due is not None), default=None)

    def tidy(self, *, now: float) -> int:
        """Forget what was settled long ago, drop what is too old, and give free space back.

        Args:
            now: Unix seconds.

        Returns:
            How many records were too old and dropped.
        """
        self.uploads.prune(settled_before=now - KEEP_SETTLED_S)
        with self._file.writing(durable=False) as db:
            dropped = drop_older(db, self._bounds, now=now)
            forget_settled(db, now=now)
        self.give_back_space()
        return dropped

    def give_back_space(self) -> None:
        """Return some of the file's free space to the file system, when there is much."""
        with self._file.reading() as db:
            give_back_pages(db)

    def purge(self, state: RowState, *, older_than_s: float = 0.0, now: float) -> int:
        """Remove records on request: undelivered ones are dropped, and counted so; of others the row goes.

        Args:
            state: of the records to remove; those that are being sent stay.
            older_than_s: only those handed over longer ago, in seconds.
            now: Unix seconds.

        Returns:
            How many there were.
        """
        before = (now - older_than_s,)
        self._release_the_dead(now)
        with self._file.writing() as db:
            if state in {"pending", "refused"}:
                picked = f"state = '{state}' AND lease_holder IS NULL AND stored_at <= ?"
                return drop(db, picked, before, "purged", now)
            return db.execute(
                "DELETE FROM records WHERE state = ? AND stored_at <= ?", (state, *before)
            ).rowcount

    def take_over(self, other: Outbox) -> int:
        """Take what another outbox of this process holds and nobody is sending; how many records that were."""
        if not other.holds_something():
            return 0
        with other.changing(), other._file.writing() as theirs, self._file.writing() as db:
            moved = carry_over(theirs, db, unleased_only=True)
            theirs.execute("DELETE FROM records WHERE lease_holder IS NULL")
            theirs.execute("DELETE FROM uploads WHERE lease_holder IS NULL AND state <> 'held'")
        return moved

    def holds_something(self) -> bool:
        """Whether there is a record or a recording that nobody is sending; what is held goes with its record."""
        with self._file.reading() as db:
            return any(
                db.execute(f"SELECT 1 FROM {one} AND lease_holder IS NULL LIMIT 1").fetchone()
                for one in ("records WHERE TRUE", "uploads WHERE state <> 'held'")
            )

    def status(self) -> OutboxStatus:
        """The account of this file."""
        return self.ledger.status()

    def entries(self, *, state: RowState | None = None, limit: int = 100) -> list[OutboxEntry]:
        """Rows without their bodies, newest first."""
        return self.ledger.entries(state=state, limit=limit)

    def close(self) -> None:
        """Close the file; leases of this process are free from now on."""
        self._file.close()

    def _held(self, row: sqlite3.Row, now: float) -> bool:
        """Whether somebody who lives has the row's lease."""
        if row["lease_holder"] is None or not now < row["lease_until"] <= now + 2 * LEASE_S:
            return False
        return self._file.holder.is_alive(row["lease_holder"])


def _parcel(row: sqlite3.Row) -> Parcel:
    return Parcel(
        to=destination_in(row),
        call_id=row["call_id"],
        body=row["body"],
        repairs=tuple(json.loads(row["repairs"])),
        attempts=row["attempts"] + 1,
    )
