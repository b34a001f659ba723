"""What the local Tuner keeps: calls as posted, simulations, refused posts. One SQLite file, or memory."""

from __future__ import annotations

import sqlite3
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from threading import RLock
from typing import Any

from tuner_core.local.rows import PostedCall, Refusal, Simulation
from tuner_core.local.validation import PostedRecord

_VERSION = 1

_SCHEMA = """
CREATE TABLE calls (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    workspace_id INTEGER NOT NULL,
    agent TEXT NOT NULL,
    call_id TEXT NOT NULL,
    received_at REAL NOT NULL,
    started_at REAL NOT NULL,
    ended_at REAL NOT NULL,
    sip_call_id TEXT,
    correlation_id TEXT,
    recipient TEXT,
    posts INTEGER NOT NULL DEFAULT 1,
    body BLOB NOT NULL,
    UNIQUE (workspace_id, call_id)
);
CREATE INDEX calls_by_sip_call_id ON calls (sip_call_id);
CREATE TABLE simulations (
    sip_call_id TEXT PRIMARY KEY,
    started_at REAL NOT NULL,
    correlation_id TEXT,
    recipient TEXT,
    agent TEXT NOT NULL,
    scenario TEXT NOT NULL,
    target TEXT NOT NULL,
    ended_at REAL,
    outcome TEXT,
    detail TEXT NOT NULL
);
CREATE TABLE refusals (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    received_at REAL NOT NULL,
    status INTEGER NOT NULL,
    problem TEXT NOT NULL,
    agent TEXT NOT NULL,
    call_id TEXT,
    sip_call_id TEXT
);
"""

_CALL = ", ".join(field.name for field in fields(PostedCall))
_SIMULATION = ", ".join(field.name for field in fields(Simulation))
_REFUSAL = ", ".join(field.name for field in fields(Refusal))


class StoreError(Exception):
    """The database file cannot be used; the message says why and what to do."""


@dataclass(frozen=True, slots=True)
class Stored:
    """What became of a posted record: its row, and whether it made that row."""

    call: PostedCall
    is_new: bool


