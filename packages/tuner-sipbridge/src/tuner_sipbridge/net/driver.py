"""Runs call machines on sockets: feeds them messages and the clock, sends what they give out.

The machines are pure and hold all the rules; this file only moves messages, arms timers and tells what happened.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Collection, Coroutine, Sequence
from functools import partial
from typing import Any, Generic, Protocol, TypeVar

from tuner_sipbridge.call.extensions import DEFAULT_EXTENSIONS
from tuner_sipbridge.call.replies import Reply, stray_reply
from tuner_sipbridge.errors import ProtocolError, SipBridgeError
from tuner_sipbridge.media.engine import MediaEngine, MediaStream
from tuner_sipbridge.net import clock
from tuner_sipbridge.net.connection import StreamLimits
from tuner_sipbridge.net.ids import RandomIds
from tuner_sipbridge.net.locator import Locator
from tuner_sipbridge.net.public_address import PublicAddress
from tuner_sipbridge.net.tls import TlsSettings
from tuner_sipbridge.net.transports import UDP_AND_TCP, Transports
from tuner_sipbridge.net.udp import local_address_towards
from tuner_sipbridge.sip.message import Message, Request, Response
from tuner_sipbridge.sip.routing import Address, Hop, Transport, note_source, way_back
from tuner_sipbridge.sip.targets import Penalties

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
    def located(self, request: Request, target: Hop | None, *, now: float) -> None: ...  # noqa: D102
    def unheard(self, branch: str, method: str, why: str, *, now: float) -> None: ...  # noqa: D102
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
        self._locating: set[tuple[str | None, str]] = set()
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
            if isinstance(message, Request) and self._driver.must_locate(destination):
                self._locate(message, destination)
                continue
            if why := self._driver.no_tcp_at(destination):
                asyncio.get_running_loop().call_soon(partial(self.unreachable, destination, why, again=False))
                continue
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

    def _locate(self, request: Request, hop: Hop) -> None:
        key = request.via.branch, request.method
        if key not in self._locating:
            self._locating.add(key)
            self._driver.spawn(self._send_located(request, hop, key))

    async def _send_located(self, request: Request, hop: Hop, key: tuple[str | None, str]) -> None:
        """Find the next target of a request's name, and let the machine send it there."""
        targets, problem = await self._driver.targets_of(hop)
        self._locating.discard(key)
        if self.finished.is_set():
            return
        if problem and not (hop.sought and hop.sought.failed):
            self.unreachable(hop, problem, again=False)
            return
        target = targets[0] if targets else None
        self.act(lambda now: self.machine.located(request, target, now=now))
        if len(targets) > 1 and request.method != "ACK":
            self._driver.after_patience(
                partial(self._lose_patience, request.via.branch or "", request.method)
            )

    def _lose_patience(self, branch: str, method: str, why: str) -> None:
        if not self.finished.is_set():
            self.act(lambda now: self.machine.unheard(branch, method, why, now=now))


StrayHandler = Callable[[Request, Hop], None]
NEXT_TARGET_AFTER_S = 10.0
"""An edge that is alive says 100 within 200 ms (RFC 3261 §17.2.1); this leaves room for a bad network."""


