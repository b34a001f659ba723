"""The SIP sockets of a dialer, by the local address that calls leave from."""

from __future__ import annotations

import asyncio

from tuner_sipbridge.call.replies import Reply
from tuner_sipbridge.net.driver import SipDriver
from tuner_sipbridge.net.public_address import PublicAddress
from tuner_sipbridge.net.resolver import Resolver
from tuner_sipbridge.net.tls import TlsSettings
from tuner_sipbridge.net.udp import Address, local_address_towards


class Drivers:
    """Opens a driver for each local address when the first call leaves from it."""

    def __init__(
        self,
        resolver: Resolver,
        *,
        host: str | None,
        port: int,
        tls: TlsSettings,
        public_address: PublicAddress,
        refusal: Reply | None,
    ) -> None:
        """Prepare; nothing is opened before `towards`.

        Args:
            resolver: where names within dialogs are looked up.
            host: local address to send from; the interface towards each far end when None.
            port: local SIP port, 0 for any.
            tls: certificates, and whom to trust.
            public_address: what a NAT shows for this machine.
            refusal: what calls that come in get; None is 405.
        """
        self._resolver, self._host, self._port = resolver, host, port
        self._tls, self._public, self._refusal = tls, public_address, refusal
        self._open: dict[str, SipDriver] = {}
        self._lock = asyncio.Lock()

    async def towards(self, remote: Address) -> SipDriver:
        """The driver for calls to this address.

        Raises:
            NetworkError: there is no route to it, or the port is taken.
        """
        host = self._host or local_address_towards(remote)
        async with self._lock:
            if host not in self._open:
                driver = SipDriver(
                    tls=self._tls,
                    resolve=self._resolver.address,
                    public_address=self._public,
                    refusal=self._refusal,
                )
                await driver.open(host=host, port=self._port)
                self._open[host] = driver
            return self._open[host]

    def close(self) -> None:
        """Close all sockets."""
        for driver in self._open.values():
            driver.close()
        self._open.clear()
