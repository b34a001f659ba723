"""What processes cost, read from /proc: exact run times of every thread, in nanoseconds, kernel time included."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

PROC = Path("/proc")
_TICKS = os.sysconf("SC_CLK_TCK")


def tree(root: int) -> list[int]:
    """Process `root` and all that descend from it."""
    children: dict[int, list[int]] = defaultdict(list)
    for entry in PROC.iterdir():
        if entry.name.isdigit():
            fields = _stat(entry)
            if fields:
                children[int(fields[1])].append(int(entry.name))
    found = [root]
    for process in found:
        found += children[process]
    return found


def cpu_seconds(processes: Collection[int], *, without_threads: Collection[int] = ()) -> float:
    """CPU seconds that the live threads of some processes have used so far.

    Args:
        processes: their ids.
        without_threads: threads to leave out.
    """
    total = 0.0
    for process in processes:
        tasks = PROC / str(process) / "task"
        try:
            threads = [int(name) for name in os.listdir(tasks)]
        except OSError:
            continue
        total += sum(
            _thread_seconds(tasks / str(thread)) for thread in threads if thread not in without_threads
        )
    return total


def _thread_seconds(task: Path) -> float:
    try:
        return int((task / "schedstat").read_text().split()[0]) / 1e9
    except OSError:  # the kernel keeps no schedstat, or the thread is gone
        fields = _stat(task)
        return (int(fields[11]) + int(fields[12])) / _TICKS if fields else 0.0


def _stat(directory: Path) -> list[str] | None:
    """Fields of `stat` from the state on (the name before it may hold anything)."""
    try:
        return (directory / "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None


@dataclass(frozen=True, slots=True)
class MachineTime:
    """CPU seconds of the whole machine so far.

    Attributes:
        busy: spent on anything but idling, time stolen by the host included.
        all: spent altogether, on every core.
    """

    busy: float
    all: float

    @classmethod
    def now(cls) -> MachineTime:
        """Read it."""
        ticks = [int(field) for field in (PROC / "stat").read_text().split("\n", 1)[0].split()[1:9]]
        idle = ticks[3] + ticks[4]
        return cls((sum(ticks) - idle) / _TICKS, sum(ticks) / _TICKS)


@contextmanager
def on_cores(cores: Collection[int]) -> Iterator[None]:
    """What is started inside runs on these cores."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def split_cores(*, pinned: bool) -> tuple[set[int], set[int]]:
    """Cores for the dialer and for the far end: all for both, or, `pinned`, the last for the far end alone."""
    cores = sorted(os.sched_getaffinity(0))
    return (set(cores[:-1]), {cores[-1]}) if pinned and len(cores) > 1 else (set(cores), set(cores))
