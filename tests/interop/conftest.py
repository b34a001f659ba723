"""The independent programs that our ends talk to, each started for the tests and ended by its own id."""

from __future__ import annotations

import asyncio
import contextlib
import getpass
import socket
import subprocess
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Generator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Literal, Protocol, TypeAlias

import pytest

Transport: TypeAlias = Literal["udp", "tcp", "tls"]
Serve: TypeAlias = Callable[..., Awaitable[tuple[str, int]]]

HERE = Path(__file__).parent
SOCKETS = {"udp": socket.SOCK_DGRAM, "tcp": socket.SOCK_STREAM}
START_S = 20.0
"""How long a peer may take to start on a busy machine."""
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


class Authority(Protocol):
    """The CA of the test run."""

    file: Path

    def issue(self, name: str) -> Issued: ...


class Issued(Protocol):
    """A certificate on disk."""

    certificate: Path
    key: Path


class Kamailio:
    """Kamailio as proxy and registrar: see `kamailio/kamailio.cfg`."""

    realm, username, password = "edge.test", "probe", "s3cret"

    def __init__(self, folder: Path) -> None:
        self.port, self.tls_port = free_port(), free_port()
        self.log = folder / "kamailio.log"
        self._folder = folder

    def uri(self, user: str, transport: Transport = "udp") -> str:
        """Reaches a user by this proxy."""
        port = self.tls_port if transport == "tls" else self.port
        return f"sip:{user}@127.0.0.1:{port}" + ("" if transport == "udp" else f";transport={transport}")

    @contextlib.contextmanager
    def running(self, authority: Authority) -> Generator[None]:
        """The program in the foreground, until left."""
        issued = authority.issue("127.0.0.1")
        names: Mapping[str, object] = {
            "REALM": self.realm,
            "USERNAME": self.username,
            "PASSWORD": self.password,
            "CERTIFICATE": issued.certificate,
            "KEY": issued.key,
            "CA": authority.file,
        }
        listen = (
            f"udp:127.0.0.1:{self.port}",
            f"tcp:127.0.0.1:{self.port}",
            f"tls:127.0.0.1:{self.tls_port}",
        )
        command = [
            "kamailio",
            "-f",
            str(HERE / "kamailio" / "kamailio.cfg"),
            "-DD",
            "-E",
            "-m",
            "32",
            "-M",
            "8",
        ]
        command += ["-Y", str(self._folder), "-w", str(self._folder)]
        command += [word for each in listen for word in ("-l", each)]
        command += [word for name, value in names.items() for word in ("-A", f'{name}="{value}"')]
        with self.log.open("wb") as log:
            process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
            try:
                self._wait_until_it_answers(process)
                yield
            finally:
                process.terminate()
                try:
                    process.wait(START_S)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()

    def _wait_until_it_answers(self, process: subprocess.Popen[bytes]) -> None:
        with socket.socket(type=socket.SOCK_DGRAM) as probe:
            probe.bind(("127.0.0.1", 0))
            probe.settimeout(0.05)
            own = f"127.0.0.1:{probe.getsockname()[1]}"
            options = (
                f"OPTIONS sip:127.0.0.1:{self.port} SIP/2.0\r\nVia: SIP/2.0/UDP {own};branch=z9hG4bKprobe\r\n"
                f"From: <sip:{own}>;tag=1\r\nTo: <sip:127.0.0.1:{self.port}>\r\nCall-ID: probe\r\n"
                "CSeq: 1 OPTIONS\r\nMax-Forwards: 70\r\nContent-Length: 0\r\n\r\n"
            )
            until = time.monotonic() + START_S
            while process.poll() is None and time.monotonic() < until:
                probe.sendto(options.encode(), ("127.0.0.1", self.port))
                with contextlib.suppress(OSError):
                    if probe.recv(65536).startswith(b"SIP/2.0 200"):
                        return
        raise AssertionError(f"Kamailio did not start:\n{self.log.read_text(errors='replace')}")


@pytest.fixture(scope="session")
def kamailio(tmp_path_factory: pytest.TempPathFactory, authority: Authority) -> Generator[Kamailio]:
    """Kamailio, answering."""
    proxy = Kamailio(tmp_path_factory.mktemp("kamailio"))
    with proxy.running(authority):
        yield proxy


class Sipp:
    """SIPp, playing scenarios of `sipp/`; its messages and errors are kept in a folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @asynccontextmanager
    async def playing(
        self,
        scenario: str,
        transport: Literal["udp", "tcp"] = "udp",
        *,
        far: str = "",
        options: tuple[str, ...] = (),
    ) -> AsyncGenerator[tuple[str, asyncio.subprocess.Process]]:
        """One call of a scenario; gives SIPp's URI and its process. With `far` it calls there, else it waits."""
        port, media = free_port(), free_port()
        process = await asyncio.create_subprocess_exec(
            *("sipp", "-sf", str(HERE / "sipp" / f"{scenario}.xml"), "-i", "127.0.0.1", "-p", str(port)),
            *("-t", {"udp": "u1", "tcp": "t1"}[transport], "-m", "1", *([far] if far else [])),
            *("-mi", "127.0.0.1", "-mp", str(media), "-rtp_echo", "-nostdin", "-timeout", "20s", *options),
            *("-trace_msg", "-message_file", str(self._folder / f"{scenario}.messages.log"), "-trace_err"),
            *("-error_file", str(self._folder / f"{scenario}.errors.log"), "-timeout_error"),
            cwd=self._folder,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
        )
        try:
            if not far:
                await self._bound(port, transport)
            yield f"sip:agent@127.0.0.1:{port}{';transport=tcp' if transport == 'tcp' else ''}", process
        finally:
            if process.returncode is None:
                process.kill()
            await process.wait()

    async def play(self, scenario: str, far: str, *options: str) -> None:
        """One call of a scenario to `far`, to its end.

        Raises:
            AssertionError: SIPp saw something else than it expected.
        """
        async with self.playing(scenario, far=far, options=options) as (_, process), asyncio.timeout(START_S):
            assert await process.wait() == 0, f"SIPp's scenario {scenario} failed"

    def messages(self, scenario: str) -> str:
        """What SIPp sent and received."""
        return (self._folder / f"{scenario}.messages.log").read_text(errors="replace")

    async def _bound(self, port: int, transport: Literal["udp", "tcp"]) -> None:
        until = time.monotonic() + START_S
        while time.monotonic() < until:
            with socket.socket(type=SOCKETS[transport]) as probe:
                try:
                    probe.bind(("127.0.0.1", port))
                except OSError:
                    return
            await asyncio.sleep(0.01)
        raise AssertionError("SIPp did not start")


@pytest.fixture
def sipp(tmp_path: Path) -> Sipp:
    """Starts SIPp."""
    return Sipp(tmp_path)


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
