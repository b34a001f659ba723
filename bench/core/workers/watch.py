"""What a worker measures with: how long the event loop is held, how late it is, peak memory."""

from __future__ import annotations

import asyncio
import gc
import threading
import time
import tracemalloc
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

TICK_S = 0.002


class LoopWatch:
    """Times every step of this thread's event loop, whoever asked for it.

    Attributes:
        held_s: seconds of each step so far, by the clock.
        cpu_s: CPU seconds of the same steps.
    """

    def __init__(self) -> None:
        self.held_s: list[float] = []
        self.cpu_s: list[float] = []

    def __enter__(self) -> Self:
        self._plain = plain = asyncio.Handle._run
        own, held_s, cpu_s = threading.get_ident(), self.held_s, self.cpu_s
        clock, cpu_clock = time.perf_counter, time.thread_time

        def timed(handle: asyncio.Handle) -> None:
            if threading.get_ident() != own:  # another thread's loop
                return plain(handle)
            begin, cpu = clock(), cpu_clock()
            plain(handle)
            cpu_s.append(cpu_clock() - cpu)
            held_s.append(clock() - begin)
            return None

        asyncio.Handle._run = timed
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        asyncio.Handle._run = self._plain


class Ticks:
    """A clock in the event loop, as audio has one: how late is it?

    Attributes:
        late_s: seconds by which each tick of 2 ms came too late.
    """

    def __init__(self) -> None:
        self.late_s: list[float] = []

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._run())
        await asyncio.sleep(0)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._task.cancel()

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            due = loop.time() + TICK_S
            await asyncio.sleep(TICK_S)
            self.late_s.append(loop.time() - due)


def cpu_ms(work: Callable[[], Any], *, times: int = 5) -> float:
    """CPU milliseconds of this thread for doing it once, at best; done once before to warm up."""
    work()
    best = float("inf")
    for _ in range(times):
        gc.collect()
        begin = time.thread_time()
        work()
        best = min(best, time.thread_time() - begin)
    return best * 1e3


def peak_mb(work: Callable[[], Any]) -> float:
    """Most megabytes that Python held for it at once, the result included."""
    gc.collect()
    tracemalloc.start()
    try:
        kept = work()
        peak = tracemalloc.get_traced_memory()[1]
        del kept
    finally:
        tracemalloc.stop()
    return peak / 1e6
