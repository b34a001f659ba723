"""The leg of a dialled call until it stands: its INVITE, and the ways that are tried one after the other."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

from tuner_sipbridge.call import events as signalling
from tuner_sipbridge.call.inbound import InboundCall
from tuner_sipbridge.call.outbound import OutboundCall
from tuner_sipbridge.dialer.call_speech import CallSpeech
from tuner_sipbridge.dialer.failover import Failover, why_elsewhere
from tuner_sipbridge.errors import SipBridgeError
from tuner_sipbridge.media import engine as media
from tuner_sipbridge.net import clock
from tuner_sipbridge.net.driver import Leg
from tuner_sipbridge.sip.message import Message
from tuner_sipbridge.sip.routing import Hop
from tuner_sipbridge.trace import Trace


class DialledLeg(CallSpeech):
    """Signalling on top of the media of a call. `PlacedCall` says what its events lead to."""

    def __init__(self, stream: media.MediaStream, trace: Trace) -> None:
        super().__init__(stream, trace)
        self.target = self.correlation_id = self.sip_call_id = ""
        self._leg: Leg[signalling.CallEvent] | None = None
        self._failover: Failover | None = None
        self._patience_s = 0.0
        self._between_ways = False
        self._machine: OutboundCall | InboundCall | None = None
        self._over = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()

    def on_event(self, event: signalling.CallEvent, *, now: float) -> None:
        """Something happened to the leg."""
        raise NotImplementedError

    def on_message(self, message: Message, peer: Hop, *, sent: bool, now: float) -> None:
        """A message of the leg was sent or came."""
        raise NotImplementedError

    def start(self, failover: Failover, *, patience_s: float, scenario: str, agent: str) -> None:
        """Send the INVITE.

        Args:
            failover: the ways of the call.
            patience_s: seconds without any response after which the next way is tried, when there is one.
            scenario: for the trace.
            agent: for the trace.

        Raises:
            LocalProtocolError: the call cannot be made as asked; nothing was sent.
        """
        machine = failover.machine()
        self._failover, self._patience_s = failover, patience_s
        self.sip_call_id = machine.sip_call_id
        now = clock.now()
        self.trace.note(
            "call.dialled",
            at=now,
            target=self.target,
            sip_call_id=self.sip_call_id,
            correlation_id=self.correlation_id,
            scenario=scenario,
            agent=agent,
        )
        self._spawn(self._watch_media())
        failover.begin(now=now)
        self._run(machine)

    def _run(self, machine: OutboundCall) -> None:
        """Let the driver run the machine of the way in use."""
        assert self._failover is not None
        self._machine = machine
        self._leg = leg = self._failover.footing.driver.add(machine, self)
        if self._failover.has_another:
            asyncio.get_running_loop().call_later(self._patience_s, self._lose_patience, leg, machine)
        leg.act(lambda now: machine.start(now=now))

    def _lose_patience(self, leg: Leg[signalling.CallEvent], machine: OutboundCall) -> None:
        failover = self._failover
        if failover is None or leg is not self._leg or failover.heard or self._over.is_set():
            return
        why = f"no response came in {self._patience_s:g} s"
        leg.act(lambda now: machine.unreachable(failover.way.hop, why, now=now))

    def _goes_elsewhere(self, event: signalling.CallEvent, now: float) -> bool:
        """Try the next way when `event` says that the one in use failed."""
        failover, former = self._failover, self._leg
        if failover is None or former is None:
            return False
        goes_on = failover.next(event, now=now)
        if failover.failed and why_elsewhere(event) is not None:
            way, why = failover.failed[-1]
            onwards = str(failover.way) if goes_on else ""
            self.trace.note("call.target_failed", at=now, target=str(way), why=why, next=onwards)
        if not goes_on:
            return False
        # After the event it is giving right now, the former leg has nothing more to say.
        asyncio.get_running_loop().call_soon(former.abandon)
        if failover.stands:
            self._run(failover.machine())
        else:
            self._between_ways = True
            self._spawn(self._step_over(failover))
        return True

    async def _step_over(self, failover: Failover) -> None:
        """Go on from another local address: with sockets, a media port and an offer of its own."""
        former = failover.footing.stream
        try:
            await failover.change_footing()
        except SipBridgeError as error:
            self._between_ways = False
            if not self._over.is_set():
                self.on_event(signalling.Unreachable(str(error)), now=clock.now())
            return
        if not self._between_ways:
            await failover.footing.stream.close()
            return
        self._between_ways = False
        self._stream = failover.footing.stream
        self._spawn(self._watch_media())
        self._run(failover.machine())
        await former.close()

    def _spawn(self, coroutine: Coroutine[Any, Any, None]) -> None:
        self._tasks.add(asyncio.get_running_loop().create_task(coroutine))
