"""What an outbox holds, for people to look at: the account, its rows and their content."""

from __future__ import annotations

import json
from collections.abc import Iterator

from tuner_core.outbox.file import OutboxFile
from tuner_core.outbox.keys import destination_in
from tuner_core.outbox.parcels import Backlog, KeptRecord, OutboxEntry, OutboxStatus, RowState

_PICKED = "(? IS NULL OR state = ?) AND (? IS NULL OR call_id = ?)"


class Ledger:
    """Reads one outbox file.

    Args:
        file: the open outbox.
    """

    def __init__(self, file: OutboxFile) -> None:
        self._file = file

    def status(self) -> OutboxStatus:
        """The account."""
        with self._file.reading() as db:
            total = dict(db.execute("SELECT state, count FROM totals").fetchall())
            sending, oldest = db.execute(
                "SELECT COUNT(lease_holder), MIN(stored_at) FROM records WHERE state = 'pending'"
            ).fetchone()
            running = int(db.execute("SELECT COUNT(*) FROM calls WHERE holder <> ''").fetchone()[0])
        return OutboxStatus(
            accepted=total["accepted"],
            delivered=total["delivered"],
            pending=total["pending"],
            refused=total["refused"],
            dropped=total["dropped"],
            sending=sending,
            oldest_pending_at=oldest,
            open_calls=running,
        )

    def entries(
        self, *, state: RowState | None = None, call_id: str | None = None, limit: int = 100
    ) -> list[OutboxEntry]:
        """Rows without their bodies, newest first.

        Args:
            state: only rows in it.
            call_id: only rows of this call; more than one when it went to several agents.
            limit: at most so many.
        """
        with self._file.reading() as db:
            rows = db.execute(
                f"SELECT *, COALESCE(LENGTH(body), 0) AS size FROM records WHERE {_PICKED}"
                " ORDER BY id DESC LIMIT ?",
                (state, state, call_id, call_id, limit),
            ).fetchall()
        return [
            OutboxEntry(
                call_id=row["call_id"],
                state=row["state"],
                to=destination_in(row),
                stored_at=row["stored_at"],
                settled_at=row["settled_at"],
                attempts=row["attempts"],
                size=row["size"],
                detail=row["detail"],
            )
            for row in rows
        ]

    def records(self, *, state: RowState | None = None, call_id: str | None = None) -> Iterator[KeptRecord]:
        """Records that still have their body, oldest first, read one at a time."""
        last = 0
        while True:
            with self._file.reading() as db:
                row = db.execute(
                    f"SELECT * FROM records WHERE {_PICKED} AND body IS NOT NULL AND id > ? ORDER BY id LIMIT 1",
                    (state, state, call_id, call_id, last),
                ).fetchone()
            if row is None:
                return
            last = row["id"]
            yield KeptRecord(
                to=destination_in(row),
                call_id=row["call_id"],
                state=row["state"],
                body=row["body"],
                repairs=tuple(json.loads(row["repairs"])),
                cut_short=bool(row["cut_short"]),
            )

    def backlogs(self) -> list[Backlog]:
        """What is pending, by the workspace whose key would send it."""
        with self._file.reading() as db:
            rows = db.execute(
                "SELECT base_url, workspace_id, COUNT(*) FROM records WHERE state = 'pending'"
                " GROUP BY base_url, workspace_id ORDER BY 3 DESC"
            ).fetchall()
        return [Backlog(*row) for row in rows]
