"""Bridging: the identity waits at the webhook until the websocket of the same call asks for it.

For providers that let nothing travel from one to the other but their own id of the call. One process keeps it
in memory (`PendingCalls`); several share it in Redis (`RedisPendingCalls`).
"""

from __future__ import annotations

import asyncio
import functools
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import TypeVar

from tuner_core.identity.model import SipIdentity

T = TypeVar("T")

TTL_S = 300.0
"""How long an identity waits: longer than any call rings, and no longer than it must."""

MAX_CALLS = 10_000
WAIT_S = 1.0
_LOOK_EVERY_S = 0.02


class PendingTable:
    """Identities by the provider's id of the call, for a time and up to a number. Pure: `now` is an argument.

    Args:
        ttl_s: seconds that an identity may wait.
        max_calls: how many may wait; one more pushes out the oldest.
    """

    def __init__(self, *, ttl_s: float, max_calls: int) -> None:
        self._ttl_s = ttl_s
        self._max_calls = max_calls
        self._waiting: dict[str, tuple[float, SipIdentity]] = {}

    def __len__(self) -> int:
        return len(self._waiting)

    def put(self, key: str, identity: SipIdentity, now: float) -> None:
        """Keep `identity`; a later one for the same call replaces it and starts its time anew."""
        self._waiting.pop(key, None)
        self._waiting[key] = (now + self._ttl_s, identity)
        self._forget(now)

    def take(self, key: str, now: float) -> SipIdentity | None:
        """Hand over what waits for this call, once; None when nothing does or its time is over."""
        self._forget(now)
        _, identity = self._waiting.pop(key, (0.0, None))
        return identity

    def _forget(self, now: float) -> None:
        # Every entry lives equally long, so the first in is the first to go.
        while self._waiting:
            key = next(iter(self._waiting))
            if self._waiting[key][0] > now and len(self._waiting) <= self._max_calls:
                return
            del self._waiting[key]


class PendingStore(ABC):
    """Puts an identity down at the webhook and takes it up at the websocket; never raises into the call."""

    def put(self, identity: SipIdentity, *, provider_call_id: str | None = None) -> bool:
        """Keep what the webhook showed.

        Args:
            identity: what `resolve` found there.
            provider_call_id: the id that the websocket will name; by default the one in `identity`.

        Returns:
            False when there is nothing to keep: no linking value, or no id to keep it under.
        """
        key = provider_call_id or identity.provider_call_id
        if not key or not identity.links:
            return False
        self._put(key, identity)
        return True

    async def aput(self, identity: SipIdentity, *, provider_call_id: str | None = None) -> bool:
        """`put` without holding up the event loop."""
        return await self._off_the_loop(
            functools.partial(self.put, identity, provider_call_id=provider_call_id)
        )

    def take(self, provider_call_id: str, *, wait_s: float = WAIT_S) -> SipIdentity | None:
        """What was put down for this call, once.

        Args:
            provider_call_id: the provider's own id of the call, as its websocket names it.
            wait_s: how long to wait for a webhook that comes later than its websocket; 0 looks once.

        Returns:
            None when nothing came in that time.
        """
        until = time.monotonic() + wait_s
        while True:
            identity = self._take(provider_call_id)
            left_s = until - time.monotonic()
            if identity is not None or left_s <= 0:
                return identity
            time.sleep(min(_LOOK_EVERY_S, left_s))

    async def atake(self, provider_call_id: str, *, wait_s: float = WAIT_S) -> SipIdentity | None:
        """`take` without holding up the event loop."""
        until = time.monotonic() + wait_s
        while True:
            identity = await self._off_the_loop(functools.partial(self._take, provider_call_id))
            left_s = until - time.monotonic()
            if identity is not None or left_s <= 0:
                return identity
            await asyncio.sleep(min(_LOOK_EVERY_S, left_s))

    async def _off_the_loop(self, step: Callable[[], T]) -> T:
        """Run `step`; a store whose steps may block gives them to a thread."""
        return step()

    @abstractmethod
    def _put(self, key: str, identity: SipIdentity) -> None: ...

    @abstractmethod
    def _take(self, key: str) -> SipIdentity | None: ...


class PendingCalls(PendingStore):
    """A pending store in the memory of this process; webhook and websocket must reach the same one.

    Safe to use from several threads and event loops.

    Args:
        ttl_s: seconds that an identity waits for its websocket.
        max_calls: how many may wait; one more pushes out the oldest.
    """

    def __init__(self, *, ttl_s: float = TTL_S, max_calls: int = MAX_CALLS) -> None:
        self._table = PendingTable(ttl_s=ttl_s, max_calls=max_calls)
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._table)

    def _put(self, key: str, identity: SipIdentity) -> None:
        with self._lock:
            self._table.put(key, identity, time.monotonic())

    def _take(self, key: str) -> SipIdentity | None:
        with self._lock:
            return self._table.take(key, time.monotonic())
