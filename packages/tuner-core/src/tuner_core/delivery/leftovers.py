"""Sending what no lane carries: what earlier processes left, and what failed too often in its lane."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from typing import Any, TypeAlias

from tuner_core.delivery.boxes import Boxes
from tuner_core.delivery.pace import Pace
from tuner_core.delivery.uploading import Uploading
from tuner_core.errors import OutboxError, TunerError
from tuner_core.outbox.parcels import OutboxStatus, Parcel
from tuner_core.outbox.store import Outbox

_AT_ONCE = 4
_LOOK_AGAIN_S = 2.0
_SHORTEST_WAIT_S = 0.1

Send: TypeAlias = Callable[[Outbox, Parcel], Coroutine[Any, Any, TunerError | None]]


class Leftovers:
    """Runs in the courier's event loop until cancelled.

    Args:
        boxes: where records wait.
        uploading: carries recordings; a drain waits for them too.
        send: tries a record once and, when that fails or is cancelled, gives the lease back; the error when another
            try may help.
        due: set when something may be due sooner than it was.
    """

    def __init__(self, boxes: Boxes, uploading: Uploading, send: Send, due: asyncio.Event) -> None:
        self._boxes = boxes
        self._uploading = uploading
        self._send = send
        self._pace = Pace(_AT_ONCE)
        self._drains: list[Future[OutboxStatus]] = []
        self._due = due
        self._hope = asyncio.Event()

    def hope(self) -> None:
        """The API has answered somebody."""
        self._hope.set()

    def drain(self, done: Future[OutboxStatus]) -> None:
        """Send what is pending without waiting for its turn; answer `done` when nothing is pending any more."""
        self._drains.append(done)
        self._uploading.drain(hurry=True)
        self._due.set()
        self._hope.set()

    def close(self) -> None:
        """Answer who still waits for a drain."""
        for drain in self._drains:
            drain.set_exception(OutboxError("the delivery was closed"))

    async def run(self) -> None:
        """Send until cancelled. The first round does not wait for anything's turn."""
        under_way: set[asyncio.Task[TunerError | None]] = set()
        hurry = True
        try:
            while True:
                self._due.clear()
                self._boxes.mend()
                self._boxes.recover()
                room = self._pace.at_once - len(under_way)
                claimed = self._boxes.claimed(room, hurry=hurry or bool(self._drains)) if room > 0 else []
                under_way |= {asyncio.create_task(self._send(box, parcel)) for box, parcel in claimed}
                if not under_way:
                    hurry = False
                    # Not before everything had its try: what is too old may still get through.
                    self._boxes.tidy()
                    await self._wait_until_due()
                    continue
                ended, under_way = await asyncio.wait(
                    under_way, timeout=_LOOK_AGAIN_S, return_when=asyncio.FIRST_COMPLETED
                )
                pause = self._learn(ended)
                hurry = hurry and not any(task.result() for task in ended)
                if pause:
                    await self._pause(pause)
        finally:
            for task in under_way:
                task.cancel()
            await asyncio.gather(*under_way, return_exceptions=True)

    def _learn(self, ended: set[asyncio.Task[TunerError | None]]) -> float:
        """Tell the pace what became of records; the longest pause that it asks for."""
        pause = 0.0
        for error in (task.result() for task in ended):
            if error is None:
                self._pace.answered()
            else:
                pause = max(pause, self._pace.failed(error, random.random()))
        return pause

    async def _pause(self, wait_s: float) -> None:
        """Send nothing for a while, unless the API answers a lane or somebody wants to drain meanwhile."""
        self._hope.clear()
        if await _within(min(wait_s, _LOOK_AGAIN_S) if self._drains else wait_s, self._hope):
            self._pace.answered()

    async def _wait_until_due(self) -> None:
        due = self._boxes.next_due()
        if due is None and self._uploading.next_due() is None:
            self._answer_drains()
        # Who drains wants to know soon what other processes, which cannot wake this one, have sent.
        longest = _SHORTEST_WAIT_S if self._drains else _LOOK_AGAIN_S
        wait = longest if due is None else due - time.time()
        await _within(min(max(wait, _SHORTEST_WAIT_S), longest), self._due)

    def _answer_drains(self) -> None:
        drains, self._drains = self._drains, []
        self._uploading.drain(hurry=False)
        for drain in drains:
            try:
                drain.set_result(self._boxes.status())
            except OutboxError as error:
                drain.set_exception(error)


async def _within(wait_s: float, event: asyncio.Event) -> bool:
    """Wait for an event; False when the time is over first."""
    try:
        async with asyncio.timeout(wait_s):
            await event.wait()
    except TimeoutError:
        return False
    return True
