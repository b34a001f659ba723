"""Runs call machines on a UDP socket: feeds them datagrams and the clock, sends what they give out.

The machines are pure and hold all the rules; this file only moves bytes, arms timers and tells what happened.
"""

from __future__ import annotations

import asyncio
import ipaddress
import logging
from collections.abc import Callable
from typing import Protocol

from tuner_sipbridge.call.events import CallEvent
from tuner_sipbridge.call.outbound import OutboundCall
from tuner_sipbridge.errors import NetworkError, RemoteProtocolError
from tuner_sipbridge.net import clock
from tuner_sipbridge.net.ids import RandomIds
from tuner_sipbridge.net.udp import Address, UdpEndpoint, resolve
from tuner_sipbridge.sip.message import Message, Request, response_to
from tuner_sipbridge.sip.parser import parse_datagram

logger = logging.getLogger("tuner_sipbridge.net")


class CallMachine(Protocol):
    """What `OutboundCall` and `InboundCall` have in common, as the driver needs it."""

    @property
    def sip_call_id(self) -> str: ...  # noqa: D102
    @property
    def finished(self) -> bool: ...  # noqa: D102
    def receive(self, message: Message, *, now: float, source: Address | None = None) -> None: ...  # noqa: D102
    def handle_timer(self, *, now: float) -> None: ...  # noqa: D102
    def next_deadline(self) -> float | None: ...  # noqa: D102
    def outgoing(self) -> list[tuple[Message, Address]]: ...  # noqa: D102
    def events(self) -> list[CallEvent]: ...  # noqa: D102


class CallObserver(Protocol):
    """Who is told about a driven call; called in the event loop, must not block."""

    def on_event(self, event: CallEvent, *, now: float) -> None:
        """Something happened to the call; `now` is Unix time in seconds."""
        ...

    def on_message(self, message: Message, peer: Address, *, sent: bool, now: float) -> None:
        """A message of the call was sent or received."""
        ...


class Leg:
    """One machine that the driver runs."""

    def __init__(self, driver: SipDriver, machine: CallMachine, observer: CallObserver) -> None:
        self._driver, self.machine, self._observer = driver, machine, observer
        self._timer: asyncio.TimerHandle | None = None
        self.finished = asyncio.Event()

    def act(self, step: Callable[[float], None]) -> None:
        """Run `step(now)`, which may call methods of the machine, then send and tell what came of it."""
        now = clock.now()
        step(now)
        self._drain(now)

    def receive(self, message: Message, source: Address) -> None:
        """Hand a message to the machine."""
        now = clock.now()
        self._observer.on_message(message, source, sent=False, now=now)
        self.machine.receive(message, now=now, source=source)
        self._drain(now)

    def fail(self, why: str) -> bool:
        """Tell the machine that a message cannot be sent; False when it leaves that to its timers."""
        machine = self.machine
        if not isinstance(machine, OutboundCall):
            return False
        self.act(lambda now: machine.fail(why, now=now))
        return True

    def abandon(self) -> None:
        """Stop running the machine without another word to the peer."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self.finished.set()

    def _drain(self, now: float) -> None:
        for message, destination in self.machine.outgoing():
            self._observer.on_message(message, destination, sent=True, now=now)
            self._driver.send(message, destination)
        for event in self.machine.events():
            self._observer.on_event(event, now=now)
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


StrayHandler = Callable[[Request, Address], None]


class SipDriver:
    """Call machines by Call-ID on one UDP socket."""

    def __init__(self, *, on_stray_request: StrayHandler | None = None) -> None:
        """Prepare.

        Args:
            on_stray_request: takes requests of unknown Call-IDs; by default they get 481 (RFC 3261 §12.2.2).
        """
        self._on_stray_request = on_stray_request or self._refuse_stray
        self._legs: dict[str, Leg] = {}
        self._endpoint: UdpEndpoint | None = None
        self._sending: set[asyncio.Task[None]] = set()
        self.malformed = 0
        """Datagrams that were no SIP message."""

    async def open(self, *, host: str, port: int = 0) -> None:
        """Bind the socket.

        Raises:
            NetworkError: the address cannot be bound.
        """
        self._endpoint = await UdpEndpoint.open(self._on_datagram, host=host, port=port)

    @property
    def local(self) -> Address:
        """Address and port the socket is bound to."""
        if self._endpoint is None:
            raise NetworkError("the SIP socket is not open")
        return self._endpoint.local

    def add(self, machine: CallMachine, observer: CallObserver) -> Leg:
        """Run a machine from now on; a machine with the same Call-ID is replaced."""
        leg = Leg(self, machine, observer)
        self._legs[machine.sip_call_id] = leg
        return leg

    def forget(self, leg: Leg) -> None:
        """Stop running a leg; its machine has finished or is given up."""
        leg.abandon()
        if self._legs.get(leg.machine.sip_call_id) is leg:
            del self._legs[leg.machine.sip_call_id]

    def send(self, message: Message, destination: Address) -> None:
        """Send a message to a host name or address."""
        data = message.to_bytes()
        if _is_address(destination[0]):
            self._send_bytes(data, destination)
            return
        task = asyncio.get_running_loop().create_task(self._resolve_and_send(message, data, destination))
        self._sending.add(task)
        task.add_done_callback(self._sending.discard)

    def close(self) -> None:
        """Give up all legs and free the port."""
        for leg in list(self._legs.values()):
            self.forget(leg)
        for task in self._sending:
            task.cancel()
        if self._endpoint is not None:
            self._endpoint.close()

    async def _resolve_and_send(self, message: Message, data: bytes, destination: Address) -> None:
        try:
            self._send_bytes(data, await resolve(*destination))
        except NetworkError as error:
            leg = self._legs.get(message.call_id)
            if leg is None or not leg.fail(str(error)):
                logger.warning("%s", error)

    def _send_bytes(self, data: bytes, destination: Address) -> None:
        if self._endpoint is not None:
            self._endpoint.send(data, destination)

    def _on_datagram(self, data: bytes, source: Address) -> None:
        if not data.strip(b"\r\n\x00 "):
            return  # a keep-alive (RFC 5626 §3.5.1, and the habits of NAT boxes)
        try:
            message = parse_datagram(data)
            leg = self._legs.get(message.call_id)
        except RemoteProtocolError as error:
            self.malformed += 1
            logger.info("dropped a datagram from %s:%d: %s", *source, error)
            return
        if leg is not None:
            leg.receive(message, source)
        elif isinstance(message, Request):
            self._on_stray_request(message, source)

    def _refuse_stray(self, request: Request, source: Address) -> None:
        if request.method != "ACK":
            self.send(response_to(request, 481, to_tag=RandomIds().tag()), source)


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return False
    return True
