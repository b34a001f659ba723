"""The attempts of one call: a machine for each way, one after another until one leads to somebody (RFC 3263 §4.3)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from tuner_sipbridge.call import events as signalling
from tuner_sipbridge.call.outbound import OutboundCall
from tuner_sipbridge.dialer.failover import Failover, why_elsewhere
from tuner_sipbridge.net.driver import CallObserver, Leg, SipDriver
from tuner_sipbridge.sip.message import Message
from tuner_sipbridge.trace import Trace


class Attempts:
    """Runs the machines of one call over its ways."""

    def __init__(
        self,
        failover: Failover,
        driver: SipDriver,
        observer: CallObserver[signalling.CallEvent],
        trace: Trace,
        *,
        patience_s: float,
        on_leg: Callable[[Leg[signalling.CallEvent], OutboundCall], None],
    ) -> None:
        """Make the first machine; nothing is sent yet.

        Args:
            failover: the ways.
            driver: runs the machines.
            observer: hears of all of them; it hands on to `note` and `goes_on`.
            trace: where ways that failed are noted.
            patience_s: seconds without any response after which the next way is tried, when there is one.
            on_leg: told of each attempt before its INVITE is sent.

        Raises:
            LocalProtocolError: the call cannot be made as asked.
        """
        self._failover, self._driver, self._observer, self._trace = failover, driver, observer, trace
        self._patience_s, self._on_leg = patience_s, on_leg
        self.machine = failover.first()
        """The machine of the attempt under way."""
        self._leg: Leg[signalling.CallEvent] | None = None
        self._settled = False

    def start(self, *, now: float) -> None:
        """Send the INVITE over the first way."""
        self._failover.begin(now=now)
        self._run(self.machine)

    def note(self, message: Message, *, now: float) -> None:
        """A message came over the way in use."""
        self._failover.note(message, now=now)

    def goes_on(self, event: signalling.CallEvent, *, now: float) -> bool:
        """Take a closing event: True when it says that the way in use failed, and the next is tried."""
        failover, former = self._failover, self._leg
        machine = failover.next(event, now=now)
        if failover.failed and why_elsewhere(event) is not None:
            way, why = failover.failed[-1]
            onwards = str(failover.way) if machine is not None else ""
            self._trace.note("call.target_failed", at=now, target=str(way), why=why, next=onwards)
        if machine is None or former is None:
            self._settled = True
            return False
        # After the event it is giving right now, the former leg has nothing more to say.
        asyncio.get_running_loop().call_soon(former.abandon)
        self._run(machine)
        return True

    def told(self, event: signalling.CallEvent) -> signalling.CallEvent:
        """The closing event of the call, with the ways that failed before the last in its words."""
        return self._failover.told(event)

    def _run(self, machine: OutboundCall) -> None:
        self.machine, self._leg = machine, self._driver.add(machine, self._observer)
        leg = self._leg
        self._on_leg(leg, machine)
        if self._failover.has_another:
            asyncio.get_running_loop().call_later(self._patience_s, self._lose_patience, leg)
        leg.act(lambda now: machine.start(now=now))

    def _lose_patience(self, leg: Leg[signalling.CallEvent]) -> None:
        failover, machine = self._failover, self.machine
        if leg is self._leg and not failover.heard and not self._settled:
            why = f"no response came in {self._patience_s:g} s"
            leg.act(lambda now: machine.unreachable(failover.way.hop, why, now=now))