class SipDriver:
    """Call machines by Call-ID on the sockets of one address."""

    def __init__(
        self,
        *,
        on_stray_request: StrayHandler | None = None,
        tls: TlsSettings = TlsSettings(),
        public_address: PublicAddress = PublicAddress(),
        limits: StreamLimits = StreamLimits(),
        locator: Locator | None = None,
        next_target_after_s: float = NEXT_TARGET_AFTER_S,
        refusal: Reply | None = None,
        keeps: Callable[[str], bool] = lambda call_id: False,
    ) -> None:
        """Prepare.

        Args:
            on_stray_request: takes requests of unknown Call-IDs; by default `replies.stray_reply` answers.
            tls: certificates, and whom to trust.
            public_address: what a NAT shows for this machine.
            limits: bounds on connections.
            locator: finds the targets of requests that go to names (RFC 3263); one of its own when None.
            next_target_after_s: seconds without any response after which the next target of a name is tried.
            refusal: the answer to calls that come in when nobody takes requests; 405 when None.
            keeps: whether the connection that requests of a Call-ID went over is kept though no machine runs for it:
                a registration stands that came over it.
        """
        self._on_stray_request = on_stray_request or self._refuse_stray
        self._public, self._refusal, self._keeps = public_address, refusal, keeps
        self._locator, self._patience_s = locator or Locator(), next_target_after_s
        self._without_tcp = Penalties[Address]()
        self._tasks: set[asyncio.Task[None]] = set()
        self._legs: dict[str, Leg[Any]] = {}
        self._transports = Transports(
            receive=self._on_message,
            unreachable=self._on_unreachable,
            is_live=self._is_live,
            tls=tls,
            limits=limits,
        )

    async def open(self, *, host: str, port: int = 0, listen: Collection[Transport] = UDP_AND_TCP) -> None:
        """Bind the sockets, all at one port; TLS beside TCP at the port above it, or any when that is open.

        Raises:
            NetworkError: the address cannot be bound, or the STUN server does not answer.
            LocalProtocolError: TLS without a usable certificate.
        """
        await self._transports.open(host=host, port=port, listen=listen)
        if self._public.stun_server is not None:
            try:
                shown, server = await self._transports.ask(self._public.stun_server)
                self._public = PublicAddress(*shown, stun_server=server)
            except BaseException:
                await self._transports.close()
                raise

    @property
    def local(self) -> Address:
        """Address and port the sockets are bound to."""
        return self._transports.local

    def shown(self, host: str, transport: Transport = "udp") -> Address:
        """Where far ends reach the SIP sockets, for Via and Contact.

        Args:
            host: local address towards the far end, which is shown where there is no NAT.
            transport: what they would come by.
        """
        return self._public.of((host, self._transports.port_for(transport)))

    async def open_media(
        self, engine: MediaEngine, host: str, *, live: bool = False, record: bool = True
    ) -> MediaStream:
        """Open a stream at a local address; what a NAT shows for its port is asked where it was for SIP.

        Raises:
            MediaError: there is no port, or the STUN server does not answer.
        """
        public = self._public
        stream = await engine.open(host=host, live=live, record=record, stun=public.stun_server)
        if stream.mapped is not None and stream.mapped[0] != public.host:
            logger.warning(
                "the NAT shows %s for SIP and %s for media: far ends that expect both from one address refuse calls",
                public.host,
                stream.mapped[0],
            )
        return stream

    def media_shown(self, stream: MediaStream) -> Address:
        """Where far ends reach a stream, for SDP."""
        host, port = stream.local
        return stream.mapped or (self._public.host or host, port)

    def host_towards(self, hop: Hop) -> str:
        """The local address that a far end reaches; sockets that are bound to all interfaces have one for each.

        Raises:
            NetworkError: there is no route to it.
        """
        host = self.local[0]
        return local_address_towards(hop.flow or hop.address) if host in {"0.0.0.0", "::"} else host

    def has_flow(self, hop: Hop) -> bool:
        """Whether the connection that a hop names stands; over UDP there is none to lose."""
        return not hop.is_stream or self._transports.has_flow(hop)

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
        for task in self._tasks:
            task.cancel()
        await self._transports.close()

    def must_locate(self, hop: Hop) -> bool:
        """Whether a hop is a name that no connection stands to."""
        return hop.sought is not None and not self._transports.has_flow(hop)

    def no_tcp_at(self, hop: Hop) -> str:
        """Why a message goes over UDP after all, since its target took no TCP a moment ago; else empty."""
        return self._without_tcp.standing(now=clock.now()).get(hop.address, "") if hop.for_length else ""

    async def targets_of(self, hop: Hop) -> tuple[list[Hop], str]:
        """The targets of a name, best first, that this user agent can send to; or why there are none."""
        assert hop.sought is not None
        try:
            family = "ipv6" if ":" in self.local[0] else "ipv4"
            return await self._locator.onwards(hop.sought, family), ""
        except SipBridgeError as error:
            return [], str(error)

    def spawn(self, coroutine: Coroutine[Any, Any, None]) -> None:
        """Run something until it is done, or this user agent is closed."""
        task = asyncio.get_running_loop().create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def after_patience(self, give_up: Callable[[str], None]) -> None:
        """Call `give_up` with why, when a target had its time to respond."""
        why = f"no response came in {self._patience_s:g} s"
        asyncio.get_running_loop().call_later(self._patience_s, give_up, why)

    def _is_live(self, call_id: str) -> bool:
        return call_id in self._legs or self._keeps(call_id)

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
        if hop.for_length and not again:
            self._without_tcp.note(hop.address, why, now=clock.now())
        for leg in list(self._legs.values()):
            leg.unreachable(hop, why, again=again)

    def _refuse_stray(self, request: Request, source: Hop) -> None:
        answer = stray_reply(request, DEFAULT_EXTENSIONS.supported)
        if request.method == "INVITE" and request.to.tag is None:
            answer = self._refusal or answer
        if answer is not None:
            self.reply(request, answer.to(request, tag=RandomIds().tag()), source)
