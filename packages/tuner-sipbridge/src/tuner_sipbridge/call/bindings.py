"""What a REGISTER asks for, and the bindings that come of it (RFC 3261 §10.2, §10.3)."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from ipaddress import ip_address

from tuner_sipbridge.errors import LocalProtocolError, RemoteProtocolError
from tuner_sipbridge.sip.grammar import bracketed, decimal
from tuner_sipbridge.sip.headers import NameAddr
from tuner_sipbridge.sip.message import Request
from tuner_sipbridge.sip.routing import Hop, address_of, transport_of
from tuner_sipbridge.sip.uri import Uri
from tuner_sipbridge.sip.uri_comparison import same_uri

_MALFORMED_EXPIRES_S = 3600
"""What a time that cannot be read is taken for (RFC 3261 §10.2.1.1, §20.19)."""
_Q = re.compile(r"0(\.\d{0,3})?|1(\.0{0,3})?")


@dataclass(frozen=True, slots=True)
class Binding:
    """A contact at which an address of record is reached.

    Attributes:
        address: the address of record: `sip:`, the user without escapes, host, and port where there is one.
        contact: URI to call.
        since: when it was registered last, Unix seconds.
        until: when it lapses.
        q: preference from 0 to 1.
        call_id: of the REGISTER that made or refreshed it last.
        cseq: number of that REGISTER.
        source: where that REGISTER came from: behind a NAT, another address than the contact's.
    """

    address: str = field(repr=False)
    contact: Uri
    since: float
    until: float
    q: float = 1.0
    call_id: str = ""
    cseq: int = 0
    source: Hop | None = None

    def is_for(self, uri: Uri) -> bool:
        """Whether a contact means this binding (RFC 3261 §19.1.4)."""
        return same_uri(self.contact, uri)

    @property
    def flow(self) -> Hop | None:
        """The way back over which it was registered, None where the contact is to be reached as it says (RFC 5626).

        That is the connection, unless the contact asks for another transport than the connection's; over UDP the
        address that the REGISTER came from, when the contact names another: it stands behind a NAT.
        """
        source = self.source
        if source is None:
            return None
        try:
            asked = transport_of(self.contact)
        except LocalProtocolError:
            return None
        if asked not in (None, source.transport):
            return None
        if source.is_stream:
            return Hop(
                source.transport,
                *address_of(self.contact, tls=source.transport == "tls"),
                flow=source.address,
            )
        try:
            behind_nat = ip_address(self.contact.host) != ip_address(source.host)
        except ValueError:
            return None
        return Hop("udp", *source.address, flow=source.address) if behind_nat else None

    def may_be_changed_by(self, request: Request) -> bool:
        """False for a request that was overtaken by a later one of the same Call-ID (RFC 3261 §10.3, 7)."""
        return self.call_id != request.call_id or request.cseq.number > self.cseq

    def as_contact(self, *, now: float) -> NameAddr:
        """The binding as the answer to a REGISTER lists it."""
        params: list[tuple[str, str | None]] = [("expires", str(max(0, math.ceil(self.until - now))))]
        if self.q != 1.0:
            params.append(("q", f"{self.q:.3g}"))
        return NameAddr(self.contact, params=tuple(params))


@dataclass(frozen=True, slots=True)
class AskedContact:
    """A contact of a REGISTER; `expires_s` 0 removes it."""

    uri: Uri
    expires_s: int
    q: float


@dataclass(frozen=True, slots=True)
class Asked:
    """What a REGISTER asks for: to bind or remove some contacts, to remove all, or, with neither, to list them."""

    contacts: tuple[AskedContact, ...] = ()
    removes_all: bool = False

    def touches(self, binding: Binding) -> bool:
        """Whether the request is about this binding."""
        return self.removes_all or any(binding.is_for(contact.uri) for contact in self.contacts)


def address_of_record(uri: Uri) -> str | None:
    """The To URI of a REGISTER as the index that RFC 3261 §10.3 (5) makes of it; None when it is no SIP URI."""
    if not uri.is_sip:
        return None
    user = f"{uri.unescaped_user}@" if uri.user is not None else ""
    port = f":{uri.port}" if uri.port is not None else ""
    return f"sip:{user}{bracketed(uri.host.lower())}{port}"


def asked_of(request: Request, default_expires_s: int) -> Asked:
    """Read the Contact and Expires headers of a REGISTER.

    Raises:
        RemoteProtocolError: `*` with anything but `Expires: 0` (RFC 3261 §10.3, 6), or a contact that is none.
    """
    values = [value.strip() for value in request.headers.get_all("Contact")]
    expires = request.headers.get("Expires")
    if "*" in values:
        if len(values) > 1 or expires is None or expires.strip() != "0":
            raise RemoteProtocolError("Contact: * stands alone, with Expires: 0")
        return Asked(removes_all=True)
    otherwise = default_expires_s if expires is None else _seconds(expires)
    contacts: list[AskedContact] = []
    for contact in request.contacts:
        given, q = contact.param("expires"), contact.param("q")
        contacts.append(
            AskedContact(contact.uri, otherwise if given is None else _seconds(given), _preference(q))
        )
    return Asked(tuple(contacts))


def combined(
    standing: Sequence[Binding],
    asked: Asked,
    request: Request,
    *,
    address: str,
    now: float,
    most_s: int,
    source: Hop | None,
) -> list[Binding]:
    """The bindings of an address of record after a REGISTER; times above `most_s` are cut."""
    after = [binding for binding in standing if not asked.touches(binding)]
    for contact in asked.contacts:
        after = [binding for binding in after if not binding.is_for(contact.uri)]
        if contact.expires_s > 0:
            until = now + min(contact.expires_s, most_s)
            after.append(
                Binding(
                    address,
                    contact.uri,
                    now,
                    until,
                    q=contact.q,
                    call_id=request.call_id,
                    cseq=request.cseq.number,
                    source=source,
                )
            )
    return after


def _seconds(text: str) -> int:
    seconds = decimal(text.strip(), below=2**32)
    return _MALFORMED_EXPIRES_S if seconds is None else seconds


def _preference(text: str | None) -> float:
    if text is None:
        return 1.0
    if not _Q.fullmatch(text):
        raise RemoteProtocolError("Contact: q is not from 0 to 1 with up to three decimals")
    return float(text)
