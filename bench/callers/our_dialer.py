"""Our dialer: N simulated callers that speak, listen and are recorded, as in any run of it.

Usage: `python our_dialer.py CALLS HOST:PORT [--busy]`

`--busy` runs a thread of pure Python in the dialer's process half of the time. Its thread id is printed as
`{"application_thread": id}`, so that what it burns is not booked as the dialer's.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import json
import sys
import threading
import time

from tuner_sipbridge import Dialer, Scenario
from tuner_sipbridge.caller.tone_speech import ToneSpeech
from tuner_sipbridge.net.media_engine import PyMediaEngine

SPELL_S = 0.05
AT_ONCE = 50
"""Calls that are being set up at a time."""
TALK = {"say": "a caller who keeps on talking while the agent talks too, as nobody should"}
PERIOD_S = 7.0
"""About how long a turn of 4 s and the pause after it take; callers begin spread over it."""
TURNS = 20


class RenderedOnce:
    """Tones, rendered once a sentence for all calls: speech is rendered beforehand and is no cost of a call."""

    identity = "tone"

    def __init__(self) -> None:
        self.render = functools.cache(ToneSpeech().render)


async def main() -> None:
    calls, target = int(sys.argv[1]), sys.argv[2]
    if "--busy" in sys.argv:
        threading.Thread(target=be_busy, daemon=True).start()
    over = asyncio.Event()
    watch = asyncio.create_task(watch_stdin(over))
    gate = asyncio.Semaphore(AT_ONCE)
    engine = PyMediaEngine(streams=calls)
    async with engine, Dialer(engine=engine, speech=RenderedOnce()) as dialer, asyncio.TaskGroup() as group:
        for number in range(calls):
            group.create_task(
                one(dialer, f"sip:agent{number}@{target}", scenario_of(number / calls), gate, over)
            )
    watch.cancel()


async def one(
    dialer: Dialer, target: str, scenario: Scenario, gate: asyncio.Semaphore, over: asyncio.Event
) -> None:
    async with contextlib.AsyncExitStack() as stack:
        async with gate:
            call = await stack.enter_async_context(dialer.dial(target))
        playing = asyncio.create_task(call.play(scenario))
        await over.wait()
        call.hang_up()
        await playing


def scenario_of(share: float) -> Scenario:
    """A caller who begins so far into the period, then talks and pauses in turn."""
    steps = [{"pause_s": round(share * PERIOD_S, 3)}, *[TALK, {"pause_s": 2.5}] * TURNS]
    fields = {"name": "bench", "persona": {"voice": "tone"}, "max_call_s": 600, "steps": steps}
    return Scenario.model_validate(fields)


async def watch_stdin(over: asyncio.Event) -> None:
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), sys.stdin
    )
    await reader.read()
    over.set()


def be_busy() -> None:
    """An application that computes: 50 ms of pure Python, 50 ms of nothing."""
    print(json.dumps({"application_thread": threading.get_native_id()}), flush=True)
    while True:
        end = time.monotonic() + SPELL_S
        while time.monotonic() < end:
            sum(range(1000))
        time.sleep(SPELL_S)


if __name__ == "__main__":
    asyncio.run(main())
