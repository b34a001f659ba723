"""TCP and TLS connections for SIP: opened when needed, used both ways, looked after (RFC 3261 §18, RFC 5923)."""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import Callable
from dataclasses import replace
from functools import cached_property
from typing import TypeAlias
from weakref import WeakSet

from tuner_sipbridge.errors import LocalProtocolError, NetworkError
from tuner_sipbridge.net.connect import connect, share_port
from tuner_sipbridge.net.connect_errors import why_not_connected
from tuner_sipbridge.net.connection import Connection, ConnectionUser, StreamLimits
from tuner_sipbridge.net.ids import RandomIds
from tuner_sipbridge.net.tls import TlsSettings
from tuner_sipbridge.sip.framing import Malformed
from tuner_sipbridge.sip.message import Message, Request
from tuner_sipbridge.sip.refusal import refusal_of
from tuner_sipbridge.sip.routing import Address, Hop, Transport

logger = logging.getLogger("tuner_sipbridge.net")

_Far: TypeAlias = tuple[Transport, str, int]
_CLOSED = "closed from our side"
_FAREWELL_S = 1.0
"""How long far ends may take for what was still to be sent, and for their part of closing TLS."""
_WITHOUT_ADDRESS = {"", "0.0.0.0", "::"}

Receive: TypeAlias = Callable[[Message, Hop], None]
"""Takes a message and where it came from."""
Unreachable: TypeAlias = Callable[[Hop, str, bool], None]
"""Told that requests to a hop are lost, why, and whether they may be sent once more."""
IsLive: TypeAlias = Callable[[str], bool]
"""Whether a call with this Call-ID goes on."""


