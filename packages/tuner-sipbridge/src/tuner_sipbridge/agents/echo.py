"""The simplest agent: what the caller says comes back, half a second later. It posts nothing."""

from __future__ import annotations

import asyncio
from collections import deque

from tuner_sipbridge.agents.line import Line
from tuner_sipbridge.audio import g711
from tuner_sipbridge.media.engine import FRAME_S, SAMPLE_RATE

DELAY_S = 0.5
"""Between what is heard and what is played."""

_QUEUED_S = 0.06
"""How much is kept queued at the engine, so that a busy event loop leaves no gap."""


async def echo(line: Line) -> None:
    """Serve one call until the caller hangs up.

    Args:
        line: the answered call; its frames are read here and nowhere else.
    """
    playing = asyncio.create_task(_play_back(line))
    try:
        await line.ended()
    finally:
        playing.cancel()
        await asyncio.gather(playing, return_exceptions=True)


async def _play_back(line: Line) -> None:
    law: g711.Law = "PCMA" if line.codec == "PCMA" else "PCMU"
    waiting: deque[bytes] = deque()
    behind = round((DELAY_S - _QUEUED_S) / FRAME_S)
    started = False
    async for frame in line.stream.frames():
        waiting.append(frame)
        if len(waiting) <= behind:
            continue
        if not started:
            started = True
            line.stream.play(g711.silence(round(_QUEUED_S * SAMPLE_RATE), law), mark="echo")
        line.stream.play(waiting.popleft(), mark="echo")
