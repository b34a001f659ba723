"""baresip, an independent user agent, steered over its control port."""

from __future__ import annotations

import asyncio
import contextlib
import json
import wave
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...certificates import Authority
from .ports import START_S, Transport, free_port

CONFIGURATION = Path(__file__).parents[1] / "baresip" / "config"
ECHO, TONE = ("aubridge,echo", 8000, 1), ("ausine,440", 48000, 2)
"""What it says, with rate and channels: what it hears, which it can in calls that it answers; or a tone."""
ACCOUNTS = {
    "plain": "",
    "either": ";mediaenc=srtp",
    "strict": ";mediaenc=srtp-mand",
    "opus": ";audio_codecs=opus/48000/2",
    "g722": ";audio_codecs=G722/16000/1",
}
"""Users that it answers for, by what they say to SRTP (none, when the far end has it, nothing else) or speak."""


class Baresip:
    """baresip with our `ACCOUNTS`; it answers each call."""

    def __init__(self, folder: Path) -> None:
        self.log = folder / "baresip.log"
        self._folder = folder / "baresip"
        self._port = free_port()
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None
        self._events: list[dict[str, Any]] = []

    def uri(self, user: str, transport: Transport = "udp") -> str:
        """Reaches one of its accounts; TLS has the port after that of UDP and TCP."""
        port = self._port + (transport == "tls")
        return f"sip:{user}@127.0.0.1:{port}" + ("" if transport == "udp" else f";transport={transport}")

    @contextlib.asynccontextmanager
    async def running(self, authority: Authority, says: tuple[str, int, int] = ECHO) -> AsyncGenerator[None]:
        """The program in the foreground, until left."""
        control = free_port()
        self._configure(control, authority, says)
        with self.log.open("wb") as log:
            process = await asyncio.create_subprocess_exec(
                *("baresip", "-f", str(self._folder), "-s"),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
            try:
                await self._connect(control, process)
                yield
            finally:
                if self._writer is not None:
                    self._writer.close()
                if process.returncode is None:
                    process.kill()
                await process.wait()

    async def command(self, name: str, parameter: str = "") -> None:
        """Give a command and wait until it is carried out.

        Raises:
            AssertionError: baresip refuses it.
        """
        assert self._writer is not None
        order = json.dumps({"command": name, "params": parameter, "token": name})
        self._writer.write(f"{len(order)}:{order},".encode())
        while True:
            said = await self._next()
            if said.get("token") == name:
                assert said["ok"], f"baresip: {name} {parameter}: {said['data']}"
                return
            self._events.append(said)

    def heard(self) -> NDArray[np.int16]:
        """What it decoded of the last call, on one channel; complete when the call has ended."""
        last = max(self._folder.glob("*-dec.wav"), key=lambda file: file.stat().st_mtime_ns)
        with wave.open(str(last)) as file:
            samples = np.frombuffer(file.readframes(file.getnframes()), np.int16)
            return samples[:: file.getnchannels()]

    async def select(self, account: str) -> None:
        """Let the commands that follow be for the calls of an account; the first one is selected at the start."""
        await self.command("uafind", f"sip:{account}@127.0.0.1")

    async def dial(self, account: str, target: str) -> None:
        """Let an account call a URI."""
        await self.select(account)
        await self.command("dial", target)

    async def event(self, kind: str) -> dict[str, Any]:
        """Wait for the next event of a kind; those before it are dropped."""
        while True:
            said = self._events.pop(0) if self._events else await self._next()
            if said.get("type") == kind:
                return said

    async def _next(self) -> dict[str, Any]:
        assert self._reader is not None
        async with asyncio.timeout(START_S):
            length = int((await self._reader.readuntil(b":"))[:-1])
            return json.loads((await self._reader.readexactly(length + 1))[:-1])

    def _configure(self, control: int, authority: Authority, says: tuple[str, int, int]) -> None:
        self._folder.mkdir()
        issued = authority.issue("127.0.0.1")
        certificate = self._folder / "certificate.pem"
        certificate.write_bytes(issued.key.read_bytes() + issued.certificate.read_bytes())
        trusted = self._folder / "trusted.pem"  # a path without spaces
        trusted.write_bytes(authority.file.read_bytes())
        own = {
            "sip_listen": f"127.0.0.1:{self._port}",
            "sip_certificate": certificate,
            "sip_cafile": trusted,
            "ctrl_tcp_listen": f"127.0.0.1:{control}",
            "audio_source": says[0],
            "ausrc_srate": says[1],
            "ausrc_channels": says[2],
            "snd_path": self._folder,
        }
        lines = "".join(f"{name} {value}\n" for name, value in own.items())
        (self._folder / "config").write_text(lines + CONFIGURATION.read_text())
        users = (
            f"<sip:{user}@127.0.0.1>;regint=0;answermode=auto{more}\n" for user, more in ACCOUNTS.items()
        )
        (self._folder / "accounts").write_text("".join(users))

    async def _connect(self, control: int, process: asyncio.subprocess.Process) -> None:
        async with asyncio.timeout(START_S):
            while process.returncode is None:
                try:
                    self._reader, self._writer = await asyncio.open_connection("127.0.0.1", control)
                except OSError:
                    await asyncio.sleep(0.01)
                else:
                    return
        raise AssertionError(f"baresip did not start:\n{self.log.read_text(errors='replace')}")
