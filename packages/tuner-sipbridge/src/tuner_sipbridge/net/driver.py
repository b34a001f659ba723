"""Runs call machines on sockets: feeds them messages and the clock, sends what they give out.

The machines are pure and hold all the rules; this file only moves messages, arms timers and tells what happened.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Collection, Sequence
from typing import Any, Generic, Protocol, TypeVar

from tuner_sipbridge.call.extensions import DEFAULT_EXTENSIONS
from tuner_sipbridge.call.replies import Reply, stray_reply
from tuner_sipbridge.errors import ProtocolError
from tuner_sipbridge.net import clock
from tuner_sipbridge.net.connection import StreamLimits
from tuner_sipbridge.net.ids import RandomIds
from tuner_sipbridge.net.public_address import PublicAddress
from tuner_sipbridge.net.tls import TlsSettings
from tuner_sipbridge.net.transports import UDP_AND_TCP, Resolve, Transports
from tuner_sipbridge.net.udp import resolve
from tuner_sipbridge.sip.message import Message, Request, Response
from tuner_sipbridge.sip.routing import Address, Hop, Transport, note_source, way_back

logger = logging.getLogger("tuner_sipbridge.net")


_Event = TypeVar("_Event")
_Told_co = TypeVar("_Told_co", covariant=True)
_Heard_contra = TypeVar("_Heard_contra", contravariant=True)


class CallMachine(Protocol[_Told_co]):
    """What `OutboundCall`, `InboundCall` and `Registration` have in common, as the driver needs it."""

    @property
    def sip_call_id(self) -> str: ...  # noqa: D102
    @property
    def finished(self) -> bool: ...  # noqa: D102
    def receive(self, message: Message, *, now: float, source: Hop | None = None) -> None: ...  # noqa: D102
    def unreachable(self, hop: Hop, why: str, *, now: float, again: bool = False) -> None: ...  # noqa: D102
    def handle_timer(self, *, now: float) -> None: ...  # noqa: D102
    def next_deadline(self) -> float | None: ...  # noqa: D102
    def outgoing(self) -> list[tuple[Message, Hop]]: ...  # noqa: D102
    def events(self) -> Sequence[_Told_co]: ...  # noqa: D102


class CallObserver(Protocol[_Heard_contra]):
    """Who is told about a driven call; called in the event loop, must not block."""

    def on_event(self, event: _Heard_contra, *, now: float) -> None:
        """Something happened to the call; `now` is Unix time in seconds."""
        ...

    def on_message(self, message: Message, peer: Hop, *, sent: bool, now: float) -> None:
        """A message of the call was sent or received."""
        ...


class Leg(Generic[_Event]):
    """One machine that the driver runs."""

    def __init__(
        self, driver: SipDriver, machine: CallMachine[_Event], observer: CallObserver[_Event]
    ) -> None:
        self._driver, self.machine, self.observer = driver, machine, observer
        self._timer: asyncio.TimerHandle | None = None
        self.finished = asyncio.Event()

    def act(self, step: Callable[[float], None]) -> None:
        """Run `step(now)`, which may call methods of the machine, then send and tell what came of it."""
        now = clock.now()
        step(now)
        self._drain(now)

    def receive(self, message: Message, source: Hop) -> None:
        """Hand a message to the machine."""
        now = clock.now()
        self.observer.on_message(message, source, sent=False, now=now)
        self.machine.receive(message, now=now, source=source)
        self._drain(now)

    def unreachable(self, hop: Hop, why: str, *, again: bool) -> None:
        """Tell the machine that a hop cannot be reached, or that the connection to it is lost."""
        self.act(lambda now: self.machine.unreachable(hop, why, now=now, again=again))

    def abandon(self) -> None:
        """Stop running the machine without another word to the peer."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self.finished.set()

    def _drain(self, now: float) -> None:
        for message, destination in self.machine.outgoing():
            self.observer.on_message(message, destination, sent=True, now=now)
            self._driver.send(message, destination)
        for event in self.machine.events():
            self.observer.on_event(event, now=now)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        deadline = self.machine.next_deadline()
        if self.machine.finished:
            self._driver.forget(self)
        elif deadline is not None:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(max(0.0, deadline - now), self.act, self._on_timer)

    def _on_timer(self, now: float) -> None:
        self.machine.handle_timer(now=now)


StrayHandler = Callable[[Request, Hop], None]


