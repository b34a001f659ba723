"""A record that is on disk already and waits for its recording's URL before it is sent."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any, cast

from tuner_core.recordings.source import UrlSource, known_url, url_future
from tuner_core.records import CallRecord

_RENEW_EVERY_S = 20.0


@dataclass(frozen=True, slots=True)
class LateUrl:
    """What a record waits for.

    Attributes:
        url: done when the URL is known, or known not to come.
        wait_s: the longest wait, in seconds from the hand-over.
    """

    url: Future[str | None] = field(repr=False)
    wait_s: float

    async def wait(self, *, keep: Callable[[], object], hurry: asyncio.Event) -> str | None:
        """The URL, or None when the bound is over first.

        Args:
            keep: called now and then, to keep the record's lease.
            hurry: ends the wait early.
        """
        loop = asyncio.get_running_loop()
        known, give_up_at = asyncio.Event(), loop.time() + self.wait_s

        def told(_: Future[str | None]) -> None:
            try:
                loop.call_soon_threadsafe(known.set)
            except RuntimeError:  # the loop was closed meanwhile
                return

        self.url.add_done_callback(told)
        waits: set[asyncio.Task[bool]] = {
            asyncio.create_task(known.wait()),
            asyncio.create_task(hurry.wait()),
        }
        try:
            while (left := give_up_at - loop.time()) > 0:
                done, _ = await asyncio.wait(
                    waits, timeout=min(left, _RENEW_EVERY_S), return_when=asyncio.FIRST_COMPLETED
                )
                if done:
                    break
                keep()
        finally:
            for wait in waits:
                wait.cancel()
        return self.known()

    def known(self) -> str | None:
        """The URL when it is known by now."""
        if not self.url.done() or self.url.cancelled() or self.url.exception() is not None:
            return None
        return self.url.result()


def with_url(record: CallRecord | Mapping[str, Any], url: str | None) -> CallRecord | Mapping[str, Any]:
    """The record with a recording's URL, unless there is none."""
    if url is None:
        return record
    if isinstance(record, CallRecord):
        return record.model_copy(update={"recording_url": url})
    # What is neither is told by `conform`.
    given: Any = record
    return (
        {**cast("Mapping[str, Any]", given), "recording_url": url} if isinstance(given, Mapping) else record
    )


def late_url(source: UrlSource, wait_s: float) -> LateUrl:
    """Ask a source for its URL from now on: in the running event loop, or in a thread where there is none.

    Args:
        source: a function, an awaitable or a future.
        wait_s: the longest wait, in seconds.
    """
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:
        return LateUrl(url_future(source), wait_s)
    url: Future[str | None] = Future()

    async def ask() -> None:
        found: str | None = None
        try:
            found = await known_url(source, wait_s=wait_s)
        finally:
            # Also when the loop is closing: the record goes on without the URL then.
            url.set_result(found)

    _tasks.add(task := loop.create_task(ask(), name="tuner_recording_url"))
    task.add_done_callback(_tasks.discard)
    return LateUrl(url, wait_s)


_tasks: set[Awaitable[None]] = set()
"""Event loops refer to their tasks weakly."""
