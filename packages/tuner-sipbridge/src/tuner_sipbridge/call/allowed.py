"""Who may send requests at all: a list of addresses and networks."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

from tuner_sipbridge.errors import LocalProtocolError


@dataclass(frozen=True, slots=True)
class AllowList:
    """Addresses and networks; everybody else is refused.

    Attributes:
        networks: an address alone is a network of one.
    """

    networks: tuple[IPv4Network | IPv6Network, ...]

    @classmethod
    def of(cls, entries: Iterable[str]) -> AllowList:
        """Read addresses and networks, as in `192.0.2.7`, `192.0.2.0/24`, `2001:db8::/32`.

        Raises:
            LocalProtocolError: one of them is neither.
        """
        return cls(tuple(_network(entry) for entry in entries))

    def admits(self, host: str) -> bool:
        """Whether the address `host` is in the list; an IPv4 address may be written as IPv6 (`::ffff:192.0.2.7`)."""
        try:
            address: IPv4Address | IPv6Address = ip_address(host.partition("%")[0])
        except ValueError:
            return False
        if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
            address = address.ipv4_mapped
        return any(address in network for network in self.networks)


def _network(entry: str) -> IPv4Network | IPv6Network:
    try:
        return ip_network(entry.strip())
    except ValueError as error:
        raise LocalProtocolError(f"{entry!r} is no address and no network: {error}") from None
