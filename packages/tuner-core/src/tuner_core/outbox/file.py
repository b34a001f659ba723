"""The SQLite file of an outbox: opening, schema, transactions, threads and forks.

WAL mode lets readers and a writer go on side by side. `synchronous=FULL`, and not NORMAL, because in WAL mode NORMAL
leaves the last commits to the operating system and loses them in a power cut, and the promise is that what was
acknowledged is on disk. It costs one flush per change, three for a call that lasted minutes, in a thread that nobody
waits on. `secure_delete` overwrites the transcript of a delivered call instead of leaving it in free pages.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import threading
import time
import weakref
from collections.abc import Generator
from pathlib import Path

from tuner_core.errors import OutboxError
from tuner_core.outbox.holder import FileHolder, Holder, MemoryHolder

_BUSY_TIMEOUT_S = 5.0
_APPLICATION_ID = 0x54554E52
_SCHEMA_VERSION = 1
_SCHEMA = (
    """
    CREATE TABLE records (
      id INTEGER PRIMARY KEY,
      base_url TEXT NOT NULL,
      workspace_id INTEGER NOT NULL,
      agent_id TEXT NOT NULL,
      call_id TEXT NOT NULL,
      state TEXT NOT NULL CHECK (state IN ('pending', 'delivered', 'refused')),
      body BLOB,
      repairs TEXT NOT NULL,
      stored_at REAL NOT NULL,
      settled_at REAL,
      attempts INTEGER NOT NULL DEFAULT 0,
      next_at REAL NOT NULL DEFAULT 0,
      lease_holder TEXT,
      lease_until REAL,
      tuner_id INTEGER,
      is_new INTEGER,
      detail TEXT NOT NULL DEFAULT '',
      UNIQUE (base_url, workspace_id, agent_id, call_id)
    )
    """,
    "CREATE INDEX records_due ON records (next_at) WHERE state = 'pending'",
    "CREATE TABLE removed (state TEXT PRIMARY KEY, count INTEGER NOT NULL)",
    f"PRAGMA application_id = {_APPLICATION_ID}",
    f"PRAGMA user_version = {_SCHEMA_VERSION}",
)


class OutboxFile:
    """One open outbox, shared by the threads of a process and opened anew in a forked child.

    Args:
        path: the file, made when missing with access for its owner only; None for an outbox in memory.

    Attributes:
        path: as given.

    Raises:
        OutboxError: it cannot be opened, is no outbox, or was written by a later version.
    """

    def __init__(self, path: Path | None) -> None:
        self.path = path
        self._lock = threading.RLock()
        self._db: sqlite3.Connection | None = None
        self._holder: Holder | None = None
        self._closed = False
        self._inherited: list[sqlite3.Connection] = []
        _open_files.add(self)
        with self._lock:
            self._connection()

    @property
    def holder(self) -> Holder:
        """The identity under which this process leases records."""
        with self._lock:
            self._connection()
            assert self._holder is not None
            return self._holder

    @contextlib.contextmanager
    def reading(self) -> Generator[sqlite3.Connection]:
        """A connection to read from.

        Raises:
            OutboxError: SQLite failed.
        """
        with self._lock, self._explained():
            yield self._connection()

    @contextlib.contextmanager
    def writing(self) -> Generator[sqlite3.Connection]:
        """A transaction, on disk when the block ends and undone when it raises.

        Raises:
            OutboxError: SQLite failed.
        """
        with self._lock, self._explained():
            db = self._connection()
            with _transaction(db):
                yield db

    def close(self) -> None:
        """Close the file; leases of this process are free from now on."""
        with self._lock:
            self._closed = True
            if self._db is not None:
                self._db.close()
                self._db = None
            if self._holder is not None:
                self._holder.close()
                self._holder = None

    def after_fork(self) -> None:
        """In a forked child: leave the parent's connection and identity alone, and take new ones when needed."""
        self._lock = threading.RLock()
        if self._db is not None:
            # SQLite forbids a child to use it, and closing it could upset the parent.
            self._inherited.append(self._db)
            self._db = None
        if isinstance(self._holder, FileHolder):
            self._holder.forget()
        self._holder = None

    @contextlib.contextmanager
    def _explained(self) -> Generator[None]:
        try:
            yield
        except (sqlite3.Error, OSError) as error:
            raise OutboxError(f"outbox {self.path or 'in memory'}: {error}") from None

    def _connection(self) -> sqlite3.Connection:
        if self._closed:
            raise OutboxError(f"outbox {self.path or 'in memory'} is closed")
        if self._db is None:
            with self._explained():
                self._db, self._holder = self._opened()
        return self._db

    def _opened(self) -> tuple[sqlite3.Connection, Holder]:
        if self.path is not None:
            self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            os.close(os.open(self.path, os.O_RDWR | os.O_CREAT, 0o600))
        db = sqlite3.connect(
            self.path or ":memory:", timeout=_BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False
        )
        try:
            db.row_factory = sqlite3.Row
            _use_wal(db)
            db.execute("PRAGMA synchronous = FULL")
            db.execute("PRAGMA secure_delete = ON")
            self._prepare_schema(db)
            holder = MemoryHolder() if self.path is None else FileHolder(Path(f"{self.path}.holders"))
        except BaseException:
            db.close()
            raise
        return db, holder

    def _prepare_schema(self, db: sqlite3.Connection) -> None:
        with _transaction(db):
            version = int(db.execute("PRAGMA user_version").fetchone()[0])
            owner = int(db.execute("PRAGMA application_id").fetchone()[0])
            if version == 0 and not db.execute("SELECT COUNT(*) FROM sqlite_master").fetchone()[0]:
                for statement in _SCHEMA:
                    db.execute(statement)
            elif owner != _APPLICATION_ID:
                raise OutboxError(
                    f"{self.path} is a database of something else: set TUNER_OUTBOX to another file"
                )
            elif version > _SCHEMA_VERSION:
                raise OutboxError(
                    f"{self.path} was written by a later version: update tuner-core, "
                    "or set TUNER_OUTBOX to another file"
                )


@contextlib.contextmanager
def _transaction(db: sqlite3.Connection) -> Generator[None]:
    """Everything in the block or nothing; the write lock is taken at the start, so it cannot fail half-way."""
    db.execute("BEGIN IMMEDIATE")
    try:
        yield
        db.execute("COMMIT")
    except BaseException:
        if db.in_transaction:
            db.execute("ROLLBACK")
        raise


def _use_wal(db: sqlite3.Connection) -> None:
    """Switch to WAL; processes that start together collide here, and SQLite's own waiting does not cover it."""
    give_up_at = time.monotonic() + _BUSY_TIMEOUT_S
    while True:
        try:
            db.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError:
            if time.monotonic() > give_up_at:
                raise
            time.sleep(0.01)


_open_files: weakref.WeakSet[OutboxFile] = weakref.WeakSet()


def _after_fork() -> None:
    for file in list(_open_files):
        file.after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
