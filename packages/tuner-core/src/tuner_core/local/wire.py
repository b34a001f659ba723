"""Answers that are wrong on the wire: none at all, half of one, a reset connection.

ASGI has no words for these, so `TransportProtocol` puts the connection's transport into each request's scope.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from collections.abc import MutableMapping
from typing import Any

from starlette.responses import JSONResponse, Response
from starlette.types import Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from tuner_core.local.faults import Fault

TRANSPORT = "tuner_core.transport"
"""Name of the ASGI extension under which the server gives the connection's transport."""

_LINGER = struct.pack("ii", 1, 0)


class TransportProtocol(H11Protocol):
    """uvicorn's HTTP/1.1 protocol, whose requests know their connection's transport."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take the connection."""
        super().connection_made(transport)
        inner = self.app

        async def app(scope: Any, receive: Any, send: Any) -> None:
            scope.setdefault("extensions", {})[TRANSPORT] = transport
            await inner(scope, receive, send)

        self.app = app


class HangingAnswer(Response):
    """No answer until the client gives up, the seconds are over, or the server stops."""

    def __init__(self, seconds: float, closing: asyncio.Event) -> None:
        super().__init__()
        self._seconds = seconds
        self._closing = closing

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Wait, then close the connection."""
        transport = transport_of(scope)
        gone = asyncio.ensure_future(_disconnected(receive))
        closing = asyncio.ensure_future(self._closing.wait())
        bound = None if self._seconds == float("inf") else self._seconds
        await asyncio.wait({gone, closing}, timeout=bound, return_when=asyncio.FIRST_COMPLETED)
        transport.abort()
        for task in (gone, closing):
            task.cancel()
        await asyncio.wait({gone, closing})
        await _until_closed(receive)


class ResetAnswer(Response):
    """A TCP reset instead of an answer."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Reset the connection."""
        transport = transport_of(scope)
        connection: socket.socket = transport.get_extra_info("socket")
        # With a linger time of zero the kernel sends RST instead of FIN.
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER)
        transport.abort()
        await _until_closed(receive)


class HalfAnswer(Response):
    """The headers of an answer and the first half of its body; then the connection closes."""

    def __init__(self, whole: Response) -> None:
        super().__init__(whole.body, whole.status_code, media_type=whole.media_type)
        self.raw_headers = whole.raw_headers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the half."""
        transport = transport_of(scope)
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        half = bytes(self.body)[: len(self.body) // 2]
        await send({"type": "http.response.body", "body": half, "more_body": True})
        transport.close()
        await _until_closed(receive)


def faulty_status(fault: Fault) -> Response:
    """Give the answer of a `status` fault."""
    headers = {"Retry-After": f"{fault.seconds:g}"} if fault.seconds else None
    return JSONResponse({"detail": f"{fault.name} on purpose (--fault)"}, fault.status, headers)


def broken(fault: Fault, whole: Response, closing: asyncio.Event) -> Response:
    """Give what is played instead of the `whole` answer; `closing` is set when the server stops."""
    match fault.kind:
        case "status":
            return faulty_status(fault)
        case "hang":
            return HangingAnswer(fault.seconds, closing)
        case "reset" | "take-and-reset":
            return ResetAnswer()
        case "half":
            return HalfAnswer(whole)
        case "slow":
            return whole


def transport_of(scope: MutableMapping[str, Any]) -> asyncio.Transport:
    """Give the transport of a request's connection.

    Raises:
        RuntimeError: the application runs under a server that does not tell.
    """
    try:
        return scope["extensions"][TRANSPORT]
    except KeyError:
        raise RuntimeError("faults on the wire need the server of tuner_core.local.server") from None


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _until_closed(receive: Receive) -> None:
    """Return when the server has seen that the connection is closed, so that it tries no answer of its own."""
    with contextlib.suppress(asyncio.TimeoutError):
        await asyncio.wait_for(_disconnected(receive), 5.0)
