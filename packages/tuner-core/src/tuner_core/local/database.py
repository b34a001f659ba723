"""The SQLite file below the store: one connection for all threads, transactions, and who to tell of a change."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from threading import RLock
from typing import Any

_VERSION = 2

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
    UNIQUE (workspace_id, call_id)
);
CREATE INDEX calls_by_sip_call_id ON calls (sip_call_id);
CREATE TABLE posts (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    received_at REAL NOT NULL,
    verdict TEXT NOT NULL,
    status INTEGER,
    agent TEXT NOT NULL,
    call_id TEXT,
    sip_call_id TEXT,
    call INTEGER,
    problems TEXT NOT NULL,
    repairs TEXT NOT NULL,
    fault TEXT NOT NULL,
    upstream TEXT,
    sent_by TEXT NOT NULL
);
CREATE INDEX posts_by_call_id ON posts (call_id);
CREATE INDEX posts_by_verdict ON posts (verdict, id);
CREATE INDEX posts_by_fault ON posts (fault) WHERE fault <> '';
CREATE TABLE bodies (
    post INTEGER PRIMARY KEY,
    call INTEGER,
    body BLOB NOT NULL
);
CREATE INDEX bodies_by_call ON bodies (call);
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
"""


class StoreError(Exception):
    """The database file cannot be used; the message says why and what to do."""


class Database:
    """One SQLite file, safe to use from several threads.

    Args:
        path: the file, made when it is not there; `:memory:` keeps everything in memory.

    Attributes:
        revision: counts the changes made since it was opened.

    Raises:
        StoreError: the file cannot be opened or is not a local Tuner's.
    """

    def __init__(self, path: str | Path = ":memory:") -> None:
        self.revision = 0
        self._listeners: list[Callable[[], None]] = []
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

    def on_change(self, listener: Callable[[], None]) -> None:
        """Have `listener` called after each committed change, in the thread that made it."""
        self._listeners.append(listener)

    def touch(self) -> None:
        """Tell everybody of a change, as each transaction does."""
        with self._lock:
            self.revision += 1
        for listener in self._listeners:
            listener()

    @contextmanager
    def transaction(self) -> Generator[sqlite3.Connection]:
        """Give the connection for writing; what the block writes is kept whole or not at all."""
        with self._lock:
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield self._connection
            except BaseException:
                self._connection.execute("ROLLBACK")
                raise
            self._connection.execute("COMMIT")
        self.touch()

    def clear(self) -> None:
        """Delete every row of every table."""
        with self.transaction() as db:
            tables = db.execute(
                "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"
            ).fetchall()
            for (name,) in tables:
                db.execute(f"DELETE FROM {name}")

    def rows(self, query: str, *values: object) -> list[dict[str, Any]]:
        """Give the rows of a query, each as a mapping of its columns."""
        with self._lock:
            return [dict(row) for row in self._connection.execute(query, values)]

    def tuples(self, query: str, *values: object) -> list[tuple[Any, ...]]:
        """Give the rows of a query as tuples, in the order of its columns."""
        with self._lock:
            cursor = self._connection.cursor()
            cursor.row_factory = None
            return cursor.execute(query, values).fetchall()

    def number(self, query: str, *values: object) -> int:
        """Give the single number that a query counts."""
        return int(self.tuples(query, *values)[0][0])

    def _prepare(self, path: str | Path) -> None:
        db = self._connection
        db.execute("PRAGMA busy_timeout = 5000")
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = NORMAL")
        with self.transaction():
            version: int = db.execute("PRAGMA user_version").fetchone()[0]
            tables: int = db.execute("SELECT count(*) FROM sqlite_master WHERE type = 'table'").fetchone()[0]
            if version == _VERSION:
                return
            if version or tables:
                raise StoreError(
                    f"{path} is not a local Tuner's database of this version; "
                    "move it away, or give --db another path"
                )
            for statement in _SCHEMA.split(";"):
                db.execute(statement)
            db.execute(f"PRAGMA user_version = {_VERSION}")
