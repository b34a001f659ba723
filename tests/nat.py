"""A NAT and a STUN server on loopback: the NAT shows every socket behind it at another address and port.

Inside are sockets of 127.0.0.1, outside those of 127.0.0.4. From the inside a socket of the outside is reached by its
port at 127.0.0.3, so far ends name that address in what they write; from the outside a socket of the inside is
reached at 127.0.0.2, at a port that the NAT gave it when it first sent something, and at no other.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from typing import Any, Self

Address = tuple[str, int]

INSIDE, OUTSIDE = "127.0.0.1", "127.0.0.4"
SHOWN = "127.0.0.2"
"""The address of the inside, as the outside sees it."""
DOOR = "127.0.0.3"
"""The address of the outside, as the inside sees it."""


class Nat:
    """One mapping for each socket of the inside, whomever it sends to (RFC 4787 §4.1).

    Attributes:
        refused: datagrams from the outside that came from whom the socket had sent nothing to.
    """

    def __init__(self, *, strict: bool = True) -> None:
        """`strict`: let in only what comes from where the inside has sent to (RFC 4787 §5, the last of its kinds)."""
        self._strict = strict
        self._doors: dict[int, socket.socket] = {}
        self._mapped: dict[Address, socket.socket] = {}
        self._sent_to: dict[Address, set[int]] = {}
        self.refused = 0

    def door(self, port: int) -> socket.socket:
        """Let the inside reach a port of the outside."""
        if port not in self._doors:
            self._doors[port] = self._bind(DOOR, port, lambda data, inner: self._outwards(data, inner, port))
        return self._doors[port]

    def shown(self, inner: Address) -> Address:
        """What the outside sees of a socket of the inside."""
        return self._mapped[inner].getsockname()

    def _outwards(self, data: bytes, inner: Address, port: int) -> None:
        if inner not in self._mapped:
            self._mapped[inner] = self._bind(SHOWN, 0, lambda data, far: self._inwards(data, far, inner))
        self._sent_to.setdefault(inner, set()).add(port)
        self._mapped[inner].sendto(data, (OUTSIDE, port))

    def _inwards(self, data: bytes, far: Address, inner: Address) -> None:
        if self._strict and far[1] not in self._sent_to[inner]:
            self.refused += 1
        else:
            self.door(far[1]).sendto(data, inner)

    def _bind(self, host: str, port: int, take: Callable[[bytes, Address], None]) -> socket.socket:
        bound = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        bound.setblocking(False)
        bound.bind((host, port))

        def read() -> None:
            take(*bound.recvfrom(65536))

        asyncio.get_running_loop().add_reader(bound, read)
        return bound

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *error: object) -> None:
        for bound in (*self._doors.values(), *self._mapped.values()):
            asyncio.get_running_loop().remove_reader(bound)
            bound.close()


class StunServer(asyncio.DatagramProtocol):
    """Tells who asks by which address it is seen (RFC 8489 §6.3).

    Attributes:
        asked: from where it was asked, in order.
        deaf_to: how many questions it leaves unanswered at first.
        refuses_after: how many it answers before it refuses all that follow; None refuses none.
    """

    def __init__(self) -> None:
        self.asked: list[Address] = []
        self.deaf_to, self.refuses_after = 0, None
        self.refuses_after: int | None
        self._transport: Any = None

    @property
    def local(self) -> Address:
        return self._transport.get_extra_info("sockname")

    async def __aenter__(self) -> Self:
        await asyncio.get_running_loop().create_datagram_endpoint(lambda: self, local_addr=(OUTSIDE, 0))
        return self

    async def __aexit__(self, *error: object) -> None:
        self._transport.close()

    def say(self, to: Address) -> None:
        """Answer a question that nobody asked."""
        self._transport.sendto(answer(b"\x00\x01\x00\x00\x21\x12\xa4\x42" + bytes(12), to), to)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def datagram_received(self, data: bytes, addr: Address) -> None:
        self.asked.append(addr)
        if len(self.asked) > self.deaf_to:
            refuses = self.refuses_after is not None and len(self.asked) > self.refuses_after
            self._transport.sendto(refusal(data) if refuses else answer(data, addr), addr)


def answer(question: bytes, seen: Address) -> bytes:
    """A success response with XOR-MAPPED-ADDRESS (RFC 8489 §14.2)."""
    port = (seen[1] ^ 0x2112).to_bytes(2)
    host = bytes(octet ^ mask for octet, mask in zip(socket.inet_aton(seen[0]), question[4:8], strict=True))
    return b"\x01\x01\x00\x0c" + question[4:20] + b"\x00\x20\x00\x08\x00\x01" + port + host


def refusal(question: bytes) -> bytes:
    """An error response: 500 (RFC 8489 §14.8)."""
    return b"\x01\x11\x00\x08" + question[4:20] + b"\x00\x09\x00\x04\x00\x00\x05\x00"
