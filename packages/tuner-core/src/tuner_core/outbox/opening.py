"""Opening the SQLite database of an outbox, and its transactions."""

from __future__ import annotations

import contextlib
import os
import random
import sqlite3
import time
from collections.abc import Generator
from pathlib import Path

from tuner_core.errors import OutboxError
from tuner_core.outbox import schema

_BUSY_TIMEOUT_S = 5.0
_LOOK_AGAIN_S = (0.0002, 0.002)
_LONGEST_WAL_BYTES = 4 * 1024 * 1024
_SIDE_FILES = ("-wal", "-shm")
_PASSING = frozenset({sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_PROTOCOL})


class DamagedOutbox(OutboxError):
    """The file holds no readable database any more; the next use sets it aside and begins a new one."""


def connect(path: Path | None) -> sqlite3.Connection:
    """Open the database of an outbox; made when missing, with access for its owner only.

    Args:
        path: the file; None for one in memory.

    Raises:
        OutboxError: it belongs to something else, or was written by a later version.
        sqlite3.Error: SQLite failed.
        OSError: the file cannot be made or opened.
    """
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        if not path.exists():
            _make(path)
    db = sqlite3.connect(
        path or ":memory:", timeout=_BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False
    )
    try:
        db.row_factory = sqlite3.Row
        # Has an effect on a file without tables only: freed pages can then be given back.
        db.execute("PRAGMA auto_vacuum = INCREMENTAL")
        _use_wal(db)
        db.execute("PRAGMA synchronous = FULL")
        db.execute("PRAGMA secure_delete = ON")
        db.execute(f"PRAGMA journal_size_limit = {_LONGEST_WAL_BYTES}")
        _prepare_schema(db, path)
    except BaseException:
        db.close()
        raise
    return db


def _make(path: Path) -> None:
    """Make an empty file for its owner only.

    One that is there must not be opened here, not even to see whether that works: closing it would drop the POSIX
    locks that SQLite holds on it for other connections of this process (https://www.sqlite.org/howtocorrupt.html, 2.2).
    """
    for suffix in _SIDE_FILES:  # left by a file that was deleted, they would be taken for parts of this one
        path.with_name(path.name + suffix).unlink(missing_ok=True)
    with contextlib.suppress(FileExistsError):
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))


def is_damage(error: BaseException) -> bool:
    """Whether SQLite says that the file is damaged, or no database."""
    code = getattr(error, "sqlite_errorcode", None)
    return code is not None and code & 0xFF in {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}


def advice(error: BaseException) -> str:
    """What to do about an error, in brackets; empty where its own words are enough."""
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    unwritable = {sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM}
    if code in unwritable or isinstance(error, PermissionError):
        return (
            " (this user must be able to write the file and its directory; TUNER_OUTBOX names another file)"
        )
    if code == sqlite3.SQLITE_BUSY:
        return " (another program keeps it locked)"
    return ""


@contextlib.contextmanager
def transaction(db: sqlite3.Connection) -> Generator[None]:
    """Everything in the block or nothing; the write lock is taken at the start, so it cannot fail half-way."""
    _begin(db)
    try:
        yield
        db.execute("COMMIT")
    except BaseException:
        if db.in_transaction:
            with contextlib.suppress(sqlite3.Error):  # the first error is the one to tell
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


def _prepare_schema(db: sqlite3.Connection, path: Path | None) -> None:
    if _version(db, path) == schema.SCHEMA_VERSION:
        return
    with transaction(db):
        version = _version(db, path)  # somebody may have been quicker
        if version == 0:
            schema.create(db)
        elif version < schema.SCHEMA_VERSION:
            schema.migrate(db, version)
    if version:
        with contextlib.suppress(sqlite3.OperationalError):  # somebody uses it: it works without
            db.execute("VACUUM")


def _version(db: sqlite3.Connection, path: Path | None) -> int:
    """The schema's version; 0 for a file without tables."""
    version = int(db.execute("PRAGMA user_version").fetchone()[0])
    owner = int(db.execute("PRAGMA application_id").fetchone()[0])
    if version == 0 and not db.execute("SELECT COUNT(*) FROM sqlite_master").fetchone()[0]:
        return 0
    if owner != schema.APPLICATION_ID:
        raise OutboxError(f"{path} is a database of something else: set TUNER_OUTBOX to another file")
    if version > schema.SCHEMA_VERSION:
        raise OutboxError(
            f"{path} was written by a later version: update tuner-core, or set TUNER_OUTBOX to another file"
        )
    return version


def _use_wal(db: sqlite3.Connection) -> None:
    """Switch to WAL; processes that start together collide here, and SQLite's own waiting does not cover it."""
    give_up_at = time.monotonic() + _BUSY_TIMEOUT_S
    while True:
        try:
            db.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF not in _PASSING or time.monotonic() > give_up_at:
                raise
            time.sleep(0.01)
