"""Our signalling at work: `python caller.py fast|paced|held JSON` prints its figures as JSON.

`OutboundCall` machines on one `SipDriver`: what the dialer places calls with, without its media and notes.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

from tuner_sipbridge.call.events import Answered, CallEvent
from tuner_sipbridge.call.ids import Credentials
from tuner_sipbridge.call.outbound import OutboundCall
from tuner_sipbridge.net.driver import SipDriver
from tuner_sipbridge.net.ids import RandomIds, new_sip_call_id
from tuner_sipbridge.sdp.negotiation import make_offer
from tuner_sipbridge.sip.message import Message, Response
from tuner_sipbridge.sip.routing import Hop
from tuner_sipbridge.sip.uri import Uri

PATIENCE_S = 8.0
"""How long a call may take to stand, and all may take to be hung up; repeats come after 0.5, 1.5 and 3.5 s."""
WARMING = 50
AT_ONCE = 32
WAITED_OUT_S = 40.0
"""Longer than Timers D and M, 32 s each, for which a call keeps the transactions of its INVITEs."""


class Call:
    """One call, and when what happened to it."""

    def __init__(self, driver: SipDriver, target: str, ids: RandomIds) -> None:
        host, port = driver.local
        self._machine = OutboundCall(
            Uri.parse(target),
            local=(host, port),
            offer=make_offer(host, 9, ids.session_id()),
            sip_call_id=new_sip_call_id(),
            from_uri=Uri(scheme="sip", user="bench", host=host, port=port),
            ids=ids,
            credentials=Credentials("bench", "secret"),
        )
        self._leg = driver.add(self._machine, self)
        self._began = self.over_at = 0.0
        self.set_up_s: float | None = None
        self.answered, self.over = asyncio.Event(), asyncio.Event()

    def on_event(self, event: CallEvent, *, now: float) -> None:
        """Note when the call stands."""
        if isinstance(event, Answered):
            self.set_up_s = time.perf_counter() - self._began
            self.answered.set()

    def on_message(self, message: Message, peer: Hop, *, sent: bool, now: float) -> None:
        """Note when the 200 to BYE is there."""
        if (
            not sent
            and isinstance(message, Response)
            and message.cseq.method == "BYE"
            and message.status == 200
        ):
            self.over_at = self.over_at or time.perf_counter()
            self.over.set()

    def begin(self) -> None:
        """Send the INVITE."""
        self._began = time.perf_counter()
        self._leg.act(lambda now: self._machine.start(now=now))

    def wait_out(self) -> None:
        """Let the transactions of the INVITEs end, as they do on a call that has stood for a while."""
        self._leg.act(lambda now: self._machine.handle_timer(now=now + WAITED_OUT_S))

    def hang_up(self) -> None:
        """Send the BYE."""
        self._leg.act(lambda now: self._machine.hang_up(now=now))

    async def cycle(self) -> bool:
        """From INVITE to the 200 to BYE; whether it came to that."""
        self.begin()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(PATIENCE_S):
                await self.answered.wait()
                self.hang_up()
                await self.over.wait()
        return self.over.is_set()


async def fast(driver: SipDriver, target: str, count: int) -> dict[str, Any]:
    """Cycles as fast as they go, some at once: what one costs."""
    ids, left = RandomIds(), iter(range(count))

    async def lane() -> int:
        return sum([await Call(driver, target, ids).cycle() for _ in left])

    cpu, begin = time.process_time(), time.perf_counter()
    whole = sum(await asyncio.gather(*(lane() for _ in range(AT_ONCE))))
    cpu_s, took_s = time.process_time() - cpu, time.perf_counter() - begin
    return {"cycles": whole, "cpu_s": cpu_s, "took_s": took_s, "failed": count - whole}


async def paced(driver: SipDriver, target: str, count: int, rate: float) -> dict[str, Any]:
    """Cycles begun so many a second, whatever became of those before: how long each takes to stand."""
    ids, begin = RandomIds(), time.perf_counter()
    calls: list[Call] = []
    cycles: list[asyncio.Task[bool]] = []
    for number in range(count):
        await asyncio.sleep(begin + number / rate - time.perf_counter())
        calls.append(Call(driver, target, ids))
        cycles.append(asyncio.create_task(calls[-1].cycle()))
    failed = count - sum(await asyncio.gather(*cycles))
    return {"set_up_s": [call.set_up_s for call in calls if call.set_up_s is not None], "failed": failed}


async def held(driver: SipDriver, target: str, count: int) -> dict[str, Any]:
    """Calls that stand all at once: memory of one, and how long it takes to hang all of them up."""
    ids, gate = RandomIds(), asyncio.Semaphore(AT_ONCE)

    async def standing() -> Call | None:
        async with gate:
            call = Call(driver, target, ids)
            call.begin()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(call.answered.wait(), PATIENCE_S)
                call.wait_out()
                return call
        return None

    gc.collect()
    before = rss()
    calls = [call for call in await asyncio.gather(*(standing() for _ in range(count))) if call is not None]
    gc.collect()
    octets = (rss() - before) / max(1, len(calls))
    begin, cpu = time.perf_counter(), time.process_time()
    for call in calls:
        call.hang_up()
    over = [asyncio.create_task(call.over.wait()) for call in calls]
    done, waiting = await asyncio.wait(over, timeout=PATIENCE_S)
    cpu_s = time.process_time() - cpu
    for one in waiting:
        one.cancel()
    return {
        "stood": len(calls),
        "call_octets": octets,
        "hang_up_s": max([begin, *(call.over_at for call in calls)]) - begin,
        "hang_up_cpu_s": cpu_s,
        "failed": count - len(done),
    }


def rss() -> int:
    """Memory of this process in octets."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


async def main(task: str, asked: dict[str, Any]) -> dict[str, Any]:
    driver, target = SipDriver(), asked["target"]
    await driver.open(host="127.0.0.1")
    try:
        await fast(driver, target, WARMING)
        if task == "fast":
            return await fast(driver, target, asked["fast"])
        if task == "paced":
            return await paced(driver, target, asked["paced"], asked["rate"])
        return await held(driver, target, asked["held"])
    finally:
        await driver.close()


if __name__ == "__main__":
    print(json.dumps(asyncio.run(main(sys.argv[1], json.loads(sys.argv[2])))))
