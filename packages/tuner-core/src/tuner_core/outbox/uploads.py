"""Recordings that are to be uploaded once their calls are delivered.

The table is that of `upload_schema`, in the file of the records, so that a record and its recording are handed over in
one commit, and the delivery of a call frees its upload in one commit. Leases work as those of records do.
"""

from __future__ import annotations

import math
import os
import sqlite3
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, TypeAlias

from tuner_core.errors import UploadError
from tuner_core.outbox.file import OutboxFile
from tuner_core.outbox.keys import KEY, destination_in, key_of
from tuner_core.outbox.parcels import Destination
from tuner_core.recordings.target import UploadTarget

LEASE_S = 60.0
"""Length of a lease in seconds; renewed while the file is going out."""

UploadState: TypeAlias = Literal["held", "waiting", "uploaded", "failed"]


@dataclass(frozen=True, slots=True)
class Upload:
    """A recording to upload that this process holds the lease of.

    Attributes:
        to: where its call went.
        call_id: of its call.
        path: its file.
        delete_after: remove the file once it is uploaded.
        body: the call's record, which asks for another target when it is posted again.
        target: where to upload it, when known.
        target_at: Unix seconds at which the target was given.
        refusals: how often in a row a fresh target was refused.
        attempts: tries so far, this one included.
        stored_at: Unix seconds since which it could be uploaded.
    """

    to: Destination
    call_id: str
    path: Path = field(repr=False)
    delete_after: bool
    body: bytes = field(repr=False)
    target: UploadTarget | None
    target_at: float
    refusals: int
    attempts: int
    stored_at: float


@dataclass(frozen=True, slots=True)
class UploadEntry:
    """One row, for people to look at."""

    call_id: str
    state: UploadState
    to: Destination
    path: str = field(repr=False)
    stored_at: float
    settled_at: float | None
    attempts: int
    detail: str


