"""One registration that is kept fresh, by whichever of the registrar's targets answers (RFC 3263 §4.3)."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from typing import Any, TypeAlias

from tuner_sipbridge.call.registration import (
    Registered,
    Registration,
    RegistrationEvent,
    RegistrationFailed,
    Unregistered,
)
from tuner_sipbridge.dialer.message_notes import note_message
from tuner_sipbridge.dialer.sockets import Sockets
from tuner_sipbridge.dialer.ways import Way, Ways
from tuner_sipbridge.errors import NotRegistered, SipBridgeError
from tuner_sipbridge.net import clock
from tuner_sipbridge.net.driver import Leg, SipDriver
from tuner_sipbridge.sip.grammar import bracketed
from tuner_sipbridge.sip.message import Message
from tuner_sipbridge.sip.routing import Hop
from tuner_sipbridge.sip.uri import Uri
from tuner_sipbridge.trace import Trace

logger = logging.getLogger("tuner_sipbridge.dialer")

MachineFor: TypeAlias = Callable[[Way, SipDriver, int], Registration]
"""Makes the machine for a way, its sockets, and the number of rounds that failed."""

_ABOUT_WHO_WE_ARE = frozenset({401, 403, 404, 407})
_ELSEWHERE = frozenset({0, 503})
"""No answer, no connection, or no service: another target may do better (RFC 3263 §4.3)."""


class KeptRegistration:
    """Observes the machine of the way in use, and makes one for the next when that fails."""

    def __init__(
        self,
        registrar: Uri,
        address_of_record: Uri,
        *,
        ways: Ways,
        sockets: Sockets,
        machine_for: MachineFor,
        patience_s: float,
    ) -> None:
        """Prepare; nothing is sent before `begin`.

        Args:
            registrar: where to register.
            address_of_record: whom.
            ways: finds the registrar.
            sockets: those to send from.
            machine_for: makes a machine.
            patience_s: seconds without any response after which the next way is tried, when there is one.
        """
        self.address_of_record = address_of_record
        self.settled, self.over = asyncio.Event(), asyncio.Event()
        self._registrar, self._ways, self._sockets = registrar, ways, sockets
        self._machine_for, self._patience_s = machine_for, patience_s
        self._left: list[Way] = []
        self._rounds = 0
        self._heard = self._stopping = False
        self._state: Registered | RegistrationFailed | None = None
        self._state_at = 0.0
        self._messages = Trace()
        self._machine: Registration | None = None
        self._leg: Leg[RegistrationEvent] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def begin(self) -> None:
        """Find the registrar, and register by the first way to it.

        Raises:
            NetworkError: there is none.
            LocalProtocolError: its URI asks for what cannot be.
        """
        self._left = await self._ways.towards(self._registrar)
        await self._go()

    def stop(self) -> None:
        """Withdraw the Contact."""
        self._stopping = True
        if self._timer is not None:
            self._timer.cancel()
        machine = self._machine
        if self._leg is None or machine is None:
            self.over.set()
        else:
            self._leg.act(lambda now: machine.stop(now=now))

    def on_event(self, event: RegistrationEvent, *, now: float) -> None:
        """Note how it stands, or go on to the next way."""
        host = self.address_of_record.host
        match event:
            case Unregistered():
                self.over.set()
                return
            case Registered(expires_s=expires_s):
                logger.info("registered at %s for %d s", host, expires_s)
                self._messages, self._rounds = Trace(), 0
                self._ways.note_success(self._left[0])
            case RegistrationFailed(status=status):
                logger.warning("registration at %s failed, status %d", host, status)
                if status in _ELSEWHERE and self._goes_elsewhere(event):
                    return
        self._state, self._state_at = event, now
        self.settled.set()

    def on_message(self, message: Message, peer: Hop, *, sent: bool, now: float) -> None:
        """Keep the messages since the last success, for the traces of the calls that fail for them."""
        self._heard = self._heard or not sent
        note_message(self._messages, message, peer, sent=sent, now=now)

    def tell(self, trace: Trace) -> None:
        """Note in the trace of a call how the registration stands.

        Raises:
            NotRegistered: it does not stand.
        """
        host = bracketed(self.address_of_record.host)
        match self._state:
            case RegistrationFailed(status=status, text=text, problem=problem):
                for event in self._messages.events:
                    trace.note(event.kind, at=event.at, **event.fields)
                trace.note(
                    "call.registration_failed", at=self._state_at, registrar=host, status=status, cause=text
                )
                ours = problem is not None or status in _ABOUT_WHO_WE_ARE
                raise NotRegistered(f"not registered at {host}: {text}", status=status, credentials=ours)
            case Registered(expires_s=expires_s):
                trace.note("call.registered", at=clock.now(), registrar=host, expires_s=expires_s)
            case None:
                raise AssertionError("told before it was settled")

    async def _go(self) -> None:
        """Register by the first of the ways that are left."""
        way = self._left[0]
        driver = await self._sockets.at(way.local)
        if self._stopping:
            return
        self._machine = machine = self._machine_for(way, driver, self._rounds)
        self._heard = False
        self._leg = leg = driver.add(machine, self)
        if len(self._left) > 1:
            asyncio.get_running_loop().call_later(self._patience_s, self._lose_patience, leg, way)
        leg.act(lambda now: machine.start(now=now))

    def _lose_patience(self, leg: Leg[RegistrationEvent], way: Way) -> None:
        if leg is self._leg and not self._heard and not self._stopping:
            leg.unreachable(way.hop, f"no response came in {self._patience_s:g} s", again=False)

    def _goes_elsewhere(self, failed: RegistrationFailed) -> bool:
        """Try the next way; when none is left, all of them again after the machine's pause.

        Returns:
            Whether there was a next way, so that nothing is decided yet.
        """
        former = self._leg
        self._ways.note_failure(self._left[0], failed.text)
        if former is None or self._stopping:
            return False
        # After the event it is giving right now, the former machine has nothing more to say.
        asyncio.get_running_loop().call_soon(former.abandon)
        self._leg = self._machine = None
        self._left.pop(0)
        if self._left:
            self._spawn(self._try(self._go()))
            return True
        self._rounds += 1
        pause_s = failed.retried_in_s or 0.0
        self._timer = asyncio.get_running_loop().call_later(pause_s, self._begin_anew)
        return False

    def _begin_anew(self) -> None:
        self._spawn(self._try(self.begin()))

    async def _try(self, step: Coroutine[Any, Any, None]) -> None:
        try:
            await step
        except SipBridgeError as error:
            self._state, self._state_at = RegistrationFailed(0, str(error)), clock.now()
            self.settled.set()

    def _spawn(self, coroutine: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
