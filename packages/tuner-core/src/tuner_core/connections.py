"""The connections of a client: kept open between requests, one set for each process and each event loop.

A kept connection is of use only where it was opened. A forked child that wrote to its parent's would mix both
conversations, and an event loop cannot drive another loop's sockets. Clients therefore ask here before each request.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import ssl
import threading
import weakref

import httpx

_CLOSE_WITHIN_S = 2.0


class Connections:
    """Those of a blocking client; for any number of threads.

    Args:
        given: an httpx client of the application, used as it is and never closed here.
    """

    def __init__(self, given: httpx.Client | None = None) -> None:
        self._given = given
        self._own: httpx.Client | None = None
        self._closed = False
        self._mutex = threading.Lock()
        self._inherited: list[httpx.Client] = []
        _all.add(self)

    def client(self) -> httpx.Client:
        """What sends the next request.

        Raises:
            RuntimeError: it was closed.
        """
        if self._given is not None:
            return self._given
        with self._mutex:
            if self._closed:
                raise RuntimeError("the client is closed")
            if self._own is None:
                self._own = httpx.Client(follow_redirects=False)
            return self._own

    def close(self) -> None:
        """Close what was opened here."""
        with self._mutex:
            own, self._own, self._closed = self._own, None, True
        if own is not None:
            own.close()

    def after_fork(self) -> None:
        """In a forked child: leave the parent's connections alone."""
        self._mutex = threading.Lock()
        if self._own is not None:
            # Closing them would say goodbye in the parent's name.
            self._inherited.append(self._own)
            self._own = None


class AsyncConnections:
    """Those of a client for event loops; each loop gets its own, several may run at a time.

    Args:
        given: an httpx client of the application, used as it is and never closed here.
    """

    def __init__(self, given: httpx.AsyncClient | None = None) -> None:
        self._given = given
        self._loop_of_given: weakref.ref[asyncio.AbstractEventLoop] | None = None
        self._own: dict[asyncio.AbstractEventLoop, httpx.AsyncClient] = {}
        self._context: ssl.SSLContext | None = None
        self._closed = False
        self._mutex = threading.Lock()
        self._inherited: list[httpx.AsyncClient] = []
        _all.add(self)

    async def client(self) -> httpx.AsyncClient:
        """What sends the next request of the running loop.

        Raises:
            RuntimeError: it was closed.
        """
        loop = asyncio.get_running_loop()
        if self._given is not None:
            if self._loop_of_given is None:
                self._loop_of_given = weakref.ref(loop)
            return self._given
        if not self._closed and loop not in self._own and self._context is None:
            # Reading the certificates takes tens of milliseconds.
            self._context = await asyncio.to_thread(httpx.create_ssl_context)
        with self._mutex:
            if self._closed:
                raise RuntimeError("the client is closed")
            for gone in [one for one in self._own if one.is_closed()]:
                del self._own[gone]
            if loop not in self._own:
                self._own[loop] = httpx.AsyncClient(verify=self._context or True, follow_redirects=False)
            return self._own[loop]

    @property
    def elsewhere(self) -> bool:
        """Whether the application's httpx client was first used in another loop than the running one."""
        first = self._loop_of_given
        return first is not None and first() is not asyncio.get_running_loop()

    async def aclose(self) -> None:
        """Close what was opened here, in whichever loop it was."""
        with self._mutex:
            own, self._own, self._closed = self._own, {}, True
        here = asyncio.get_running_loop()
        for loop, client in own.items():
            if loop is here:
                await client.aclose()
            elif loop.is_running():
                with contextlib.suppress(RuntimeError, TimeoutError):  # it ends or blocks meanwhile
                    closing = asyncio.run_coroutine_threadsafe(client.aclose(), loop)
                    async with asyncio.timeout(_CLOSE_WITHIN_S):
                        await asyncio.wrap_future(closing)

    def after_fork(self) -> None:
        """In a forked child: leave the parent's connections alone."""
        self._mutex = threading.Lock()
        self._inherited.extend(self._own.values())
        self._own = {}


_all: weakref.WeakSet[Connections | AsyncConnections] = weakref.WeakSet()


def _after_fork() -> None:
    for connections in list(_all):
        connections.after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
