"""Waiting for what another thread settles, within a bound."""

from __future__ import annotations

import asyncio
import time
from concurrent.futures import Future
from typing import TypeVar

_T = TypeVar("_T")


async def waited(source: Future[_T], timeout_s: float) -> _T | None:
    """The result, or None when it does not come in time.

    Unlike `asyncio.wrap_future`, a wait that is cancelled leaves the source alone, and a source that is done after
    the loop was closed disturbs nobody.
    """
    loop, done = asyncio.get_running_loop(), asyncio.Event()

    def wake(_: Future[_T]) -> None:
        try:
            loop.call_soon_threadsafe(done.set)
        except RuntimeError:  # the loop was closed meanwhile
            return

    source.add_done_callback(wake)
    try:
        async with asyncio.timeout(max(timeout_s, 0.0)):
            await done.wait()
    except TimeoutError:
        return source.result() if source.done() else None
    return source.result()


async def held(source: Future[_T], timeout_s: float) -> _T | None:
    """As `waited`, also for a task that is cancelled: it ends when the result is there, or the time is over.

    A loop that closes cancels its tasks and waits for them; then the process may end without another word.
    """
    give_up_at = time.monotonic() + timeout_s
    try:
        return await waited(source, timeout_s)
    except asyncio.CancelledError:
        await waited(source, give_up_at - time.monotonic())
        raise


def blocked(source: Future[_T], timeout_s: float) -> _T | None:
    """As `waited`, for a thread without an event loop."""
    try:
        return source.result(max(timeout_s, 0.0))
    except TimeoutError:
        return None
