"""The account of an outbox, read from outside while others write, and compared with what it must agree with."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path

from tuner_core.outbox import Outbox
from tuner_core.outbox.parcels import OutboxStatus


class Auditor:
    """Reads the account as `tuner outbox status` does.

    Args:
        path: the outbox.
        acknowledged: how many records were acknowledged so far.
        arrived: how many calls the API has so far.

    Attributes:
        checks: how often the account was read.
        breaches: what was wrong, a line each.
    """

    def __init__(self, path: Path, acknowledged: Callable[[], int], arrived: Callable[[], int]) -> None:
        self.checks = 0
        self.breaches: list[str] = []
        self._box = Outbox(path)
        self._rows = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
        self._acknowledged = acknowledged
        self._arrived = arrived

    def check(self) -> OutboxStatus:
        """Read the account; what it said."""
        # In this order: both numbers only grow, so the account must lie between them.
        acknowledged = self._acknowledged()
        status = self._box.status()
        arrived = self._arrived()
        self.checks += 1
        if status.accepted != status.delivered + status.pending + status.refused + status.dropped:
            self.breaches.append(f"accepted is not the sum: {status}")
        if status.accepted < acknowledged:
            self.breaches.append(f"{acknowledged} acknowledged, {status.accepted} accepted")
        if status.delivered > arrived:
            self.breaches.append(f"{status.delivered} delivered, {arrived} at the API")
        return status

    def check_rows(self) -> None:
        """Read it, and count the rows themselves in one moment."""
        self.check()
        wrong = self._rows.execute(
            "SELECT state, count, (SELECT COUNT(*) FROM records WHERE records.state = totals.state) AS rows"
            " FROM totals WHERE state <> 'accepted' AND count <> rows"
        ).fetchall()
        self.breaches.extend(f"{count} counted as {state}, {rows} rows" for state, count, rows in wrong)

    def close(self) -> None:
        """Close the file."""
        self._rows.close()
        self._box.close()
