"""UDP sockets for RTP: a port a call, arrival times by the kernel, never connected.

A connected socket would hear nothing from an agent that sends from another port than its SDP names.
"""

from __future__ import annotations

import contextlib
import ipaddress
import resource
import select
import socket
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, TypeAlias

from tuner_sipbridge.errors import MediaError

_SO_TIMESTAMPNS = 35
"""Of asm-generic/socket.h; `socket` does not name it."""
_RESERVED_DESCRIPTORS = 32
"""What a worker needs beside its media sockets: the interpreter's own files, the poller, the link."""
_EXPEDITED_FORWARDING = 46 << 2
_EPHEMERAL_TRIES = 16

ReceiveInto: TypeAlias = Callable[
    [tuple[memoryview], int], tuple[int, Sequence[tuple[int, int, bytes]], int, Any]
]
"""A socket's `recvmsg_into`."""

KERNEL_TIMESTAMPS = sys.platform == "linux" and sys.maxsize > 1 << 32
"""Whether packets carry the kernel's arrival time; elsewhere it is the time at which they were read."""

ANCILLARY_SIZE = socket.CMSG_SPACE(16) if KERNEL_TIMESTAMPS else 0
"""Octets of ancillary data to make room for: one `struct timespec` of two 64-bit numbers."""


def open_media_socket(host: str, ports: Iterable[int]) -> socket.socket:
    """Bind a socket on `host` to the first free port.

    Args:
        host: numeric IPv4 or IPv6 address.
        ports: ports to try, see `PortCandidates`; 0 lets the kernel choose.

    Raises:
        MediaError: no port is free, the address is not this machine's, or the limit of file descriptors is reached.
    """
    try:
        version = ipaddress.ip_address(host).version
    except ValueError as error:
        raise MediaError(f"media needs a numeric local address, not {host!r}") from error
    reason = "no port left to try"
    for port in ports:
        try:
            return _bind(socket.AF_INET if version == 4 else socket.AF_INET6, host, port)
        except OSError as error:
            reason = error.strerror or str(error)
            if port == 0:
                break
    raise MediaError(f"no media port could be bound on {host}: {reason}")


def _bind(family: socket.AddressFamily, host: str, port: int) -> socket.socket:
    """A socket on an even port where that is easily had: RTP takes even ones (RFC 3550 §11)."""
    attempt = 0
    while True:
        attempt += 1
        media = socket.socket(family, socket.SOCK_DGRAM)
        try:
            media.setblocking(False)
            if KERNEL_TIMESTAMPS:
                media.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
            media.bind((host, port))
            _mark_expedited(media, family)
        except OSError:
            media.close()
            raise
        if media.getsockname()[1] % 2 == 0 or port or attempt == _EPHEMERAL_TRIES:
            return media
        media.close()


def _mark_expedited(media: socket.socket, family: socket.AddressFamily) -> None:
    """Mark packets as telephony (RFC 4594 §4.1), where the system lets us."""
    with contextlib.suppress(OSError):
        if family == socket.AF_INET:
            media.setsockopt(socket.IPPROTO_IP, socket.IP_TOS, _EXPEDITED_FORWARDING)
        else:
            media.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_TCLASS, _EXPEDITED_FORWARDING)


class PortCandidates:
    """Which ports to try for the next stream: any, or those of a range in turn."""

    def __init__(self, ports: tuple[int, int] | None) -> None:
        """`ports` are first and last of the range; its even ones are used. None lets the kernel choose."""
        self._ports = None if ports is None else range(ports[0] + ports[0] % 2, ports[1] + 1, 2)
        self._next = 0

    def __iter__(self) -> Iterator[int]:
        if self._ports is None:
            yield 0
            return
        for _ in self._ports:
            port = self._ports[self._next % len(self._ports)]
            self._next += 1
            yield port


class Poller:
    """Which sockets have something to read, looked at without waiting; level-triggered."""

    def __init__(self) -> None:
        self._epoll = select.epoll() if hasattr(select, "epoll") else None
        self._poll = select.poll()

    def add(self, descriptor: int) -> None:
        """Watch a socket."""
        (self._epoll or self._poll).register(descriptor, select.POLLIN)

    def remove(self, descriptor: int) -> None:
        """Watch it no longer; to be called before it is closed."""
        (self._epoll or self._poll).unregister(descriptor)

    def ready(self, most: int) -> list[tuple[int, int]]:
        """At most so many descriptors, with what is up with them."""
        return self._poll.poll(0)[:most] if self._epoll is None else self._epoll.poll(0, most)


def raise_descriptor_limit() -> int:
    """Raise the soft limit of file descriptors to the hard one.

    Returns:
        How many streams a worker can hold, one descriptor each.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard == resource.RLIM_INFINITY or hard > soft:
        wanted = 1 << 16 if hard == resource.RLIM_INFINITY else hard
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, wanted), hard))
        except (OSError, ValueError):
            wanted = soft
        soft = max(soft, wanted)
    return max(0, soft - _RESERVED_DESCRIPTORS)
