"""Changes of the store as Server-Sent Events: what keeps open pages up to date."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncGenerator

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from tuner_core.local.store import Store

_RETRY_MS = 1000
_KEEP_ALIVE_S = 15.0
_HEADERS = {"Cache-Control": "no-store", "X-Accel-Buffering": "no", "X-Content-Type-Options": "nosniff"}


class Changes:
    """Tells every open page that the store has changed; many changes at once are told as one.

    Args:
        store: whose changes are told.

    Attributes:
        closing: set when the server stops.
    """

    def __init__(self, store: Store) -> None:
        self.closing = asyncio.Event()
        self._store = store
        self._lock = threading.Lock()
        self._waiting: dict[asyncio.Event, asyncio.AbstractEventLoop] = {}
        store.database.on_change(self._wake)

    def close(self) -> None:
        """End every stream, and whatever else waits for `closing`. To be called in the server's event loop."""
        self.closing.set()
        self._wake()

    def routes(self) -> list[Route]:
        """Give the route of the stream."""
        return [Route("/local/changes", self.stream, methods=["GET"])]

    async def stream(self, request: Request) -> Response:
        """Answer with a stream of revisions: the present one at once, each later one as it comes."""
        return StreamingResponse(self._events(), media_type="text/event-stream", headers=_HEADERS)

    async def _events(self) -> AsyncGenerator[str]:
        woken = asyncio.Event()
        with self._lock:
            self._waiting[woken] = asyncio.get_running_loop()
        try:
            yield f"retry: {_RETRY_MS}\n{self._event()}"
            while not self.closing.is_set():
                try:
                    await asyncio.wait_for(woken.wait(), _KEEP_ALIVE_S)
                except TimeoutError:
                    yield ": still here\n\n"
                    continue
                woken.clear()
                if not self.closing.is_set():
                    yield self._event()
        finally:
            with self._lock:
                self._waiting.pop(woken, None)

    def _event(self) -> str:
        return f"data: {self._store.revision}\n\n"

    def _wake(self) -> None:
        with self._lock:
            waiting = list(self._waiting.items())
        for event, loop in waiting:
            if not loop.is_closed():
                loop.call_soon_threadsafe(event.set)
