"""The SQLite file of an outbox: opening, transactions, threads and forks.

WAL mode lets readers and a writer go on side by side. `synchronous=FULL`, and not NORMAL, for what must survive a
power cut, because in WAL mode NORMAL leaves the last commits to the operating system, and the promise is that what
was acknowledged is on disk. Leases and marks of delivery are written with NORMAL: losing one costs a second request
that the API answers with 409. `secure_delete` overwrites the transcript of a delivered call instead of leaving it in
free pages.
"""

from __future__ import annotations

import contextlib
import os
import random
import sqlite3
import threading
import time
import weakref
from collections.abc import Generator
from pathlib import Path

from tuner_core.errors import OutboxError
from tuner_core.outbox import schema
from tuner_core.outbox.holder import FileHolder, Holder, MemoryHolder

_BUSY_TIMEOUT_S = 5.0
_LOOK_AGAIN_S = (0.0002, 0.002)
_LONGEST_WAL_BYTES = 4 * 1024 * 1024


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
    def writing(self, *, durable: bool = True) -> Generator[sqlite3.Connection]:
        """A transaction, on disk when the block ends and undone when it raises; one inside another joins it.

        Args:
            durable: wait until it would survive a power cut; False for what may be lost to one.

        Raises:
            OutboxError: SQLite failed.
        """
        with self._lock, self._explained():
            db = self._connection()
            if db.in_transaction:
                yield db
                return
            db.execute("PRAGMA synchronous = FULL" if durable else "PRAGMA synchronous = NORMAL")
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
            # Has an effect on a file without tables only: freed pages can then be given back.
            db.execute("PRAGMA auto_vacuum = INCREMENTAL")
            _use_wal(db)
            db.execute("PRAGMA synchronous = FULL")
            db.execute("PRAGMA secure_delete = ON")
            db.execute(f"PRAGMA journal_size_limit = {_LONGEST_WAL_BYTES}")
            self._prepare_schema(db)
            holder = MemoryHolder() if self.path is None else FileHolder(Path(f"{self.path}.holders"))
        except BaseException:
            db.close()
            raise
        return db, holder

    def _prepare_schema(self, db: sqlite3.Connection) -> None:
        migrated = False
        with _transaction(db):
            version = int(db.execute("PRAGMA user_version").fetchone()[0])
            owner = int(db.execute("PRAGMA application_id").fetchone()[0])
            if version == 0 and not db.execute("SELECT COUNT(*) FROM sqlite_master").fetchone()[0]:
                schema.create(db)
            elif owner != schema.APPLICATION_ID:
                raise OutboxError(
                    f"{self.path} is a database of something else: set TUNER_OUTBOX to another file"
                )
            elif version > schema.SCHEMA_VERSION:
                raise OutboxError(
                    f"{self.path} was written by a later version: update tuner-core, "
                    "or set TUNER_OUTBOX to another file"
                )
            elif version < schema.SCHEMA_VERSION:
                schema.migrate(db, version)
                migrated = True
        if migrated:
            with contextlib.suppress(sqlite3.OperationalError):  # somebody uses it: it works without
                db.execute("VACUUM")


@contextlib.contextmanager
def _transaction(db: sqlite3.Connection) -> Generator[None]:
    """Everything in the block or nothing; the write lock is taken at the start, so it cannot fail half-way."""
    _begin(db)
    try:
        yield
        db.execute("COMMIT")
    except BaseException:
        if db.in_transaction:
            db.execute("ROLLBACK")
        raise


def _begin(db: sqlite3.Connection) -> None:
    """Take the write lock, waiting for it in short steps.

    SQLite's own waiting sleeps up to 100 ms between two looks, and a transaction here lasts less than one: where
    several processes write, they would mostly sleep.
    """
    give_up_at = time.monotonic() + _BUSY_TIMEOUT_S
    db.execute("PRAGMA busy_timeout = 0")
    try:
        while True:
            try:
                db.execute("BEGIN IMMEDIATE")
                return
            except sqlite3.OperationalError as error:
                # Its extended codes, such as the one while a WAL is recovered, have it in the lowest byte.
                busy = error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY
                if not busy or time.monotonic() > give_up_at:
                    raise
            time.sleep(random.uniform(*_LOOK_AGAIN_S))
    finally:
        db.execute(f"PRAGMA busy_timeout = {_BUSY_TIMEOUT_S * 1000:.0f}")


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
