"""The SIP sockets of one dialer: a set for each local address that calls leave from."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol

from tuner_sipbridge.net.driver import SipDriver


class SocketsAt(Protocol):
    """Gives the driver at a local address: see `Sockets`."""

    async def at(self, host: str) -> SipDriver: ...  # noqa: D102


class Sockets:
    """Opens a driver for a local address when it is first needed."""

    def __init__(self, new: Callable[[], SipDriver], *, port: int, tls: bool) -> None:
        """Prepare; nothing is opened before `at`.

        Args:
            new: makes a driver.
            port: local SIP port, 0 for any.
            tls: listen for TLS too, so that far ends which open a connection to our Contact reach us.
        """
        self._new, self._port = new, port
        self._listen = ("udp", "tcp", "tls") if tls else ("udp", "tcp")
        self._drivers: dict[str, SipDriver] = {}
        self._lock = asyncio.Lock()

    async def at(self, host: str) -> SipDriver:
        """The driver at a local address.

        Raises:
            NetworkError: the address cannot be bound, or the STUN server does not answer.
            LocalProtocolError: the TLS certificate cannot be used.
        """
        async with self._lock:
            if host not in self._drivers:
                driver = self._new()
                await driver.open(host=host, port=self._port, listen=self._listen)
                self._drivers[host] = driver
            return self._drivers[host]

    async def close(self) -> None:
        """Close all."""
        drivers = list(self._drivers.values())
        self._drivers.clear()
        await asyncio.gather(*(driver.close() for driver in drivers))
