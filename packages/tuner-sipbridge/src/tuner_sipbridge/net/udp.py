"""A UDP socket for SIP signalling (RFC 3261 §18)."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections import deque
from collections.abc import Callable

from tuner_sipbridge.errors import NetworkError

logger = logging.getLogger("tuner_sipbridge.net")

Address = tuple[str, int]

_READ_AFTER = 32
"""Datagrams sent in one go after which the kernel's buffer is emptied: it holds the answers to a few hundred."""
_MOST_WAITING_OCTETS = 4 * 2**20
_OVERHEAD_OCTETS = 512
"""What a waiting datagram is counted for besides its octets, so that empty ones are bounded too."""
_DATAGRAM_OCTETS = 65536
_A_TURN = 4
"""Datagrams handed on in one turn of the loop, so that whatever else runs in it waits little."""


class UdpEndpoint:
    """One bound socket; every datagram goes to `receive(data, source)`.

    Create it with `open`; close it with `close`. asyncio's own transport reads one datagram a turn of the loop, each
    into 256 kB of fresh memory, and loses those that come while many are being sent.
    """

    def __init__(self, bound: socket.socket, receive: Callable[[bytes, Address], None]) -> None:
        self._receive = receive
        self._socket: socket.socket | None = bound
        self._loop = asyncio.get_running_loop()
        self._buffer = bytearray(_DATAGRAM_OCTETS)
        self._sent = 0
        self._waiting: deque[tuple[bytes, Address]] = deque()
        self._waiting_octets = 0
        self._turn: asyncio.Handle | None = None
        host, port = bound.getsockname()[:2]
        self.local: Address = (host, port)

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
            family, kind, protocol, _, address = (
                await loop.getaddrinfo(host, port, type=socket.SOCK_DGRAM, flags=socket.AI_PASSIVE)
            )[0]
            bound = socket.socket(family, kind, protocol)
            try:
                bound.setblocking(False)
                bound.bind(address)
            except BaseException:
                bound.close()
                raise
        except OSError as error:
            raise NetworkError(f"cannot bind UDP {host}:{port}: {error.strerror or error}") from error
        endpoint = cls(bound, receive)
        loop.add_reader(bound, endpoint._on_readable)
        return endpoint

    def send(self, data: bytes, destination: Address) -> None:
        """Send one datagram; it is lost after `close`, and when the kernel takes no more at present."""
        if self._socket is None:
            return
        try:
            self._socket.sendto(data, destination)
        except OSError as error:  # the timers of the transaction decide what it means
            logger.debug("UDP %s:%d: %s", *self.local, error)
        self._sent += 1
        if self._sent >= _READ_AFTER:
            self._sent = 0
            self._take_in(self._socket)

    def close(self) -> None:
        """Free the port."""
        if self._socket is None:
            return
        self._loop.remove_reader(self._socket)
        self._socket.close()
        self._socket = None
        self._waiting.clear()
        self._waiting_octets = 0
        if self._turn is not None:
            self._turn.cancel()

    def _on_readable(self) -> None:
        self._sent = 0
        if self._socket is not None:
            self._take_in(self._socket)

    def _take_in(self, end: socket.socket) -> None:
        """Take what came; it is handed on when whoever runs is done, if only with sending many."""
        while self._waiting_octets < _MOST_WAITING_OCTETS:
            try:
                size, source = end.recvfrom_into(self._buffer)
            except OSError:  # nothing more, or an ICMP error, which the timers of the transaction are for
                break
            self._waiting.append((bytes(memoryview(self._buffer)[:size]), (source[0], source[1])))
            self._waiting_octets += size + _OVERHEAD_OCTETS
        if self._waiting and self._turn is None:
            self._turn = self._loop.call_soon(self._hand_on)

    def _hand_on(self) -> None:
        self._sent = 0
        self._turn = None
        try:
            for _ in range(_A_TURN):
                if self._waiting:
                    data, source = self._waiting.popleft()
                    self._waiting_octets -= len(data) + _OVERHEAD_OCTETS
                    self._receive(data, source)
        finally:
            if self._waiting and self._turn is None:
                self._turn = self._loop.call_soon(self._hand_on)


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


async def resolve(host: str, port: int, *, family: int = socket.AF_UNSPEC) -> Address:
    """The first address of `host` (A, then AAAA by the system's resolver), of a family if one is named.

    Raises:
        NetworkError: the name is not known.
    """
    try:
        found = await asyncio.get_running_loop().getaddrinfo(
            host, port, family=family, type=socket.SOCK_DGRAM
        )
    except OSError as error:
        raise NetworkError(
            f"cannot resolve {host}: {error.strerror or error}; check the SIP URI's host"
        ) from error
    address = found[0][4]
    return str(address[0]), int(address[1])