class SipDriver:
    """Call machines by Call-ID on the sockets of one address."""

    def __init__(
        self,
        *,
        on_stray_request: StrayHandler | None = None,
        tls: TlsSettings = TlsSettings(),
        public_address: PublicAddress = PublicAddress(),
        limits: StreamLimits = StreamLimits(),
        resolve: Resolve = resolve,
        refusal: Reply | None = None,
    ) -> None:
        """Prepare.

        Args:
            on_stray_request: takes requests of unknown Call-IDs; by default `replies.stray_reply` answers.
            tls: certificates, and whom to trust.
            public_address: what a NAT shows for this machine.
            limits: bounds on connections.
            resolve: gives the address of a host and port; by default the system's.
            refusal: the answer to calls that come in when nobody takes requests; 405 when None.
        """
        self._on_stray_request = on_stray_request or self._refuse_stray
        self._public, self._refusal = public_address, refusal
        self._legs: dict[str, Leg[Any]] = {}
        self._transports = Transports(
            receive=self._on_message,
            unreachable=self._on_unreachable,
            is_live=self._legs.__contains__,
            tls=tls,
            limits=limits,
            resolve=resolve,
        )

    async def open(self, *, host: str, port: int = 0, listen: Collection[Transport] = UDP_AND_TCP) -> None:
        """Bind the sockets, all at one port.

        Raises:
            NetworkError: the address cannot be bound, or the STUN server does not answer.
            LocalProtocolError: TLS without a usable certificate.
        """
        await self._transports.open(host=host, port=port, listen=listen)
        if self._public.stun_server is not None:
            try:
                self._public = PublicAddress(*await self._transports.mapped_address(self._public.stun_server))
            except BaseException:
                await self._transports.close()
                raise

    @property
    def local(self) -> Address:
        """Address and port the sockets are bound to."""
        return self._transports.local

    def shown(self, host: str) -> Address:
        """Where far ends reach the SIP sockets, for Via and Contact; its host also for SDP.

        Args:
            host: local address towards the far end, which is shown where there is no NAT.
        """
        return self._public.of((host, self.local[1]))

    @property
    def malformed(self) -> int:
        """What came in place of a SIP message and is none."""
        return self._transports.malformed

    @property
    def refused_connections(self) -> int:
        """Connections that were closed at once, because too many stood."""
        return self._transports.refused_connections

    @property
    def calls(self) -> int:
        """How many machines run."""
        return len(self._legs)

    def add(self, machine: CallMachine[_Event], observer: CallObserver[_Event]) -> Leg[_Event]:
        """Run a machine from now on; a machine with the same Call-ID is replaced."""
        leg = Leg(self, machine, observer)
        self._legs[machine.sip_call_id] = leg
        return leg

    def leg_of(self, sip_call_id: str) -> Leg[Any] | None:
        """The leg with this Call-ID; None when there is none, or its machine has finished."""
        return self._legs.get(sip_call_id)

    def forget(self, leg: Leg[Any]) -> None:
        """Stop running a leg; its machine has finished or is given up."""
        leg.abandon()
        if self._legs.get(leg.machine.sip_call_id) is leg:
            del self._legs[leg.machine.sip_call_id]

    def send(self, message: Message, hop: Hop) -> None:
        """Send a message to a host name or address."""
        self._transports.send(message, hop)

    def reply(self, request: Request, response: Response, source: Hop) -> None:
        """Send a response to a stray request, outside any transaction, back the way the request came."""
        self._transports.send(response, way_back(request, source))

    async def close(self) -> None:
        """Give up all legs and free the port; done when no socket is left."""
        for leg in list(self._legs.values()):
            self.forget(leg)
        await self._transports.close()

    def _on_message(self, message: Message, source: Hop) -> None:
        leg = self._legs.get(message.call_id)
        try:
            if leg is not None:
                leg.receive(message, source)
            elif isinstance(message, Request):
                note_source(message, source)
                self._on_stray_request(message, source)
        except ProtocolError as error:
            # One message must not cost a connection that other calls use.
            logger.warning("dropped a message from %s: %s", source, error)

    def _on_unreachable(self, hop: Hop, why: str, again: bool) -> None:
        logger.info("%s", why)
        for leg in list(self._legs.values()):
            leg.unreachable(hop, why, again=again)

    def _refuse_stray(self, request: Request, source: Hop) -> None:
        answer = stray_reply(request, DEFAULT_EXTENSIONS.supported)
        if request.method == "INVITE" and request.to.tag is None:
            answer = self._refusal or answer
        if answer is not None:
            self.reply(request, answer.to(request, tag=RandomIds().tag()), source)
