"""Where a SIP URI leads to: RFC 3263 as one pure function of a URI and the answers known so far.

`locate` says which questions are still open, or gives the targets in the order in which they are tried. Who runs
it asks a name server, adds the answers and runs it again; three rounds are the most (NAPTR, SRV, A and AAAA).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from operator import attrgetter
from typing import Literal, TypeAlias

from tuner_sipbridge.errors import LocalProtocolError
from tuner_sipbridge.sip.records import Answer, Draw, Kind, Naptr, Question, Srv, by_priority_and_weight
from tuner_sipbridge.sip.routing import Hop, Transport, is_address
from tuner_sipbridge.sip.uri import Uri

Family: TypeAlias = Literal["ipv4", "ipv6"]

TRANSPORTS: tuple[Transport, ...] = ("udp", "tcp", "tls")
FAMILIES: tuple[Family, ...] = ("ipv4", "ipv6")

_SERVICES: dict[str, Transport] = {"SIP+D2U": "udp", "SIP+D2T": "tcp", "SIPS+D2T": "tls"}
_SRV_PREFIX: dict[Transport, str] = {"udp": "_sip._udp.", "tcp": "_sip._tcp.", "tls": "_sips._tcp."}
_PORTS: dict[Transport, int] = {"udp": 5060, "tcp": 5060, "tls": 5061}
_MOST_RECORDS = 64
"""NAPTR or SRV records of one answer that are followed, the first by order and priority: each asks more questions."""
_ADDRESS_KIND: dict[Family, Kind] = {"ipv4": "A", "ipv6": "AAAA"}


@dataclass(frozen=True, slots=True)
class Asks:
    """What must be known before the targets can be told; all of it may be asked at once."""

    questions: tuple[Question, ...]


@dataclass(frozen=True, slots=True)
class Located:
    """The targets, best first.

    Attributes:
        targets: none when the name leads nowhere; their hosts are addresses, and `name` is the URI's host, which a
            TLS certificate must name (RFC 5922 §4).
        asked: each question that counted, with its answer.
        problem: why there is no target, in plain words; empty when there is one.
    """

    targets: tuple[Hop, ...]
    asked: tuple[tuple[Question, Answer], ...] = ()
    problem: str = ""

    @property
    def failed(self) -> bool:
        """Whether a question that counted could not be answered: the name may lead somewhere all the same."""
        return any(answer.failed for _, answer in self.asked)


@dataclass(frozen=True, slots=True)
class _Place:
    """Host and port, the host not looked up yet."""

    transport: Transport
    host: str
    port: int


def locate(
    uri: Uri,
    known: Mapping[Question, Answer],
    *,
    draw: Draw,
    transports: Sequence[Transport] = TRANSPORTS,
    families: Sequence[Family] = FAMILIES,
) -> Asks | Located:
    """Go as far as the known answers lead (RFC 3263 §4.1, §4.2).

    Args:
        uri: a sip or sips URI; its `maddr` names the host in place of its own.
        known: answers to earlier questions.
        draw: random numbers for the weights of SRV records.
        transports: those that may be used, the preferred first; NAPTR records say it when there are any.
        families: those that may be used, the preferred first.

    Raises:
        LocalProtocolError: it is no SIP URI, asks for a transport that is not there, or for sips without TLS.
    """
    allowed = _allowed(uri, transports)
    inquiry = _Inquiry(known, draw, families)
    host = (uri.param("maddr") or uri.host).strip("[]").rstrip(".")
    named = uri.transport is not None
    if is_address(host) or uri.port is not None:
        places = [_Place(allowed[0], host, uri.port or _PORTS[allowed[0]])]
    elif named:
        places = _by_srv([(allowed[0], _SRV_PREFIX[allowed[0]] + host)], inquiry)
    else:
        places = _by_naptr(host, allowed, inquiry)
    if not places and not inquiry.missing and not inquiry.denied:
        places = [_Place(allowed[0], host, _PORTS[allowed[0]])]
    targets = [
        Hop(place.transport, address, place.port, name=None if is_address(uri.host) else uri.host)
        for place in places
        for address in inquiry.addresses(place.host)
    ]
    if inquiry.missing:
        return Asks(tuple(dict.fromkeys(inquiry.missing)))
    problem = "" if targets else _problem(host, inquiry)
    return Located(tuple(dict.fromkeys(targets)), tuple(inquiry.used.items()), problem)


@dataclass(slots=True)
class _Inquiry:
    """The answers of one run, and what is missing."""

    known: Mapping[Question, Answer]
    draw: Draw
    families: Sequence[Family]
    missing: list[Question] = field(default_factory=list[Question])
    used: dict[Question, Answer] = field(default_factory=dict[Question, Answer])
    denied: bool = False
    """A record says that there is no such service: the address of the name itself must not be tried."""

    def ask(self, kind: Kind, name: str) -> Answer:
        question = Question.of(kind, name)
        answer = self.known.get(question)
        if answer is None:
            self.missing.append(question)
            return Answer()
        self.used[question] = answer
        return answer

    def addresses(self, host: str) -> list[str]:
        if is_address(host):
            return [host]
        answers = [self.ask(_ADDRESS_KIND[family], host) for family in self.families]
        return [address for answer in answers for address in answer.addresses]

    def ordered(self, records: Sequence[Srv]) -> list[Srv]:
        """By priority and weight; no number is drawn while an answer is missing, since all is asked again."""
        for record in records:
            self.addresses(record.target)
        return [] if self.missing else by_priority_and_weight(records, self.draw)


def _allowed(uri: Uri, transports: Sequence[Transport]) -> list[Transport]:
    """The transports that a URI may be reached by, the preferred first."""
    if not uri.is_sip:
        raise LocalProtocolError(f"{uri.scheme} URI: only sip and sips URIs can be located")
    asked = uri.transport
    if uri.scheme == "sips" and asked == "udp":
        raise LocalProtocolError("sips URI: it asks for TLS, which transport=udp cannot carry; take one away")
    if uri.scheme == "sips" and asked in (None, "tcp"):
        asked = "tls"
    allowed: list[Transport] = [one for one in transports if asked is None or one == asked]
    if not allowed:
        spoken = ", ".join(transports)
        raise LocalProtocolError(f"{uri.scheme} URI: it asks for {asked}, and only {spoken} may be used")
    return allowed


def _by_naptr(host: str, allowed: list[Transport], inquiry: _Inquiry) -> list[_Place]:
    """The transports that the domain offers, best first; without NAPTR records those it has SRV records for."""
    records = _usable(inquiry.ask("NAPTR", host).naptr, allowed)
    if inquiry.missing:
        return []
    if not records:
        return _by_srv([(transport, _SRV_PREFIX[transport] + host) for transport in allowed], inquiry)
    places: list[_Place] = []
    for record in records:
        transport = _SERVICES[record.service.upper()]
        if record.flags.lower() == "a":
            places.append(_Place(transport, record.replacement, _PORTS[transport]))
        else:
            places += _by_srv([(transport, record.replacement)], inquiry)
    if not places and not inquiry.missing and not inquiry.denied:
        transport = _SERVICES[records[0].service.upper()]
        places = [_Place(transport, host, _PORTS[transport])]
    return places


def _usable(records: Sequence[Naptr], allowed: list[Transport]) -> list[Naptr]:
    spoken = [
        record
        for record in records
        if _SERVICES.get(record.service.upper()) in allowed and record.flags.lower() in ("s", "a")
    ]
    return sorted(spoken, key=lambda record: (record.order, record.preference))[:_MOST_RECORDS]


def _by_srv(names: list[tuple[Transport, str]], inquiry: _Inquiry) -> list[_Place]:
    answers = [inquiry.ask("SRV", name).srv for _, name in names]
    places: list[_Place] = []
    for (transport, _), records in zip(names, answers, strict=True):
        if records and all(record.target in (".", "") for record in records):
            inquiry.denied = True
        usable = [record for record in records if record.port and record.target not in (".", "")]
        usable = sorted(usable, key=attrgetter("priority"))[:_MOST_RECORDS]
        places += [_Place(transport, record.target, record.port) for record in inquiry.ordered(usable)]
    return places


def _problem(host: str, inquiry: _Inquiry) -> str:
    if inquiry.denied:
        return f"{host} says in its SRV record that it has no such service; check the SIP URI's host"
    said = dict.fromkeys(answer.problem for answer in inquiry.used.values() if answer.problem)
    because = "; ".join(said) or "it has no address"
    return f"cannot resolve {host}: {because}; check the SIP URI's host"
