"""UDP, TCP and TLS behind one `send`: resolves names, and tells what came and what could not be sent."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Awaitable, Callable, Collection
from dataclasses import replace
from typing import TypeAlias

from tuner_sipbridge.errors import NetworkError, RemoteProtocolError
from tuner_sipbridge.net.connection import StreamLimits
from tuner_sipbridge.net.ids import RandomIds
from tuner_sipbridge.net.streams import IsLive, Receive, StreamEndpoint, Unreachable
from tuner_sipbridge.net.stun_questions import StunQuestions
from tuner_sipbridge.net.tls import TlsSettings
from tuner_sipbridge.net.udp import UdpEndpoint, resolve
from tuner_sipbridge.rtp.packet import is_stun
from tuner_sipbridge.sip.message import Message, Request
from tuner_sipbridge.sip.parser import parse_datagram
from tuner_sipbridge.sip.refusal import refusal_of, way_back_of
from tuner_sipbridge.sip.routing import Address, Hop, Transport, is_address

logger = logging.getLogger("tuner_sipbridge.net")

Resolve: TypeAlias = Callable[[str, int], Awaitable[Address]]
"""Gives the address of a host and port, or raises NetworkError."""
UDP_AND_TCP: Collection[Transport] = ("udp", "tcp")
"""What an element listens on, at one port: requests too long for UDP come over TCP (RFC 3261 §18.1.1)."""
_MOST_TRIES = 16


class Transports:
    """The sockets of one user agent."""

    def __init__(
        self,
        *,
        receive: Receive,
        unreachable: Unreachable,
        is_live: IsLive,
        tls: TlsSettings = TlsSettings(),
        limits: StreamLimits = StreamLimits(),
        resolve: Resolve = resolve,
    ) -> None:
        """Prepare; nothing is opened before `open`.

        Args:
            receive: takes each message, and where it came from.
            unreachable: told that requests to a hop are lost, why, and whether they may be sent once more.
            is_live: whether a call with a Call-ID goes on; its connections are then kept.
            tls: certificates, and whom to trust.
            limits: bounds on connections.
            resolve: gives the address of a host and port.
        """
        self._receive, self._unreachable, self._resolve = receive, unreachable, resolve
        self._limits = limits
        self._streams = StreamEndpoint(
            receive=receive, unreachable=unreachable, is_live=is_live, tls=tls, limits=limits
        )
        self._udp: UdpEndpoint | None = None
        self._local: Address | None = None
        self._sending: set[asyncio.Task[None]] = set()
        self._malformed = 0
        self._questions: StunQuestions | None = None
        self._stun_server: Address = ("", 0)

    async def open(self, *, host: str, port: int = 0, listen: Collection[Transport] = UDP_AND_TCP) -> None:
        """Bind `host:port` for each of the transports; port 0 is any that is free for all of them.

        Raises:
            NetworkError: the address cannot be bound.
            LocalProtocolError: TLS without a usable certificate.
        """
        self._streams.send_from(host)
        for tries_left in range(_MOST_TRIES, 0, -1):
            try:
                self._local = await self._bind(host, port, listen)
            except NetworkError:
                # A free port of UDP may be taken for TCP.
                if port or tries_left == 1:
                    raise
            else:
                return

    @property
    def local(self) -> Address:
        """Address and port that all transports are bound to."""
        if self._local is None:
            raise NetworkError("the SIP sockets are not open")
        return self._local

    def port_for(self, transport: Transport) -> int:
        """The port at which a transport is listened for; that of `local` when it is not."""
        return self._streams.ports.get(transport, self.local[1])

    @property
    def malformed(self) -> int:
        """What came, over any transport, in place of a SIP message and is none."""
        return self._malformed + self._streams.malformed

    @property
    def refused_connections(self) -> int:
        """Connections that were closed at once, because too many stood."""
        return self._streams.refused

    async def ask(self, server: Address) -> tuple[Address, Address]:
        """What a NAT shows for the UDP socket, asked of a STUN server, and the address of that server.

        Raises:
            NetworkError: there is no UDP socket, the server is not known, does not answer, or refuses.
        """
        if self._udp is None:
            raise NetworkError("STUN needs a UDP socket, and none is open")
        family = socket.AF_INET6 if ":" in self.local[0] else socket.AF_INET
        self._stun_server = await resolve(*server, family=family)
        self._questions = StunQuestions(self._udp.send, what="SIP")
        return await self._questions.ask(self._stun_server), self._stun_server

    def send(self, message: Message, hop: Hop) -> None:
        """Send a message to a host name or address; failures come to `unreachable`, later."""
        if is_address(hop.host) or self.has_flow(hop):
            self._send_to(message, hop, hop)
            return
        task = asyncio.get_running_loop().create_task(self._resolve_and_send(message, hop))
        self._sending.add(task)
        task.add_done_callback(self._sending.discard)

    def has_flow(self, hop: Hop) -> bool:
        """Whether the connection that a hop names stands, so that its host need not be looked up."""
        return hop.flow is not None and self._streams.has_flow(hop.transport, hop.flow)

    async def close(self) -> None:
        """Free the ports and end the connections; done when no socket is left."""
        sending = list(self._sending)
        for task in sending:
            task.cancel()
        if self._udp is not None:
            self._udp.close()
        await asyncio.gather(*sending, return_exceptions=True)
        await self._streams.close()

    async def _bind(self, host: str, port: int, listen: Collection[Transport]) -> Address:
        bound = host, port
        if "udp" in listen:
            self._udp = await UdpEndpoint.open(self._on_datagram, host=host, port=port)
            bound = self._udp.local
        try:
            for kind in ("tcp", "tls"):
                if kind == "tls" and {"tcp", "tls"} <= set(listen):
                    # One port cannot be for both; 5061 beside 5060 is what the standard has (RFC 3261 §19.1.2).
                    await self._streams.listen(kind, host, port + 1 if port else 0)
                elif kind in listen:
                    bound = await self._streams.listen(kind, host, bound[1])
        except BaseException:
            self._streams.stop_listening()
            if self._udp is not None:
                self._udp.close()
                self._udp = None
            raise
        return bound

    async def _resolve_and_send(self, message: Message, hop: Hop) -> None:
        try:
            host, port = await self._resolve(hop.host, hop.port)
        except NetworkError as error:
            self._unreachable(hop, str(error), False)
        else:
            self._send_to(message, hop, replace(hop, host=host, port=port, name=hop.name or hop.host))

    def _send_to(self, message: Message, hop: Hop, to: Hop) -> None:
        if to.is_stream:
            self._streams.send(message, hop, to=to)
        elif self._udp is not None:
            self._udp.send(message.to_bytes(), to.address)
        elif isinstance(message, Request):
            why = f"{hop}: no UDP socket is open here"
            asyncio.get_running_loop().call_soon(self._unreachable, hop, why, False)

    def _on_datagram(self, data: bytes, source: Address) -> None:
        if not data.strip(b"\r\n\x00 "):
            return  # a keep-alive (RFC 5626 §3.5.1, and the habits of NAT boxes)
        if is_stun(data):
            if self._questions is not None:
                self._questions.receive(data, self._stun_server)
            return
        try:
            message = parse_datagram(data, self._limits.message)
        except RemoteProtocolError as error:
            self._malformed += 1
            logger.info("refused a datagram from %s:%d: %s", *source, error)
            refusal = refusal_of(data, error, source=source, to_tag=RandomIds().tag())
            if refusal is not None and self._udp is not None:
                self._udp.send(refusal.to_bytes(), way_back_of(refusal, source))
            return
        self._receive(message, Hop("udp", *source))