class StreamEndpoint(ConnectionUser):
    """All connections of one user agent.

    A message goes over the connection that its hop names, else over one that stands to the same transport, address
    and name, else over a new one. Requests that wait for a connection which cannot be made, or went over one that
    is lost, are reported to `unreachable`, never from within `send`.
    """

    def __init__(
        self,
        *,
        receive: Receive,
        unreachable: Unreachable,
        is_live: IsLive,
        tls: TlsSettings,
        limits: StreamLimits,
    ) -> None:
        self._receive, self._unreachable, self._is_live = receive, unreachable, is_live
        self._tls, self._limits = tls, limits
        self._host: str | None = None
        self.ports: dict[Transport, int] = {}
        """Where connections are accepted."""
        self._servers: list[asyncio.Server] = []
        self._connections: set[Connection] = set()
        self._alive: WeakSet[Connection] = WeakSet()
        self._by_far: dict[_Far, Connection] = {}
        self._by_hop: dict[Hop, Connection] = {}
        self._names: dict[_Far, str] = {}
        self._waiting: dict[Hop, list[tuple[Message, Hop]]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._closed = False
        self.refused = 0
        """Connections that were closed at once, because too many stood."""
        self.malformed = 0
        """What came in place of a message and is none."""

    async def listen(self, kind: Transport, host: str, port: int) -> Address:
        """Accept connections on `host:port` (0: any free port); gives the address they come to.

        Raises:
            NetworkError: the address cannot be bound.
            LocalProtocolError: TLS without a usable certificate.
        """
        context = self._tls.server_context() if kind == "tls" else None
        try:
            server = await asyncio.get_running_loop().create_server(
                lambda: self._begun(kind, opened_by_us=False),
                host,
                port,
                ssl=context,
                ssl_handshake_timeout=self._limits.connect_s if context else None,
            )
        except OSError as error:
            raise NetworkError(f"cannot bind TCP {host}:{port}: {error.strerror or error}") from error
        self._servers.append(server)
        for end in server.sockets:
            share_port(end)
        bound = server.sockets[0].getsockname()
        self.ports[kind] = bound[1]
        return bound[0], bound[1]

    def send_from(self, host: str) -> None:
        """Open connections from this local address, and from the port of `listen`."""
        self._host = None if host in _WITHOUT_ADDRESS else host

    def send(self, message: Message, hop: Hop, *, to: Hop) -> None:
        """Send a message, over a new connection if need be.

        Args:
            message: what to send.
            hop: where its sender wants it; what `unreachable` is told.
            to: the same with an address in place of a name.
        """
        connection = self._standing(to)
        if connection is not None:
            connection.send(message, hop)
            return
        far = _key(to)
        if far not in self._waiting:
            self._waiting[far] = []
            task = asyncio.get_running_loop().create_task(self._connect(far))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        self._waiting[far].append((message, hop))

    def stop_listening(self) -> None:
        """Accept no more connections, and free the ports; for ports that nobody was told of."""
        for server in self._servers:
            server.close()
        self._servers.clear()
        self.ports.clear()

    def has_flow(self, transport: Transport, far: Address) -> bool:
        """Whether a connection to this far address stands."""
        known = self._by_far.get((transport, *far))
        return known is not None and known.ended is None

    async def close(self) -> None:
        """Close all connections in order, and accept no more; done when their sockets are free."""
        self._closed = True
        if self._timer is not None:
            self._timer.cancel()
        for task in self._tasks:
            task.cancel()
        await self._stop_listening()
        for connection in list(self._connections):
            connection.close(_CLOSED)
        await asyncio.gather(*self._tasks, return_exceptions=True)
        ending = {asyncio.create_task(one.gone.wait()) for one in self._alive if one.ended is not None}
        if ending:
            _, ending = await asyncio.wait(ending, timeout=_FAREWELL_S)
        if ending:
            for connection in self._alive:
                connection.abort(_CLOSED)
            await asyncio.wait(ending, timeout=_FAREWELL_S)

    async def _stop_listening(self) -> None:
        """Close the ports in the order that asyncio needs: it forgets what it accepted for a server that is closed."""
        for server in self._servers:
            for end in server.sockets:
                asyncio.get_running_loop().remove_reader(end)
        # What was accepted before that gets its Connection in this turn of the loop, and stands in the next.
        for _ in range(2):
            await asyncio.sleep(0)
        for server in self._servers:
            server.close()

    def on_made(self, connection: Connection) -> None:
        """Keep a connection, unless it is one too many, or its far end is not who it should be."""
        if self._closed:
            connection.abort(_CLOSED)
            return
        if connection.opened_by_us:
            certificate, alternatives = connection.certificate, connection.alternatives
            if objection := self._tls.objection_to(certificate, alternatives, name=connection.name):
                connection.abort(objection)
                return
        accepted = sum(not known.opened_by_us for known in self._connections)
        if not connection.opened_by_us and accepted >= self._limits.connections:
            self.refused += 1
            logger.warning("refused a connection: %d stand already", accepted)
            connection.abort("too many connections")
            return
        self._connections.add(connection)
        self._by_far[_far(connection.peer)] = connection
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(self._limits.look_after_s, self._look_after)

    def on_message(self, message: Message, connection: Connection) -> None:
        """Hand a message on."""
        self._receive(message, connection.peer)

    def on_malformed(self, malformed: Malformed, connection: Connection) -> None:
        """Say no to what cannot be read, on the connection it came on."""
        self.malformed += 1
        logger.info("%s: refused a message: %s", connection.peer, malformed.fault)
        peer, tag = connection.peer.address, RandomIds().tag()
        refusal = refusal_of(malformed.octets, malformed.fault, source=peer, to_tag=tag)
        if refusal is not None:
            connection.refuse(refusal)

    def on_lost(self, connection: Connection, why: str) -> None:
        """Forget a connection, and tell of the requests that went over it."""
        self._connections.discard(connection)
        if self._by_far.get(_far(connection.peer)) is connection:
            del self._by_far[_far(connection.peer)]
        for far in [far for far, known in self._by_hop.items() if known is connection]:
            del self._by_hop[far]
        logger.info("%s: connection ended: %s", connection.peer, why)
        if not self._closed:
            text = f"{connection.peer}: the connection was lost before an answer came: {why}{self._hint(connection)}"
            for hop in connection.hops:
                self._unreachable(hop, text, connection.heard)

    def _standing(self, to: Hop) -> Connection | None:
        known = [self._by_far.get((to.transport, *to.flow)) if to.flow is not None else None]
        known.append(self._by_hop.get(_key(to)))
        # An address without a name is proved by whatever connection stands to it.
        known.append(self._by_far.get(_far(to)) if to.name is None else None)
        return next((one for one in known if one is not None and one.ended is None), None)

    async def _connect(self, far: Hop) -> None:
        # A name that was proved at this address before must be proved again.
        name = far.name or self._names.get(_far(far))
        try:
            connection = await self._open(far, name or far.host)
        except OSError as error:
            named = replace(far, name=name)
            self._give_up(far, why_not_connected(named, error, within_s=self._limits.connect_s))
            return
        except LocalProtocolError as error:
            self._give_up(far, str(error))
            return
        if connection.ended is not None:
            self._give_up(far, f"{far}: {connection.ended}")
            return
        self._by_hop[far] = connection
        if name is not None:
            self._names[_far(far)] = name
        for message, hop in self._waiting.pop(far):
            connection.send(message, hop)

    async def _open(self, far: Hop, name: str) -> Connection:
        context = self._client_context if far.transport == "tls" else None
        port = self.ports.get(far.transport) or self.ports.get("tcp", 0)
        async with asyncio.timeout(self._limits.connect_s):
            _, connection = await asyncio.get_running_loop().create_connection(
                lambda: self._begun(far.transport, opened_by_us=True, name=name),
                sock=await connect(far.address, host=self._host, port=port),
                ssl=context,
                server_hostname=name if context else None,
                # Shorter than the whole, so that a silent port can be told from a silent handshake.
                ssl_handshake_timeout=self._limits.connect_s * 0.8 if context else None,
            )
        return connection

    def _begun(self, kind: Transport, *, opened_by_us: bool, name: str | None = None) -> Connection:
        connection = Connection(self, kind, self._limits, opened_by_us=opened_by_us, name=name)
        self._alive.add(connection)
        return connection

    @cached_property
    def _client_context(self) -> ssl.SSLContext:
        return self._tls.client_context()

    def _give_up(self, far: Hop, why: str) -> None:
        waiting = self._waiting.pop(far)
        hops = {hop for message, hop in waiting if isinstance(message, Request)}
        if not hops:
            logger.warning("no way back for a response: %s", why)
        for hop in hops:
            self._unreachable(hop, why, False)

    def _hint(self, connection: Connection) -> str:
        """TLS 1.3 tells a client only after the handshake that its certificate is missing, and some tell it not."""
        silent = connection.opened_by_us and not connection.heard
        if connection.peer.transport == "tls" and silent and self._tls.certificate is None:
            return "; if it asks callers for a certificate, give one (--tls-cert)"
        return ""

    def _look_after(self) -> None:
        loop = asyncio.get_running_loop()
        for connection in list(self._connections):
            connection.look_after(self._is_live, now=loop.time())
        self._timer = (
            loop.call_later(self._limits.look_after_s, self._look_after) if self._connections else None
        )


def _key(hop: Hop) -> Hop:
    """What makes two hops the same connection."""
    return replace(hop, flow=None)


def _far(hop: Hop) -> _Far:
    return hop.transport, hop.host, hop.port
