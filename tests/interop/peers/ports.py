"""Ports of the loopback for peers that cannot take any that is free."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time
from typing import Literal, TypeAlias

Transport: TypeAlias = Literal["udp", "tcp", "tls"]

SOCKETS = {"udp": socket.SOCK_DGRAM, "tcp": socket.SOCK_STREAM}
START_S = 20.0
"""How long a peer may take to start, or to end, on a busy machine."""


def free_port() -> int:
    """A port that is free for UDP and TCP."""
    for _ in range(50):
        with socket.socket(type=SOCKETS["udp"]) as udp, socket.socket(type=SOCKETS["tcp"]) as tcp:
            udp.bind(("127.0.0.1", 0))
            port: int = udp.getsockname()[1]
            with contextlib.suppress(OSError):
                tcp.bind(("127.0.0.1", port))
                return port
    raise AssertionError("no port is free")


async def bound(port: int, transport: Literal["udp", "tcp"]) -> None:
    """Wait until something is bound to the port."""
    until = time.monotonic() + START_S
    while time.monotonic() < until:
        with socket.socket(type=SOCKETS[transport]) as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                return
        await asyncio.sleep(0.01)
    raise AssertionError(f"nothing took {transport} port {port}")


def free_media_port() -> int:
    """A UDP port that is free together with the one after the next, which SIPp takes for video."""
    for _ in range(50):
        port = free_port()
        with socket.socket(type=SOCKETS["udp"]) as audio, socket.socket(type=SOCKETS["udp"]) as video:
            with contextlib.suppress(OSError, OverflowError):
                audio.bind(("127.0.0.1", port))
                video.bind(("127.0.0.1", port + 2))
                return port
    raise AssertionError("no pair of ports is free")
