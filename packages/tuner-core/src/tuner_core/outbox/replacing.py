"""When the file of an outbox is damaged, moved or deleted: begin another one and carry over what can be read.

SQLite finds the `-wal` file of a database by name. Two rules follow. Whoever opens an outbox or sets one aside does so
alone, under a lock on its directory. And a connection whose file is no longer at its path is never closed: closing it
would delete the `-wal` of the file that took its place.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import sqlite3
import sys
import time
from collections.abc import Generator, Iterator
from pathlib import Path

from tuner_core.outbox import schema
from tuner_core.outbox.keys import Key
from tuner_core.outbox.opening import transaction

if sys.platform != "win32":
    import fcntl

_LOCK_WITHIN_S = 5.0
_MAGIC = b"SQLite format 3\x00"
_APPLICATION_ID_AT = 68  # https://www.sqlite.org/fileformat2.html, the database header


@contextlib.contextmanager
def alone_at(path: Path) -> Generator[None]:
    """No other process opens or replaces an outbox in this directory meanwhile.

    Raises:
        OSError: the directory cannot be made or opened, or somebody holds the lock for too long.
    """
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    if sys.platform == "win32":
        yield
        return
    descriptor = os.open(path.parent, os.O_RDONLY)
    try:
        give_up_at = time.monotonic() + _LOCK_WITHIN_S
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > give_up_at:
                    raise
                time.sleep(0.005)
        yield
    finally:
        os.close(descriptor)


def was_outbox(path: Path, holders: Path) -> bool:
    """Whether a file that cannot be read was an outbox once, and no other file that somebody named by mistake."""
    with path.open("rb") as file:
        header = file.read(_APPLICATION_ID_AT + 4)
    stamp = int.from_bytes(header[_APPLICATION_ID_AT:], "big")
    return holders.is_dir() or (header.startswith(_MAGIC) and stamp == schema.APPLICATION_ID)


def set_aside(path: Path) -> Path:
    """Rename a damaged file, with what belongs to it; its name from now on."""
    aside = path.with_name(
        f"{path.name}.damaged-{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}-{os.getpid()}"
    )
    for suffix in ("-wal", "-shm", ""):
        with contextlib.suppress(FileNotFoundError):
            path.with_name(path.name + suffix).rename(aside.with_name(aside.name + suffix))
    return aside


def saved_from(aside: Path, target: sqlite3.Connection) -> int:
    """Carry over what can be read of a file that was set aside; how many records that were."""
    try:
        source = sqlite3.connect(aside, isolation_level=None)
    except sqlite3.Error:
        return 0
    try:
        source.row_factory = sqlite3.Row
        # Without it SQLite reads nothing at all of a file that is shorter than its header says.
        source.execute("PRAGMA writable_schema = ON")
        with transaction(target):
            return carry_over(source, target)
    finally:
        source.close()


def carry_over(source: sqlite3.Connection, target: sqlite3.Connection, *, unleased_only: bool = False) -> int:
    """Copy records, journals and uploads that the target does not know; how many records that were.

    Args:
        source: perhaps damaged: what cannot be read is left out.
        target: an open outbox, inside a transaction.
        unleased_only: leave out what somebody is sending, and the recordings held for that.
    """
    records = 0
    leased: set[Key] = set()
    if unleased_only:
        leased = {_call(row) for row in _rows(source, "records") if row["lease_holder"]}
    for table in ("uploads", "records"):
        for row in _rows(source, table):
            stays = unleased_only and (row["lease_holder"] or _call(row) in leased)
            if not stays and _insert(target, table, row) is not None:
                records += table == "records"
    calls = {row["id"]: _insert(target, "calls", row) for row in _rows(source, "calls")}
    target.executemany(
        "INSERT INTO events (call, event) VALUES (?, ?)",
        [(calls[row["call"]], row["event"]) for row in _rows(source, "events") if calls.get(row["call"])],
    )
    return records


def _call(row: sqlite3.Row) -> Key:
    return row["base_url"], row["workspace_id"], row["agent_id"], row["call_id"]


def abandon(db: sqlite3.Connection) -> None:
    """Keep a connection open until the process ends, also when the interpreter tidies up."""
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(db))


def _insert(target: sqlite3.Connection, table: str, row: sqlite3.Row) -> int | None:
    """The row's number in the target, None when it has the call already."""
    known = {str(column["name"]) for column in target.execute(f"PRAGMA table_info({table})")} - {"id"}
    names = [name for name in row.keys() if name in known]
    marks = ", ".join("?" * len(names))
    try:
        inserted = target.execute(
            f"INSERT OR IGNORE INTO {table} ({', '.join(names)}) VALUES ({marks}) RETURNING id",
            tuple(row[name] for name in names),
        ).fetchone()
    except sqlite3.IntegrityError:  # a value that damage has changed
        return None
    return None if inserted is None else int(inserted[0])


def _rows(source: sqlite3.Connection, table: str) -> Iterator[sqlite3.Row]:
    """The rows on both sides of what cannot be read, in order of their ids where nothing is damaged."""
    last: int | None = None
    try:
        for row in source.execute(f"SELECT * FROM {table} ORDER BY id"):
            last = row["id"]
            yield row
    except sqlite3.Error:
        with contextlib.suppress(sqlite3.Error):
            for row in source.execute(f"SELECT * FROM {table} ORDER BY id DESC"):
                if row["id"] == last:
                    return
                yield row
