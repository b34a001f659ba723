"""Sends one call's spans, from its first to its last; runs in the sending thread's loop."""

from __future__ import annotations

import asyncio
import logging
import random
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import httpx

from tuner_core.http import RetryPolicy
from tuner_core.tracing.call_spans import FULL_BATCH, CallSpans, SpanKey
from tuner_core.tracing.posting import Posted, post_spans

if TYPE_CHECKING:
    from tuner_core.tracing.hub import Hub

logger = logging.getLogger("tuner_core.tracing")

SEND_EVERY_S = 5.0
"""Longest wait of an ended span while its call runs and the endpoint answers."""

_RETRY = RetryPolicy(base_s=0.5, cap_s=15.0)
_LAST_WAIT_S = 1.0


class CallService:
    """Posts what a call has waiting, until the call is over and everything is sent or given up.

    Args:
        hub: told when that is so; its mutex guards the call's state.
        call: the call.
        client: shared with the other calls.
    """

    def __init__(self, hub: Hub, call: CallSpans, client: httpx.AsyncClient) -> None:
        self._hub = hub
        self._call = call
        self._client = client
        self._news = asyncio.Event()
        self._over = asyncio.Event()
        self._scope: asyncio.Timeout | None = None
        self._size = FULL_BATCH

    def wake(self) -> None:
        """There is much to send, a span has ended late, or the call is over; in the loop's thread."""
        self._news.set()
        if self._call.closing and not self._over.is_set():
            self._over.set()
            if self._scope is not None:
                self._scope.reschedule(asyncio.get_running_loop().time() + self._call.deadline_s)

    async def run(self) -> None:
        """Send until the call is over and its deadline has passed or nothing is left; then release it."""
        call, why = self._call, ""
        try:
            async with asyncio.timeout(None) as self._scope:
                await self._send_until_over()
        except TimeoutError:
            why = f"not sent within {call.deadline_s:g} s of the end of the call"
        except Exception as error:
            why = f"{type(error).__name__} while sending"
            logger.error("spans of call %s are not sent any more, by %s", call.call_id, type(error).__name__)
        finally:
            with self._hub.mutex:
                call.drop(len(call.waiting), why)
                call.waiting.clear()
                self._hub.release(call)

    async def _send_until_over(self) -> None:
        if self._call.closing:
            self.wake()
        while not self._over.is_set():
            await _wait(self._news, SEND_EVERY_S)
            self._news.clear()
            await self._send_all()
        await self._await_open_spans()
        await self._send_all()

    async def _await_open_spans(self) -> None:
        """The call's last spans end a little after the call does."""
        loop, call = asyncio.get_running_loop(), self._call
        give_up_at = loop.time() + call.grace_s
        while call.open > 0 and (left := give_up_at - loop.time()) > 0:
            self._news.clear()
            if call.open > 0:
                await _wait(self._news, left)

    async def _send_all(self) -> None:
        attempt = 0
        while self._call.waiting:
            with self._hub.mutex:
                batch = self._call.take(self._size)
                self._call.in_flight = len(batch)
            posted = Posted("later")
            try:
                posted = await post_spans(self._client, self._call, batch)
            finally:
                with self._hub.mutex:
                    self._call.in_flight = 0
                    self._account(batch, posted)
            if posted.verdict == "later":
                attempt += 1
                await self._rest(posted.wait_s + _RETRY.wait_s(attempt, None, random.random()))
            else:
                attempt = 0

    def _account(self, batch: list[tuple[SpanKey, Any]], posted: Posted) -> None:
        call = self._call
        match posted.verdict:
            case "taken":
                call.sent += len(batch) - posted.rejected
                call.drop(posted.rejected, "rejected by the traces endpoint")
            case "never":
                call.drop(len(batch), posted.why)
                call.refuse(posted.why)
            case "smaller" if len(batch) == 1:
                call.drop(1, posted.why)
            case "smaller":
                self._size = max(len(batch) // 2, 1)
                call.take_back(batch)
            case "later":
                call.take_back(batch)
                call.problem = posted.why or call.problem

    async def _rest(self, wait_s: float) -> None:
        """Leave the endpoint alone for a while; a call that is over has not long to wait."""
        if self._over.is_set():
            await asyncio.sleep(min(wait_s, _LAST_WAIT_S))
        else:
            await _wait(self._over, wait_s)


async def _wait(event: asyncio.Event, timeout_s: float) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(timeout_s):
            await event.wait()
