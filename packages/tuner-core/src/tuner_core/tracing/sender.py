"""The thread that posts spans: one for all calls, each call with its own key, none waiting for another."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import httpx

from tuner_core.tracing.call_spans import CallSpans
from tuner_core.tracing.service import CallService

if TYPE_CHECKING:
    from tuner_core.tracing.hub import Hub

IDLE_S = 2.0
"""The thread outlives its last call by this long, so that calls in quick succession share one."""

_KEEP_CONNECTION_S = 60.0


class TraceSender:
    """Serves the calls of a hub until none is left; then its thread ends.

    Args:
        hub: its mutex guards what the threads share.
    """

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self._arrived: deque[CallSpans] = deque()
        self._served: dict[CallSpans, tuple[CallService, asyncio.Task[None]]] = {}
        self._loop: asyncio.AbstractEventLoop | None = None
        self._news: asyncio.Event | None = None
        self._thread: threading.Thread | None = None

    def add(self, call: CallSpans) -> None:
        """Serve a call from here on.

        Raises:
            RuntimeError: the interpreter is shutting down and starts no threads.
        """
        with self._hub.mutex:
            if self._thread is None:
                thread = threading.Thread(target=self._run, name="tuner-traces", daemon=True)
                thread.start()
                self._thread = thread
            self._arrived.append(call)
        self._tell(self._notice)

    def wake(self, call: CallSpans) -> None:
        """Look at a call: it has much to send, or is over."""
        self._tell(self._wake, call)

    def flush(self, timeout_s: float) -> bool:
        """Send what waits; blocks until it is sent, False after `timeout_s` seconds."""
        give_up_at = time.monotonic() + timeout_s
        for call in list(self._served):
            self.wake(call)
        while any(call.waiting or call.in_flight for call in list(self._served)):
            if time.monotonic() > give_up_at:
                return False
            time.sleep(0.01)
        return True

    def _tell(self, function: Callable[..., None], *arguments: Any) -> None:
        loop = self._loop
        if loop is not None:
            with suppress(RuntimeError):  # the loop has ended in the meantime
                loop.call_soon_threadsafe(function, *arguments)

    def _notice(self) -> None:
        if self._news is not None:
            self._news.set()

    def _wake(self, call: CallSpans) -> None:
        if call in self._served:
            self._served[call][0].wake()

    def _run(self) -> None:
        with asyncio.Runner(loop_factory=_Loop) as runner:
            runner.run(self._main())

    async def _main(self) -> None:
        self._news = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        limits = httpx.Limits(keepalive_expiry=_KEEP_CONNECTION_S)
        async with httpx.AsyncClient(follow_redirects=False, limits=limits) as client:
            while await self._has_work(client):
                pass

    async def _has_work(self, client: httpx.AsyncClient) -> bool:
        """Take in what arrived and wait for news; False after a while without any, and `add` starts anew."""
        news = self._news
        assert news is not None
        while self._arrived:
            self._serve(self._arrived.popleft(), client)
        news.clear()
        try:
            async with asyncio.timeout(None if self._served else IDLE_S):
                await news.wait()
        except TimeoutError:
            with self._hub.mutex:
                if not self._arrived:
                    self._thread = self._loop = self._news = None
                    return False
        return True

    def _serve(self, call: CallSpans, client: httpx.AsyncClient) -> None:
        service = CallService(self._hub, call, client)
        task = asyncio.create_task(service.run())
        self._served[call] = service, task

        def over(_: asyncio.Task[None]) -> None:
            del self._served[call]
            self._notice()

        task.add_done_callback(over)


class _Loop(asyncio.SelectorEventLoop):
    """An event loop that looks names up even while the interpreter shuts down and starts no threads."""

    async def getaddrinfo(self, host: Any, port: Any, **options: Any) -> Any:
        try:
            return await super().getaddrinfo(host, port, **options)
        except RuntimeError:
            return socket.getaddrinfo(host, port, **options)
