"""Independent programs that more than one test talks to."""

from __future__ import annotations

import asyncio
import getpass
import socket
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager

import pytest

Serve = Callable[..., Awaitable[tuple[str, int]]]


@asynccontextmanager
async def dnsmasq(*records: str, ttl_s: int = 60) -> AsyncGenerator[tuple[str, int]]:
    """dnsmasq with these records and nothing else; gives address and port."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    process = await asyncio.create_subprocess_exec(
        *("dnsmasq", "--keep-in-foreground", "--conf-file=/dev/null", "--pid-file="),
        *(
            "--no-resolv",
            "--no-hosts",
            "--local=/example/",
            "--bind-interfaces",
            "--listen-address=127.0.0.1",
        ),
        *(f"--port={port}", f"--user={getpass.getuser()}", f"--local-ttl={ttl_s}"),
        *(f"--{record}" for record in records),
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        await _listening(port)
        yield "127.0.0.1", port
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()


async def _listening(port: int) -> None:
    """Wait until somebody accepts on the TCP port, which dnsmasq opens together with that of UDP."""
    end = time.monotonic() + 10
    while time.monotonic() < end:
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            await asyncio.sleep(0.01)
        else:
            writer.close()
            await writer.wait_closed()
            return
    raise AssertionError("dnsmasq did not start")


@pytest.fixture
async def name_server() -> AsyncIterator[Serve]:
    """Starts a real name server: `host, port = await name_server("host-record=gw.example,127.0.0.1", …)`."""
    async with AsyncExitStack() as servers:

        async def serve(*records: str, ttl_s: int = 60) -> tuple[str, int]:
            return await servers.enter_async_context(dnsmasq(*records, ttl_s=ttl_s))

        yield serve
