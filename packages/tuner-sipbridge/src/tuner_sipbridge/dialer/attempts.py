"""The attempts of one call: a machine for each way, one after another until one leads to somebody (RFC 3263 §4.3)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from tuner_sipbridge.call import events as signalling
from tuner_sipbridge.call.outbound import OutboundCall
from tuner_sipbridge.dialer.failover import Failover, why_elsewhere
from tuner_sipbridge.net.driver import CallObserver, Leg
from tuner_sipbridge.sip.message import Message
from tuner_sipbridge.trace import Trace


class Attempts:
    """Runs the machines of one call over its ways."""

    def __init__(
        self,
        failover: Failover,
        observer: CallObserver[signalling.CallEvent],
        trace: Trace,
        *,
        patience_s: float,
        on_leg: Callable[[Leg[signalling.CallEvent], OutboundCall], None],
        on_other_footing: Callable[[], None],
    ) -> None:
        """Make the first machine; nothing is sent yet.

        Args:
            failover: the ways.
            observer: hears of all of them; it hands on to `note` and `goes_on`.
            trace: where ways that failed are noted.
            patience_s: seconds without any response after which the next way is tried, when there is one.
            on_leg: told of each attempt before its INVITE is sent.
            on_other_footing: told that the next way leaves from other sockets: `resume` when the failover has them.

        Raises:
            LocalProtocolError: the call cannot be made as asked.
        """
        self.failover, self._observer, self._trace = failover, observer, trace
        self._patience_s, self._on_leg, self._on_other_footing = patience_s, on_leg, on_other_footing
        self.machine = failover.machine()
        """The machine of the attempt under way."""
        self._leg: Leg[signalling.CallEvent] | None = None
        self._settled = False

    def start(self, *, now: float) -> None:
        """Send the INVITE over the first way."""
        self.failover.begin(now=now)
        self._run()

    def resume(self) -> None:
        """Send the INVITE over the next way, from the sockets that the failover stands on.

        Raises:
            LocalProtocolError: the call cannot be made as asked.
        """
        self.machine = self.failover.machine()
        self._run()

    def note(self, message: Message, *, now: float) -> None:
        """A message came over the way in use."""
        self.failover.note(message, now=now)

    def goes_on(self, event: signalling.CallEvent, *, now: float) -> bool:
        """Take a closing event: True when it says that the way in use failed, and the next is tried."""
        failover, former = self.failover, self._leg
        has_next = former is not None and failover.next(event, now=now)
        if failover.failed and why_elsewhere(event) is not None:
            way, why = failover.failed[-1]
            onwards = str(failover.way) if has_next else ""
            self._trace.note("call.target_failed", at=now, target=str(way), why=why, next=onwards)
        if former is None or not has_next:
            self._settled = True
            return False
        # After the event it is giving right now, the former leg has nothing more to say.
        asyncio.get_running_loop().call_soon(former.abandon)
        if failover.stands:
            self.resume()
        else:
            self._on_other_footing()
        return True

    def told(self, event: signalling.CallEvent) -> signalling.CallEvent:
        """The closing event of the call, with the ways that failed before the last in its words."""
        return self.failover.told(event)

    def _run(self) -> None:
        machine = self.machine
        self._leg = leg = self.failover.footing.driver.add(machine, self._observer)
        self._on_leg(leg, machine)
        if self.failover.has_another:
            asyncio.get_running_loop().call_later(self._patience_s, self._lose_patience, leg)
        leg.act(lambda now: machine.start(now=now))

    def _lose_patience(self, leg: Leg[signalling.CallEvent]) -> None:
        failover, machine = self.failover, self.machine
        if leg is self._leg and not failover.heard and not self._settled:
            why = f"no response came in {self._patience_s:g} s"
            leg.act(lambda now: machine.unreachable(failover.way.hop, why, now=now))
