"""Asks targets by OPTIONS on real sockets, all at once."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

from tuner_sipbridge.call import events as signalling
from tuner_sipbridge.call.inquiry import Inquiry
from tuner_sipbridge.dialer.message_notes import note_message
from tuner_sipbridge.errors import NetworkError
from tuner_sipbridge.net.driver import SipDriver
from tuner_sipbridge.net.ids import RandomIds, new_sip_call_id
from tuner_sipbridge.net.reach import refused
from tuner_sipbridge.net.udp import local_address_towards
from tuner_sipbridge.sip.message import Message, Response
from tuner_sipbridge.sip.routing import Hop
from tuner_sipbridge.sip.timers import Timers
from tuner_sipbridge.sip.uri import Uri
from tuner_sipbridge.trace import Trace
from tuner_sipbridge.verify.facts import Inquired

PATIENCE_S = 4.0
"""How long the answer to OPTIONS is waited for: time for three repeats over UDP."""
TARGETS_MAX = 4
"""How many targets are asked: a call seldom comes to more."""
_UNTIL_PROBE_S = 0.5
"""After so much silence over UDP it is asked whether the port is open at all: T1 of RFC 3261 §17.1.1.1."""


async def inquire(
    targets: Sequence[tuple[Hop, Uri]], driver_of: Callable[[], SipDriver], *, timers: Timers
) -> tuple[Inquired, ...]:
    """Ask each target, with the URI that is asked for there; what came of it, in the same order.

    Args:
        targets: where to, best first; the first `TARGETS_MAX` are asked.
        driver_of: makes a driver that is not open yet.
        timers: base values of RFC 3261 §17.

    Raises:
        NetworkError: the STUN server does not answer.
    """
    asked = (_ask(hop, uri, driver_of(), timers) for hop, uri in targets[:TARGETS_MAX])
    return tuple(await asyncio.gather(*asked))


async def _ask(hop: Hop, uri: Uri, driver: SipDriver, timers: Timers) -> Inquired:
    trace = Trace()
    try:
        host = local_address_towards(hop.address)
    except NetworkError as error:
        return Inquired(str(hop), trace, f"{hop}: there is no way from this machine: {error}")
    await driver.open(host=host)
    try:
        local = driver.shown(host)
        inquiry = Inquiry(
            uri,
            local=local,
            sip_call_id=new_sip_call_id(),
            from_uri=Uri(user="tuner", host=local[0], port=local[1]),
            ids=RandomIds(),
            timers=timers,
            to=hop,
        )
        observer = _Observer(trace)
        driver.add(inquiry, observer).act(lambda now: inquiry.start(now=now))
        async with asyncio.timeout(min(PATIENCE_S, timers.f)):
            if await _settled(hop, observer.settled):
                return Inquired(str(hop), trace)
        why = f"{hop}: nothing listens there: the host refuses this port (ICMP)"
        return Inquired(str(hop), trace, why)
    except TimeoutError:
        return Inquired(str(hop), trace)
    finally:
        await driver.close()


async def _settled(hop: Hop, settled: asyncio.Event) -> bool:
    """Wait for the end of an OPTIONS; False when the host says before it that the port is closed."""
    answer = asyncio.create_task(settled.wait())
    tasks: set[asyncio.Task[Any]] = {answer}
    try:
        if hop.transport == "udp":
            await asyncio.wait(tasks, timeout=_UNTIL_PROBE_S)
            tasks.add(asyncio.create_task(refused(hop)))
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        return answer.done()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


class _Observer:
    """Writes what became of an OPTIONS into a trace."""

    def __init__(self, trace: Trace) -> None:
        self._trace = trace
        self.settled = asyncio.Event()

    def on_event(self, event: signalling.CallEvent, *, now: float) -> None:
        """No answer."""
        if isinstance(event, signalling.Unreachable):
            self._trace.note("call.unreachable", at=now, why=event.text)
        self.settled.set()

    def on_message(self, message: Message, peer: Hop, *, sent: bool, now: float) -> None:
        """The request, its repeats, and the answer."""
        note_message(self._trace, message, peer, sent=sent, now=now)
        if isinstance(message, Response) and message.status >= 200:
            self.settled.set()
