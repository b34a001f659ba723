"""The independent programs that our ends talk to, each started for the tests and ended by its own id."""

from __future__ import annotations

import asyncio
import getpass
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Generator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest

from ..certificates import Authority
from .peers.kamailio import Kamailio
from .peers.ports import free_port
from .peers.sipp import Sipp

Serve = Callable[..., Awaitable[tuple[str, int]]]

SHOWN_CHARACTERS = 12_000
"""How much of a peer's log is shown when a test fails."""


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show what the peers wrote beside a failure."""
    report = yield
    if report.failed and isinstance(item, pytest.Function):
        folder, proxy = item.funcargs.get("tmp_path"), item.funcargs.get("kamailio")
        logs = sorted(folder.glob("*.log")) if isinstance(folder, Path) else []
        for log in [*logs, *([proxy.log] if isinstance(proxy, Kamailio) else [])]:
            report.sections.append((log.name, log.read_text(errors="replace")[-SHOWN_CHARACTERS:]))
    return report


@pytest.fixture(scope="session")
def kamailio(tmp_path_factory: pytest.TempPathFactory, authority: Authority) -> Generator[Kamailio]:
    """Kamailio, answering."""
    proxy = Kamailio(tmp_path_factory.mktemp("kamailio"))
    with proxy.running(authority):
        yield proxy


@pytest.fixture
def sipp(tmp_path: Path) -> Sipp:
    """Starts SIPp."""
    return Sipp(tmp_path)


@asynccontextmanager
async def dnsmasq(*records: str, ttl_s: int = 60) -> AsyncGenerator[tuple[str, int]]:
    """dnsmasq with these records and nothing else; gives address and port."""
    port = free_port()
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
