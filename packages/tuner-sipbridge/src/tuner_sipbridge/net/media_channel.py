"""A one-reader queue that ends: how a stream's events and frames reach the application."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from typing import Generic, TypeVar

T = TypeVar("T")


class Channel(AsyncIterator[T], Generic[T]):
    """Items put in come out in order; after `end` and the last item, iteration stops.

    Waiting for an item may be cancelled without losing one.
    """

    def __init__(self, most: int | None = None) -> None:
        """With `most`, the oldest items make room for new ones."""
        self._items: deque[T] = deque(maxlen=most)
        self._ended = False
        self._changed = asyncio.Event()

    def put(self, item: T) -> None:
        """Append an item; ignored after `end`."""
        if not self._ended:
            self._items.append(item)
            self._changed.set()

    def end(self) -> None:
        """No item follows."""
        self._ended = True
        self._changed.set()

    async def __anext__(self) -> T:
        while not self._items:
            if self._ended:
                raise StopAsyncIteration
            self._changed.clear()
            await self._changed.wait()
        return self._items.popleft()