class Uploads:
    """The uploads of one outbox file. Everything here blocks, and raises `OutboxError` when SQLite fails."""

    def __init__(self, file: OutboxFile) -> None:
        self._file = file

    def hold(self, to: Destination, call_id: str, path: Path, *, delete_after: bool, now: float) -> None:
        """Remember a recording until its call is delivered.

        One that is on its way or done stays as it is; one that is held or failed takes the new path.
        """
        with self._file.writing() as db:
            db.execute(
                "INSERT INTO uploads (base_url, workspace_id, agent_id, call_id, state, path, delete_after, stored_at)"
                " VALUES (?, ?, ?, ?, 'held', ?, ?, ?)"
                " ON CONFLICT (base_url, workspace_id, agent_id, call_id) DO UPDATE SET state = 'held',"
                " path = excluded.path, delete_after = excluded.delete_after, settled_at = NULL, detail = '',"
                " refusals = 0, stored_at = excluded.stored_at WHERE state IN ('held', 'failed')",
                (*key_of(to, call_id), os.fsencode(path), delete_after, now),
            )

    def free(
        self, to: Destination, call_id: str, target: UploadTarget | None, *, body: bytes | None, now: float
    ) -> Upload | None:
        """Its call is delivered: lease the upload to this process. None when the call has none that was held.

        Args:
            to: where the call went.
            call_id: of the call.
            target: as the API gave it.
            body: the call's record, None to take it from the call's row, which must still have it then.
            now: Unix seconds.
        """
        key = key_of(to, call_id)
        with self._file.writing(durable=False) as db:
            changed = db.execute(
                "UPDATE uploads SET state = 'waiting', target = ?, target_at = ?, stored_at = ?, attempts = 1,"
                f" next_at = 0, body = COALESCE(?, (SELECT body FROM records WHERE {KEY})),"
                " lease_holder = ?, lease_until = ?"
                f" WHERE {KEY} AND state = 'held'",
                (
                    target.to_json() if target else None,
                    now,
                    now,
                    body,
                    *key,
                    self._file.holder.id,
                    now + LEASE_S,
                    *key,
                ),
            ).rowcount
            if not changed:
                return None
            return _upload(db.execute(f"SELECT * FROM uploads WHERE {KEY}", key).fetchone())

    def claim(
        self, base_url: str, workspace_id: int, *, now: float, limit: int, hurry: bool = False
    ) -> list[Upload]:
        """Lease uploads that wait, those due longest first; as `Outbox.claim`."""
        due = (base_url, workspace_id, math.inf if hurry else now)
        where = "state = 'waiting' AND base_url = ? AND workspace_id = ? AND next_at <= ?"
        with self._file.reading() as db:
            if db.execute(f"SELECT 1 FROM uploads WHERE {where} LIMIT 1", due).fetchone() is None:
                return []
        with self._file.writing(durable=False) as db:
            holders = db.execute(
                "SELECT DISTINCT lease_holder FROM uploads WHERE state = 'waiting' AND lease_holder NOT NULL"
            ).fetchall()
            gone = [str(row[0]) for row in holders if not self._file.holder.is_alive(str(row[0]))]
            rows = db.execute(
                f"SELECT id FROM uploads WHERE {where} AND (lease_holder IS NULL OR lease_until <= ?"
                f" OR lease_until > ? OR lease_holder IN ({', '.join('?' * len(gone))}))"
                " ORDER BY next_at, id LIMIT ?",
                # A lease that ends later than any lease can was written before the clock was set back.
                (*due, now, now + 2 * LEASE_S, *gone, limit),
            ).fetchall()
            claimed: list[Upload] = []
            for row in rows:
                db.execute(
                    "UPDATE uploads SET attempts = attempts + 1, lease_holder = ?, lease_until = ? WHERE id = ?",
                    (self._file.holder.id, now + LEASE_S, row["id"]),
                )
                claimed.append(
                    _upload(db.execute("SELECT * FROM uploads WHERE id = ?", (row["id"],)).fetchone())
                )
        return claimed

    def renew(self, upload: Upload, *, now: float) -> bool:
        """Lease it anew; False when it is no longer this process's."""
        return self._change(upload, "lease_until = ?", (now + LEASE_S,))

    def aim(self, upload: Upload, target: UploadTarget, *, now: float) -> None:
        """Remember another target for it."""
        self._change(upload, "target = ?, target_at = ?", (target.to_json(), now))

    def postpone(self, upload: Upload, *, until: float, detail: str) -> None:
        """Give the lease back with what is known by now; nobody tries again before `until` unless in a hurry."""
        self._change(
            upload,
            "target = ?, refusals = ?, next_at = ?, detail = ?, lease_holder = NULL, lease_until = NULL",
            (upload.target.to_json() if upload.target else None, upload.refusals, until, detail),
        )

    def settle(
        self, upload: Upload, state: Literal["uploaded", "failed"], *, detail: str, now: float
    ) -> None:
        """It is uploaded, or never will be: the record's body and the target are removed."""
        self._change(
            upload,
            "state = ?, settled_at = ?, detail = ?, body = NULL, target = NULL, lease_holder = NULL,"
            " lease_until = NULL",
            (state, now, detail),
        )

    def state_of(self, to: Destination, call_id: str) -> tuple[UploadState, str] | None:
        """The state of a call's upload and what is said of it, None when it has none."""
        with self._file.reading() as db:
            row = db.execute(f"SELECT state, detail FROM uploads WHERE {KEY}", key_of(to, call_id)).fetchone()
        return (row["state"], row["detail"]) if row else None

    def next_due(self, base_url: str, workspace_id: int) -> float | None:
        """Unix seconds at which the next one is due and free, None when none waits."""
        with self._file.reading() as db:
            row = db.execute(
                "SELECT MIN(MAX(next_at, COALESCE(lease_until, 0))) FROM uploads"
                " WHERE state = 'waiting' AND base_url = ? AND workspace_id = ?",
                (base_url, workspace_id),
            ).fetchone()
        return None if row[0] is None else float(row[0])

    def counts(self) -> dict[UploadState, int]:
        """How many there are in each state; settled ones are forgotten some days later."""
        with self._file.reading() as db:
            counts = dict(db.execute("SELECT state, COUNT(*) FROM uploads GROUP BY state").fetchall())
        states: tuple[UploadState, ...] = ("held", "waiting", "uploaded", "failed")
        return {state: int(counts.get(state, 0)) for state in states}

    def entries(self, *, state: UploadState | None = None, limit: int = 100) -> list[UploadEntry]:
        """Rows, newest first."""
        with self._file.reading() as db:
            rows = db.execute(
                "SELECT * FROM uploads WHERE ? IS NULL OR state = ? ORDER BY id DESC LIMIT ?",
                (state, state, limit),
            ).fetchall()
        return [
            UploadEntry(
                call_id=row["call_id"],
                state=row["state"],
                to=destination_in(row),
                path=os.fsdecode(row["path"]),
                stored_at=row["stored_at"],
                settled_at=row["settled_at"],
                attempts=row["attempts"],
                detail=row["detail"],
            )
            for row in rows
        ]

    def prune(self, *, settled_before: float) -> None:
        """Forget uploads that were settled before a moment, in Unix seconds."""
        with self._file.reading() as db:
            if not db.execute("SELECT 1 FROM uploads WHERE settled_at < ?", (settled_before,)).fetchone():
                return
        with self._file.writing(durable=False) as db:
            db.execute("DELETE FROM uploads WHERE settled_at < ?", (settled_before,))

    def _change(self, upload: Upload, assignments: str, values: tuple[object, ...]) -> bool:
        with self._file.writing(durable=False) as db:
            cursor = db.execute(
                f"UPDATE uploads SET {assignments} WHERE {KEY} AND state = 'waiting' AND lease_holder = ?",
                (*values, *key_of(upload.to, upload.call_id), self._file.holder.id),
            )
            return cursor.rowcount == 1


def _upload(row: sqlite3.Row) -> Upload:
    target: UploadTarget | None = None
    if row["target"] is not None:
        try:
            target = UploadTarget.from_json(row["target"])
        except UploadError:
            target = None
    return Upload(
        to=destination_in(row),
        call_id=row["call_id"],
        path=Path(os.fsdecode(row["path"])),
        delete_after=bool(row["delete_after"]),
        body=row["body"] or b"",
        target=target,
        target_at=row["target_at"] or 0.0,
        refusals=row["refusals"],
        attempts=row["attempts"],
        stored_at=row["stored_at"],
    )
