"""What a test reads of a call while it runs and after it."""

from __future__ import annotations

import asyncio

from tuner_sipbridge.dialer.run import CallRun
from tuner_sipbridge.trace import Trace


async def succeeded(process: asyncio.subprocess.Process) -> bool:
    async with asyncio.timeout(10):
        return await process.wait() == 0


def messages(trace: Trace, kind: str, start: str) -> list[str]:
    return [row.fields["message"] for row in trace.of(kind) if row.fields["message"].startswith(start)]


def sent(run: CallRun, start: str) -> list[str]:
    return messages(run.trace, "sip.sent", start)


async def until(trace: Trace, kind: str, start: str = "", *, count: int = 1) -> None:
    """Wait until so many rows of a kind are there whose text begins so."""
    async with asyncio.timeout(10):
        while sum(str(row.fields.get("summary", "")).startswith(start) for row in trace.of(kind)) < count:  # noqa: ASYNC110 - a trace tells nobody that it grew
            await asyncio.sleep(0.005)
