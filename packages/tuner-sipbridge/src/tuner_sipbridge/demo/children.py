"""The demo's other processes: started, waited for, and ended by their own ids."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from tuner_sipbridge.errors import SipBridgeError

START_S = 60.0
"""Longest a child may take to say that it is ready: importing a framework and loading models."""
STOP_S = 25.0
"""Longest a child may take to end after SIGTERM: agents finish posting first."""


class Child:
    """A Python process that says on its standard output when it is ready. An async context manager.

    Args:
        name: what it is, for messages and for its log file.
        code: Python statement that it runs.
        arguments: its command line.
        environment: added to ours.
        ready: begin of the line that says it is ready.
        log: file for everything it prints.
    """

    def __init__(
        self,
        name: str,
        code: str,
        arguments: Sequence[str],
        *,
        environment: Mapping[str, str] | None = None,
        ready: str,
        log: Path,
    ) -> None:
        self._name, self._ready, self._log = name, ready, log
        self._command = [sys.executable, "-c", code, *arguments]
        self._environment = {**os.environ, **(environment or {}), "PYTHONUNBUFFERED": "1"}
        self._process: asyncio.subprocess.Process | None = None
        self._drain: asyncio.Task[None] | None = None
        self.line = ""
        """The line that said it is ready."""

    async def __aenter__(self) -> Self:
        """Start the process and wait until it is ready.

        Raises:
            SipBridgeError: it ended or was not ready in time; the message has its last words.
        """
        with self._log.open("wb") as log:
            self._process = await asyncio.create_subprocess_exec(
                *self._command,
                env=self._environment,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=log,
            )
        try:
            async with asyncio.timeout(START_S):
                self.line = await self._ready_line(self._process)
        except BaseException as error:
            await self.stop()
            if isinstance(error, TimeoutError | EOFError):
                raise SipBridgeError(f"{self._name} did not start: {self._last_words()}") from None
            raise
        self._drain = asyncio.get_running_loop().create_task(self._discard(self._process))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """End the process."""
        await self.stop()

    async def stop(self) -> None:
        """Ask the process to end, and end it when it does not."""
        process = self._process
        if process is None:
            return
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.terminate()
            try:
                async with asyncio.timeout(STOP_S):
                    await process.wait()
            except TimeoutError:
                with contextlib.suppress(ProcessLookupError):
                    process.kill()
                await process.wait()
        if self._drain is not None:
            self._drain.cancel()

    async def _ready_line(self, process: asyncio.subprocess.Process) -> str:
        assert process.stdout is not None
        while line := (await process.stdout.readline()).decode(errors="replace"):
            if line.startswith(self._ready):
                return line.strip()
        raise EOFError

    async def _discard(self, process: asyncio.subprocess.Process) -> None:
        """Keep the pipe empty, or a talkative child would block on it."""
        assert process.stdout is not None
        while await process.stdout.readline():
            pass

    def _last_words(self) -> str:
        lines = self._log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
        return f"{lines[-1]} (all of it: {self._log})" if lines else f"it said nothing (see {self._log})"
