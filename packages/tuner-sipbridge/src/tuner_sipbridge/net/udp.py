"""A UDP socket for SIP signalling (RFC 3261 §18)."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections import deque
from collections.abc import Callable
from typing import cast

from tuner_sipbridge.errors import NetworkError

logger = logging.getLogger("tuner_sipbridge.net")

Address = tuple[str, int]

_READ_AFTER = 32
"""Datagrams sent in one go after which the kernel's buffer is emptied: it holds the answers to a few hundred."""
_MOST_WAITING_OCTETS = 4 * 2**20
_OVERHEAD_OCTETS = 512
"""What a waiting datagram is counted for besides its octets, so that empty ones are bounded too."""
_DATAGRAM_OCTETS = 65536


class UdpEndpoint(asyncio.DatagramProtocol):
    """One bound socket; every datagram goes to `receive(data, source)`.

    Create it with `open`; close it with `close`.
    """

    def __init__(self, receive: Callable[[bytes, Address], None]) -> None:
        self._receive = receive
        self._transport: asyncio.DatagramTransport | None = None
        self._socket: socket.socket | None = None
        self._sent = 0
        self._waiting: deque[tuple[bytes, Address]] = deque()
        self._waiting_octets = 0
        self.local: Address = ("", 0)

    @classmethod
    async def open(
        cls, receive: Callable[[bytes, Address], None], *, host: str, port: int = 0
    ) -> UdpEndpoint:
        """Bind `host:port` (0: any free port).

        Raises:
            NetworkError: the address cannot be bound.
        """
        loop = asyncio.get_running_loop()
        try:
            _, endpoint = await loop.create_datagram_endpoint(lambda: cls(receive), local_addr=(host, port))
        except OSError as error:
            raise NetworkError(f"cannot bind UDP {host}:{port}: {error.strerror or error}") from error
        return endpoint

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Called by asyncio once the socket is bound."""
        # On CPython 3.11 the selector's transport is no instance of DatagramTransport, though it is one.
        self._transport = cast(asyncio.DatagramTransport, transport)
        # asyncio reads one datagram a turn of its loop, and its socket cannot be read by others.
        shared: socket.socket = transport.get_extra_info("socket").dup()
        shared.setblocking(False)
        self._socket = shared
        host, port = transport.get_extra_info("sockname")[:2]
        self.local = (host, port)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        """Called by asyncio for each datagram."""
        self._sent = 0
        if self._waiting:
            self._keep(data, (addr[0], addr[1]))
        else:
            self._receive(data, (addr[0], addr[1]))

    def error_received(self, exc: Exception) -> None:
        """Called by asyncio for an ICMP error: the timers of the transaction decide what it means."""
        logger.debug("UDP %s:%d: %s", *self.local, exc)

    def send(self, data: bytes, destination: Address) -> None:
        """Send one datagram; after `close` it is dropped."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.sendto(data, destination)
            self._sent += 1
            if self._sent >= _READ_AFTER:
                self._sent = 0
                self._take_in()

    def close(self) -> None:
        """Free the port."""
        self._waiting.clear()
        self._waiting_octets = 0
        if self._socket is not None:
            self._socket.close()
            self._socket = None
        if self._transport is not None:
            self._transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        """Called by asyncio when the socket is closed."""
        self.close()

    def _take_in(self) -> None:
        """Take what came while many are being sent; it is handed on when the sender is done."""
        while self._socket is not None and self._waiting_octets < _MOST_WAITING_OCTETS:
            try:
                data, source = self._socket.recvfrom(_DATAGRAM_OCTETS)
            except OSError:  # nothing more, or an ICMP error, which the timers of the transaction are for
                break
            if not self._waiting:
                asyncio.get_running_loop().call_soon(self._hand_on)
            self._keep(data, (source[0], source[1]))

    def _keep(self, data: bytes, source: Address) -> None:
        self._waiting.append((data, source))
        self._waiting_octets += len(data) + _OVERHEAD_OCTETS

    def _hand_on(self) -> None:
        """Give on what was waiting, a datagram a turn of the loop, as asyncio would."""
        if not self._waiting:
            return
        data, source = self._waiting.popleft()
        self._waiting_octets -= len(data) + _OVERHEAD_OCTETS
        self._sent = 0
        if self._waiting:
            asyncio.get_running_loop().call_soon(self._hand_on)
        self._receive(data, source)


def local_address_towards(remote: Address) -> str:
    """Address of the interface from which `remote` is reached; no packet is sent.

    Raises:
        NetworkError: there is no route.
    """
    family = socket.AF_INET6 if ":" in remote[0] else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(remote)
        except OSError as error:
            raise NetworkError(f"no route to {remote[0]}: {error.strerror or error}") from error
        return str(probe.getsockname()[0])


async def resolve(host: str, port: int) -> Address:
    """The first address of `host` (A, then AAAA by the system's resolver).

    Raises:
        NetworkError: the name is not known.
    """
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_DGRAM)
    except OSError as error:
        raise NetworkError(
            f"cannot resolve {host}: {error.strerror or error}; check the SIP URI's host"
        ) from error
    address = found[0][4]
    return str(address[0]), int(address[1])
