"""The address that a NAT shows for this machine: given, or asked of a STUN server."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from tuner_sipbridge.errors import LocalProtocolError
from tuner_sipbridge.net.stun import DEFAULT_PORT
from tuner_sipbridge.sip.grammar import split_host_port
from tuner_sipbridge.sip.routing import Address


@dataclass(frozen=True, slots=True)
class PublicAddress:
    """What stands in Via, Contact and SDP in place of the local address.

    Attributes:
        host: name or address; None until the STUN server was asked, and where there is no NAT.
        port: SIP port, None for the local one.
        stun_server: host and port of the server to ask, numeric once the SIP socket was asked about: media ports are
            asked about one by one. None when there is nothing to ask.
    """

    host: str | None = None
    port: int | None = None
    stun_server: Address | None = None

    @classmethod
    def parse(cls, text: str | None) -> Self:
        """Read `HOST`, `HOST:PORT`, `stun:SERVER` or `stun:SERVER:PORT`; None is no NAT.

        Raises:
            LocalProtocolError: it is none of them.
        """
        if text is None:
            return cls()
        scheme, _, server = text.partition(":")
        stun = scheme.lower() == "stun"
        host_port = split_host_port(server if stun else text)
        if host_port is None:
            raise LocalProtocolError(
                f'public address: "{text}" is not HOST, HOST:PORT or stun:SERVER; IPv6 stands in brackets'
            )
        host, port = host_port
        return cls(stun_server=(host, port or DEFAULT_PORT)) if stun else cls(host, port)

    def of(self, local: Address) -> Address:
        """The address under which the far end reaches the SIP socket that is bound to `local`."""
        return self.host or local[0], self.port or local[1]
