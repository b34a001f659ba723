"""Whether a certificate is for a SIP domain (RFC 5922 §7.1, §7.2)."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence

from tuner_sipbridge.errors import LocalProtocolError
from tuner_sipbridge.sip.routing import is_address
from tuner_sipbridge.sip.uri import Uri


def is_for(alternatives: Sequence[tuple[str, str]], host: str) -> bool:
    """Whether the subjectAltName entries of a certificate name a host.

    Entries that are SIP URIs without a user part are the certificate's SIP domains, and when it has any they alone
    count: the domain must be one of them as a whole. Else its DNS entries count, and its addresses for a host that is
    one. RFC 5922 lets `*` stand for nothing; since providers have such certificates, it stands for the first label of
    a DNS entry here (RFC 9525 §6.3), never within a SIP URI. The subject's common name does not count.

    Args:
        alternatives: kind and value of each entry, as `ssl.SSLSocket.getpeercert` gives them.
        host: domain or address of the URI that is reached, before any lookup.
    """
    domains = {domain for kind, value in alternatives if kind == "URI" and (domain := _sip_domain(value))}
    if domains:
        return _plain(host) in domains
    if is_address(host):
        ours = ipaddress.ip_address(host.strip("[]"))
        return any(kind == "IP Address" and _is_same(value, ours) for kind, value in alternatives)
    return any(kind == "DNS" and _covers(_plain(value), _plain(host)) for kind, value in alternatives)


def _sip_domain(value: str) -> str | None:
    """The domain of a `sip` URI without a user part (RFC 5922 §7.1)."""
    try:
        uri = Uri.parse(value, error=LocalProtocolError)
    except LocalProtocolError:
        return None
    return _plain(uri.host) if uri.scheme == "sip" and uri.user is None else None


def _plain(name: str) -> str:
    return name.strip("[]").rstrip(".").lower()


def _is_same(value: str, address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    return is_address(value.strip()) and ipaddress.ip_address(value.strip()) == address


def _covers(entry: str, host: str) -> bool:
    if entry == host:
        return True
    first, _, rest = host.partition(".")
    return entry.startswith("*.") and entry[2:] == rest and "." in rest and bool(first) and "*" not in rest
