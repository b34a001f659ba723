"""The SQLite file of an outbox: transactions, threads and forks, and a file that is damaged or taken away.

WAL mode lets readers and a writer go on side by side. `synchronous=FULL`, and not NORMAL, for what must survive a
power cut, because in WAL mode NORMAL leaves the last commits to the operating system, and the promise is that what
was acknowledged is on disk. Leases and marks of delivery are written with NORMAL: losing one costs a second request
that the API answers with 409. `secure_delete` overwrites the transcript of a delivered call instead of leaving it in
free pages.

A file that SQLite finds damaged is set aside as `<name>.damaged-<time>-<pid>`, what can be read of it is carried over
into a new one, and every process that has the old one open follows. The same happens when somebody moves or deletes
the file of a running process. WAL needs shared memory: put the file on a local disk, never on a network file system.
"""

from __future__ import annotations

import contextlib
import logging
import os
import sqlite3
import threading
import weakref
from collections.abc import Generator
from pathlib import Path

from tuner_core.errors import OutboxError
from tuner_core.outbox.holder import FileHolder, Holder, MemoryHolder
from tuner_core.outbox.opening import DamagedOutbox, advice, connect, is_damage, transaction
from tuner_core.outbox.replacing import abandon, alone_at, carry_over, saved_from, set_aside, was_outbox

logger = logging.getLogger("tuner_core.outbox")


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
        self._inode: tuple[int, int] | None = None
        self._damaged: tuple[int, int] | None = None
        self._holder: Holder | None = None
        self._closed = False
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
            DamagedOutbox: the file is damaged; another try goes to a new one.
            OutboxError: SQLite failed.
        """
        with self._lock, self._explained():
            db = self._connection()
            if db.in_transaction:
                yield db
                return
            db.execute("PRAGMA synchronous = FULL" if durable else "PRAGMA synchronous = NORMAL")
            with transaction(db):
                yield db
            # Taken away in the middle of it: what was written goes along to the file that is there instead.
            self._connection()

    def close(self) -> None:
        """Close the file; leases of this process are free from now on."""
        with self._lock:
            self._closed = True
            if self._db is not None:
                if self._is_elsewhere():
                    abandon(self._db)
                else:
                    self._db.close()
                self._db = None
            if self._holder is not None:
                self._holder.close()
                self._holder = None

    def before_fork(self) -> None:
        """Between two transactions: close the connection, so that a forked child inherits nothing of it.

        A child that opens the file anew while it has inherited a connection to it believes that it holds the parent's
        locks; the parent would then delete the log in which the child writes. Both open the file when they next need
        it. What is in memory is the parent's, and stays.
        """
        self._lock.acquire()
        if self.path is None or self._db is None or self._db.in_transaction or self._is_elsewhere():
            return
        db, self._db = self._db, None
        with contextlib.suppress(sqlite3.Error):
            db.close()

    def after_fork_in_parent(self) -> None:
        """Go on."""
        self._lock.release()

    def after_fork(self) -> None:
        """In a forked child: leave the parent's connection and identity alone, and take new ones when needed."""
        self._lock = threading.RLock()
        if self._db is not None:
            # SQLite forbids a child to use it, and even to close it.
            abandon(self._db)
            self._db = None
        if isinstance(self._holder, FileHolder):
            self._holder.forget()
        self._holder = None

    @contextlib.contextmanager
    def _explained(self) -> Generator[None]:
        try:
            yield
        except (sqlite3.Error, OSError, ValueError, OverflowError) as error:
            # The last two are of values that SQLite cannot hold, and paths that no file can have.
            said = f"outbox {self.path or 'in memory'}: {error}{advice(error)}"
            if not is_damage(error):
                raise OutboxError(said) from None
            if self._db is not None:
                abandon(self._db)
                self._db, self._damaged = None, self._inode
            raise DamagedOutbox(said) from None

    def _connection(self) -> sqlite3.Connection:
        if self._closed:
            raise OutboxError(f"outbox {self.path or 'in memory'} is closed")
        if self._db is not None and not self._db.in_transaction and self._is_elsewhere():
            self._follow(self._db)
        if self._db is None:
            with self._explained():
                self._open()
        assert self._db is not None
        return self._db

    def _open(self, carried_from: sqlite3.Connection | None = None) -> None:
        """Open the file, or the one that takes its place; `_db` is set last."""
        path = self.path
        if path is None:
            self._holder, self._db = MemoryHolder(), connect(None)
            return
        holders = Path(f"{path}.holders")
        with alone_at(path):
            if self._damaged is not None and self._damaged == _inode_of(path):
                db = self._begun_anew(path, "while in use")
            else:
                try:
                    db = connect(path)
                except sqlite3.DatabaseError as error:
                    if not is_damage(error):
                        raise
                    if not was_outbox(path, holders):
                        raise OutboxError(
                            f"{path} is no outbox ({error}): set TUNER_OUTBOX to another file"
                        ) from None
                    db = self._begun_anew(path, str(error))
            self._damaged = None
            if carried_from is not None:
                with transaction(db):
                    records = carry_over(carried_from, db)
                logger.warning(
                    "the outbox %s was moved or deleted while in use: %d calls were carried over",
                    path,
                    records,
                )
            self._inode = _inode_of(path)
        try:
            if not (isinstance(self._holder, FileHolder) and self._holder.is_in_place()):
                self._holder = FileHolder(holders)
        except BaseException:
            db.close()
            raise
        self._db = db

    def _begun_anew(self, path: Path, why: str) -> sqlite3.Connection:
        aside = set_aside(path)
        db = connect(path)
        logger.warning(
            "the outbox %s was damaged (%s): it was set aside as %s, a new one begun, and %d calls saved",
            path,
            why,
            aside.name,
            saved_from(aside, db),
        )
        return db

    def _is_elsewhere(self) -> bool:
        """Whether the file at the path is another one than the open one, or none."""
        return self.path is not None and _inode_of(self.path) != self._inode

    def _follow(self, old: sqlite3.Connection) -> None:
        """Go on with the file at the path, and take along what the old one holds."""
        self._db = None
        try:
            with self._explained():
                self._open(carried_from=old)
        except BaseException:
            self._db = self._db or old
            raise
        abandon(old)


def _inode_of(path: Path) -> tuple[int, int] | None:
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_dev, found.st_ino


_open_files: weakref.WeakSet[OutboxFile] = weakref.WeakSet()
_forking: list[OutboxFile] = []
_fork_lock = threading.Lock()


def _before_fork() -> None:
    _fork_lock.acquire()
    # Those in memory first, in the order in which one is emptied into a file.
    for file in sorted(_open_files, key=lambda file: file.path is not None):
        file.before_fork()
        _forking.append(file)


def _after_fork_in_parent() -> None:
    while _forking:
        _forking.pop().after_fork_in_parent()
    _fork_lock.release()


def _after_fork_in_child() -> None:
    global _fork_lock  # noqa: PLW0603
    _fork_lock = threading.Lock()
    _forking.clear()
    for file in list(_open_files):
        file.after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_before_fork, after_in_parent=_after_fork_in_parent, after_in_child=_after_fork_in_child
    )
