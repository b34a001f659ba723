"""The thread that stores records and sends them.

It has an event loop of its own, so that neither storing nor sending touches the application's: a record goes on
being delivered while that loop is busy, about to close, or gone.
"""

from __future__ import annotations

import asyncio
import math
import threading
from collections import deque
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from contextlib import suppress
from typing import Any, TypeVar

from tuner_core.config import TunerConfig
from tuner_core.delivery.dispatch import Dispatch, logger
from tuner_core.delivery.handover import Handover, News
from tuner_core.delivery.sink import DeliveryOutcome
from tuner_core.errors import OutboxError
from tuner_core.http import TIMEOUT_S, RetryPolicy
from tuner_core.outbox.parcels import OutboxStatus
from tuner_core.redaction import Redaction

OWN_LANE = RetryPolicy(max_attempts=6)
"""Tries for a record of this process before it waits with the others."""

_STOP_MARGIN_S = 5.0
_BEGIN_AGAIN_S = 30.0
_AT_MOST_BEHIND = 31
_Item = TypeVar("_Item", Handover, News)


class Courier:
    """Works from its first hand-over until `stop`; a stopped one takes nothing more.

    Args:
        config: where records go, and the key.
        retry: tries and waits of a record of this process.
        timeout_s: seconds for one try.
        redaction: applied before anything is stored.
    """

    def __init__(
        self,
        config: TunerConfig,
        *,
        retry: RetryPolicy = OWN_LANE,
        timeout_s: float = TIMEOUT_S,
        redaction: Redaction | None = None,
    ) -> None:
        self._config = config
        self._retry = retry
        self._timeout_s = timeout_s
        self._redaction = redaction
        # Reentrant: a finalizer may stop a courier from inside one of its own methods.
        self._mutex = threading.RLock()
        self._inbox: deque[Handover | News | Future[OutboxStatus]] = deque()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._news: asyncio.Event | None = None
        self._thread: threading.Thread | None = None
        self._stop_within_s: float | None = None
        self._stopped = threading.Event()

    def start(self) -> None:
        """Start the thread, unless it runs.

        Raises:
            RuntimeError: the interpreter is shutting down and starts no threads.
        """
        with self._mutex:
            if self._thread is None:
                thread = threading.Thread(target=self._run, name="tuner-courier", daemon=True)
                thread.start()
                self._thread = thread

    def submit(self, item: Handover | News | Future[OutboxStatus]) -> bool:
        """Take over a record, news of a call, or a wish to drain, from any thread; False when this courier is stopping.

        Raises:
            RuntimeError: the interpreter is shutting down and starts no threads.
        """
        self.start()
        with self._mutex:
            if self._stop_within_s is not None or self._stopped.is_set():
                return False
            self._inbox.append(item)
        self._notice()
        return True

    def stop(self, deadline_s: float, *, wait: bool = True) -> None:
        """Store what was handed over, let tries in progress end within `deadline_s` seconds, and stop.

        Args:
            deadline_s: for the tries, in seconds.
            wait: return when it has stopped; otherwise at once.
        """
        with self._mutex:
            self._stop_within_s = min(
                max(deadline_s, 0.0), math.inf if self._stop_within_s is None else self._stop_within_s
            )
            if self._thread is None:
                return
        self._notice()
        if wait:
            self._stopped.wait(deadline_s + _STOP_MARGIN_S)

    def _notice(self) -> None:
        with self._mutex:
            loop, news = self._loop, self._news
        if loop is not None and news is not None:
            with suppress(RuntimeError):  # the loop has ended in the meantime
                loop.call_soon_threadsafe(news.set)

    def _run(self) -> None:
        try:
            asyncio.run(self._main())
        except Exception as error:
            logger.error(
                "delivery stopped by %s; what is on disk waits for the next start", type(error).__name__
            )
        finally:
            self._end()

    async def _main(self) -> None:
        dispatch = Dispatch(
            self._config, retry=self._retry, timeout_s=self._timeout_s, redaction=self._redaction
        )
        background = [
            asyncio.create_task(dispatch.warm_up()),
            asyncio.create_task(_without_end(dispatch.send_leftovers)),
            asyncio.create_task(_without_end(dispatch.send_recordings)),
        ]
        try:
            await self._serve(dispatch)
        finally:
            for task in background:
                task.cancel()
            await asyncio.gather(*background, return_exceptions=True)
            await dispatch.wind_up(self._stop_within_s or 0.0)
            await dispatch.close()
            self._end()

    async def _serve(self, dispatch: Dispatch) -> None:
        news = asyncio.Event()
        with self._mutex:
            self._loop, self._news = asyncio.get_running_loop(), news
        while True:
            while self._inbox:
                item = self._inbox.popleft()
                if isinstance(item, News):
                    _note(dispatch, [item, *self._further(News)])
                elif isinstance(item, Handover):
                    _take(dispatch, [item, *self._further(Handover)])
                else:
                    dispatch.drain(item)
                await asyncio.sleep(0)
            if self._stop_within_s is not None:
                return
            await news.wait()
            news.clear()

    def _further(self, kind: type[_Item]) -> list[_Item]:
        """What waits behind an item of its kind: it is stored with it, in one commit."""
        further: list[_Item] = []
        while len(further) < _AT_MOST_BEHIND and self._inbox and isinstance(self._inbox[0], kind):
            item = self._inbox.popleft()
            assert isinstance(item, kind)
            further.append(item)
        return further

    def _end(self) -> None:
        """Take nothing more, and answer whoever still waits."""
        with self._mutex:
            self._stopped.set()
            left = list(self._inbox)
            self._inbox.clear()
        for item in left:
            if isinstance(item, Handover):
                item.settle(DeliveryOutcome("pending", detail="not stored: delivery had stopped"))
            elif isinstance(item, Future):
                item.set_exception(OutboxError("the delivery was closed"))


def _take(dispatch: Dispatch, handovers: list[Handover]) -> None:
    """Take records in; an odd one must not stop the others."""
    try:
        dispatch.take(handovers)
    except Exception as error:
        if len(handovers) > 1:
            for handover in handovers:
                if not handover.stored.done():
                    _take(dispatch, [handover])
            return
        logger.error("a call was not stored, by %s", type(error).__name__)
        handovers[0].settle(DeliveryOutcome("refused", detail=f"not stored, by {type(error).__name__}"))


def _note(dispatch: Dispatch, news: list[News]) -> None:
    """Keep what became known of running calls; an odd value must not stop the others."""
    try:
        dispatch.note(news)
    except Exception as error:
        logger.error("what happened in a call was not noted, by %s", type(error).__name__)


async def _without_end(work: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Begin again what should have gone on: a process may live for months."""
    while True:
        try:
            await work()
        except Exception as error:
            logger.error(
                "sending what waits in the outbox broke off, by %s; it begins again in %g s",
                type(error).__name__,
                _BEGIN_AGAIN_S,
            )
        await asyncio.sleep(_BEGIN_AGAIN_S)
