"""Who holds a lease, and whether that process still lives.

Every process that uses an outbox keeps an exclusive lock on a small file beside it. The kernel drops the lock when
the process dies, however it dies, so a lease of a dead process is free at once and not only when it expires. Where
there are no such locks, expiry alone decides.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import sys
from pathlib import Path
from typing import Protocol

if sys.platform != "win32":
    import fcntl


class Holder(Protocol):
    """The living identity of this process at one outbox."""

    @property
    def id(self) -> str:
        """Unique among all processes that ever used the outbox."""
        ...

    def is_alive(self, holder_id: str) -> bool:
        """False only when the process of that id is certainly gone."""
        ...

    def close(self) -> None:
        """Give the identity up."""
        ...


class MemoryHolder:
    """For an outbox in memory, which no other process sees."""

    id = "memory"

    def is_alive(self, holder_id: str) -> bool:
        """True for itself."""
        return holder_id == self.id

    def close(self) -> None:
        """Nothing to give up."""


class FileHolder:
    """A holder known by a locked file.

    Args:
        directory: where the holders of one outbox keep their files; made when missing.

    Raises:
        OSError: the directory cannot be written.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.id = f"{os.getpid()}-{secrets.token_hex(8)}"
        self._descriptor = os.open(self._path(self.id), os.O_RDWR | os.O_CREAT, 0o600)
        _lock(self._descriptor)

    def is_alive(self, holder_id: str) -> bool:
        """Whether the process still holds its lock; files of the dead are cleared away on the way."""
        if holder_id == self.id:
            return True
        path = self._path(holder_id)
        try:
            descriptor = os.open(path, os.O_RDWR)
        except FileNotFoundError:
            return False
        except OSError:
            return True
        try:
            if not _lock(descriptor):
                return True
            with contextlib.suppress(OSError):
                path.unlink()
            return False
        finally:
            os.close(descriptor)

    def is_in_place(self) -> bool:
        """Whether others can still see that this process lives: not when somebody deleted the directory."""
        return self._path(self.id).exists()

    def close(self) -> None:
        """Remove the file; leases under this id are free from now on."""
        with contextlib.suppress(OSError):
            self._path(self.id).unlink()
        self.forget()

    def forget(self) -> None:
        """Close the file without removing it: what a forked child does with its parent's."""
        with contextlib.suppress(OSError):
            os.close(self._descriptor)

    def _path(self, holder_id: str) -> Path:
        return self._directory / f"{Path(holder_id).name}.lock"


def _lock(descriptor: int) -> bool:
    """Take the lock without waiting; False when somebody has it or the platform has no such locks."""
    if sys.platform == "win32":
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
