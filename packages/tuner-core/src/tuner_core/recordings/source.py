"""A recording's URL that is known only some time after the call: asked for once, waited for up to a bound.

Recorders tell their URL late, by a callback or a poll. Create Call takes a call's URL once and for ever (`call_id` is
immutable), so whoever wants the real one in the record waits before the record is sent.
"""

from __future__ import annotations

import asyncio
import contextvars
import functools
import inspect
import logging
import threading
from collections.abc import Awaitable, Callable, Coroutine
from concurrent.futures import Future
from typing import Any, TypeAlias, cast

logger = logging.getLogger("tuner_core.recordings")

WAIT_S = 2.0
"""How long a URL is waited for unless told otherwise, in seconds."""

UrlSource: TypeAlias = (
    str | Awaitable[str | None] | Callable[[], str | Awaitable[str | None] | None] | Future[str | None] | None
)
"""A URL, something to await that gives it, or a function without arguments that gives either.

A coroutine function runs in the event loop. Any other function runs in a thread of its own, so one that blocks, such
as a plain HTTP request, holds nobody up. Futures of `asyncio` and of `concurrent.futures` are waited for and never
cancelled: they are yours.
"""

OnError: TypeAlias = Callable[[Exception], None]


async def known_url(
    source: UrlSource, *, wait_s: float = WAIT_S, on_error: OnError | None = None
) -> str | None:
    """The recording's URL when `source` tells it in time, else None. Never raises, but for its own cancellation.

    A source that raises, gives something else than text, or is not done after `wait_s` seconds gives None, and the
    reason goes to `on_error`. A source that ignores its cancellation is left behind, not waited for.

    Args:
        source: the URL or where it comes from.
        wait_s: longest wait, in seconds.
        on_error: told why there is no URL, once; a warning without content in the log when omitted.
    """
    if source is None or isinstance(source, str):
        return source or None
    try:
        return await _in_time(_told(source), wait_s)
    except Exception as error:
        _note(error, on_error)
        return None


def known_url_sync(
    source: UrlSource, *, wait_s: float = WAIT_S, on_error: OnError | None = None
) -> str | None:
    """As `known_url`, for code without an event loop; blocks the calling thread.

    What has to be awaited is awaited in an event loop of its own, in a thread of its own.
    """
    if source is None or isinstance(source, str):
        return source or None
    try:
        return url_future(source).result(max(wait_s, 0.0))
    except Exception as error:
        _note(error, on_error)
    return None


def url_future(source: UrlSource) -> Future[str | None]:
    """The URL as a future that any thread can wait for; what `source` is gets going at once, in its own thread.

    Args:
        source: as for `known_url`; a future of `asyncio` belongs to its loop and cannot be given here.

    Returns:
        The URL or None; it raises what the source raised.
    """
    told: Future[str | None] = Future()

    def ask() -> None:
        try:
            told.set_result(asyncio.run(_told(source)))
        except BaseException as error:
            told.set_exception(error if isinstance(error, Exception) else RuntimeError(type(error).__name__))

    _start(ask)
    return told


async def _in_time(work: Coroutine[Any, Any, str | None], wait_s: float) -> str | None:
    """The result of `work` within `wait_s` seconds. Unlike `asyncio.wait_for`, it returns even when `work` does not."""
    task = asyncio.ensure_future(work)
    task.add_done_callback(_forget)
    try:
        done, _ = await asyncio.wait({task}, timeout=max(wait_s, 0.0))
    except asyncio.CancelledError:
        task.cancel()
        raise
    if not done:
        task.cancel()
        raise _late(wait_s)
    if task.cancelled():
        raise RuntimeError("the source was cancelled")
    return task.result()


async def _told(source: Any) -> str | None:
    value = source
    if callable(source) and not isinstance(source, asyncio.Future):
        value = source() if _is_async(source) else await _in_thread(source)
    if isinstance(value, Future):
        value = asyncio.wrap_future(cast("Future[Any]", value))
    if inspect.isawaitable(value):
        value = await (asyncio.shield(value) if isinstance(value, asyncio.Future) else value)
    if value is None or isinstance(value, str):
        return value or None
    raise TypeError(f"a recording URL is text, not {type(value).__name__}")


def _is_async(source: Callable[..., Any]) -> bool:
    while isinstance(source, functools.partial):
        source = cast("functools.partial[Any]", source).func
    called = source if inspect.isroutine(source) else type(source).__call__
    return inspect.iscoroutinefunction(called)


async def _in_thread(function: Callable[[], Any]) -> Any:
    """Like `asyncio.to_thread`, in a daemon thread: one that hangs holds up neither loop nor process at their end."""
    result: Future[Any] = Future()
    context = contextvars.copy_context()

    def call() -> None:
        try:
            value = context.run(function)
        except BaseException as error:
            reason = error if isinstance(error, Exception) else RuntimeError(type(error).__name__)
            _answer(result, lambda: result.set_exception(reason))
        else:
            _answer(result, lambda: result.set_result(value))

    _start(call)
    return await asyncio.wrap_future(result)


def _answer(result: Future[Any], answer: Callable[[], None]) -> None:
    """Answer a future unless its waiter has gone, or its loop has."""
    try:
        if result.set_running_or_notify_cancel():
            answer()
    except RuntimeError:
        return


def _start(work: Callable[[], None]) -> None:
    threading.Thread(target=work, name="tuner-recording-url", daemon=True).start()


def _forget(task: asyncio.Task[Any]) -> None:
    """Take the exception of a task that nobody waits for any more, so that asyncio does not log it."""
    if not task.cancelled():
        task.exception()


def _late(wait_s: float) -> TimeoutError:
    return TimeoutError(f"the recording URL was not known within {wait_s:g} s")


def _note(error: Exception, on_error: OnError | None) -> None:
    if on_error is None:
        # The message could quote the URL, and with it a signature.
        logger.warning("no recording URL: its source failed with %s", type(error).__name__)
        return
    try:
        on_error(error)
    except Exception as second:
        logger.error("%s in on_error", type(second).__name__)