class Store:
    """The database of a local Tuner; safe to use from several threads.

    Args:
        path: the SQLite file, made when it is not there; `:memory:` keeps everything in memory.

    Raises:
        StoreError: the file cannot be opened or is not a local Tuner's.
    """

    def __init__(self, path: str | Path = ":memory:") -> None:
        self._lock = RLock()
        try:
            if str(path) != ":memory:":
                Path(path).parent.mkdir(parents=True, exist_ok=True)
            self._connection = sqlite3.connect(str(path), check_same_thread=False, isolation_level=None)
            self._connection.row_factory = sqlite3.Row
            self._prepare(path)
        except (sqlite3.Error, OSError) as error:
            raise StoreError(f"cannot use {path} as the local Tuner's database: {error}") from error

    def close(self) -> None:
        """Close the file. Closing twice does nothing."""
        with self._lock:
            self._connection.close()

    def add_call(
        self, record: PostedRecord, body: bytes, *, workspace_id: int, agent: str, now: float
    ) -> Stored:
        """Keep a record unless its `call_id` is there already; the first post of a `call_id` is the one kept.

        Args:
            record: the validated body.
            body: the body as received.
            workspace_id: the workspace it was posted to.
            agent: the `agent_remote_identifier`.
            now: Unix seconds.
        """
        row = {
            "workspace_id": workspace_id,
            "agent": agent,
            "call_id": record.call_id,
            "received_at": now,
            "started_at": record.started_at,
            "ended_at": record.ended_at,
            "sip_call_id": record.sip_call_id or None,
            "correlation_id": record.correlation_id,
            "recipient": record.recipient or None,
            "body": body,
        }
        with self._transaction() as db:
            names = ", ".join(row)
            values = ", ".join(f":{name}" for name in row)
            cursor = db.execute(
                f"INSERT INTO calls ({names}) VALUES ({values}) "
                "ON CONFLICT (workspace_id, call_id) DO UPDATE SET posts = posts + 1 "
                f"RETURNING {_CALL}",
                row,
            )
            call = PostedCall(**dict(cursor.fetchone()))
        return Stored(call, is_new=call.posts == 1)

    def calls(self) -> list[PostedCall]:
        """Give all calls, the oldest first."""
        return [PostedCall(**row) for row in self._rows(f"SELECT {_CALL} FROM calls ORDER BY id")]

    def call(self, number: int) -> tuple[PostedCall, bytes] | None:
        """Give one call and its body as posted, None when there is none of that number."""
        rows = self._rows(f"SELECT {_CALL}, body FROM calls WHERE id = ?", number)
        if not rows:
            return None
        body: bytes = rows[0].pop("body")
        return PostedCall(**rows[0]), body

    def add_simulation(self, simulation: Simulation) -> bool:
        """Keep a simulation; True when its Call-ID is new, else the row of that Call-ID is replaced."""
        with self._transaction() as db:
            known = db.execute(
                "SELECT 1 FROM simulations WHERE sip_call_id = ?", (simulation.sip_call_id,)
            ).fetchone()
            values = ", ".join(f":{field.name}" for field in fields(Simulation))
            db.execute(
                f"INSERT OR REPLACE INTO simulations ({_SIMULATION}) VALUES ({values})", asdict(simulation)
            )
        return known is None

    def simulations(self) -> list[Simulation]:
        """Give all simulations, the oldest first."""
        rows = self._rows(f"SELECT {_SIMULATION} FROM simulations ORDER BY started_at, rowid")
        return [Simulation(**row) for row in rows]

    def update_simulation(self, sip_call_id: str, changes: Mapping[str, Any]) -> bool:
        """Change fields of a simulation; False when no such Call-ID was registered."""
        with self._transaction() as db:
            row = db.execute(
                f"SELECT {_SIMULATION} FROM simulations WHERE sip_call_id = ?", (sip_call_id,)
            ).fetchone()
            if row is None:
                return False
            changed = asdict(replace(Simulation(**dict(row)), **changes))
            values = ", ".join(f"{name} = :{name}" for name in changed)
            db.execute(f"UPDATE simulations SET {values} WHERE sip_call_id = :sip_call_id", changed)
        return True

    def add_refusal(self, refusal: Refusal) -> None:
        """Keep that a post was refused, to explain the call that is missing."""
        with self._transaction() as db:
            values = ", ".join(f":{field.name}" for field in fields(Refusal))
            db.execute(f"INSERT INTO refusals ({_REFUSAL}) VALUES ({values})", asdict(refusal))

    def refusals(self) -> list[Refusal]:
        """Give all refused posts, the oldest first."""
        return [Refusal(**row) for row in self._rows(f"SELECT {_REFUSAL} FROM refusals ORDER BY id")]

    def _prepare(self, path: str | Path) -> None:
        db = self._connection
        db.execute("PRAGMA busy_timeout = 5000")
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = NORMAL")
        with self._transaction():
            version: int = db.execute("PRAGMA user_version").fetchone()[0]
            tables: int = db.execute("SELECT count(*) FROM sqlite_master WHERE type = 'table'").fetchone()[0]
            if version == _VERSION:
                return
            if version or tables:
                raise StoreError(
                    f"{path} is not a local Tuner's database of this version; give --db another path"
                )
            for statement in _SCHEMA.split(";"):
                db.execute(statement)
            db.execute(f"PRAGMA user_version = {_VERSION}")

    @contextmanager
    def _transaction(self) -> Generator[sqlite3.Connection]:
        with self._lock:
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield self._connection
            except BaseException:
                self._connection.execute("ROLLBACK")
                raise
            self._connection.execute("COMMIT")

    def _rows(self, query: str, *values: object) -> list[dict[str, Any]]:
        with self._lock:
            return [dict(row) for row in self._connection.execute(query, values)]
