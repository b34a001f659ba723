"""Asks name servers what `sip.locating` wants to know, and keeps the answers for as long as they hold.

Without a name server of the user's, addresses come from the system (hosts file, mDNS and all), NAPTR and SRV
records from the name server that the system is configured with.
"""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import secrets
import socket
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

from tuner_sipbridge.errors import LocalProtocolError, NotLocated
from tuner_sipbridge.net import clock
from tuner_sipbridge.sip.grammar import bracketed, split_host_port
from tuner_sipbridge.sip.locating import FAMILIES, TRANSPORTS, Asks, Family, Located, locate
from tuner_sipbridge.sip.records import Answer, AnswerCache, Naptr, Question, Srv
from tuner_sipbridge.sip.routing import Address, Transport
from tuner_sipbridge.sip.uri import Uri

if TYPE_CHECKING:
    from dns.asyncresolver import Resolver as NameServerClient
    from dns.message import QueryMessage
    from dns.rdtypes.IN.NAPTR import NAPTR
    from dns.rdtypes.IN.SRV import SRV
    from dns.resolver import Answer as Reply

logger = logging.getLogger("tuner_sipbridge.net")

SYSTEM_TTL_S = 30.0
"""How long an address holds that the system gave: it does not say for how long."""
FAILURE_TTL_S = 5.0
"""How long it holds that a name server does not answer."""
DNS_PORT = 53
_LONGEST_TTL_S = 86400.0
_NO_NAME = "no such name"
_LOCAL_NAMES = ("localhost", "local", "invalid")


class Resolver:
    """Locates SIP URIs (RFC 3263). One for many calls: it remembers answers."""

    def __init__(
        self,
        *,
        name_server: tuple[str, int] | None = None,
        transports: Sequence[Transport] = TRANSPORTS,
        families: Sequence[Family] = FAMILIES,
        timeout_s: float = 3.0,
    ) -> None:
        """Prepare; nothing is asked before `locate`.

        Args:
            name_server: address and port to ask for everything, in place of the system's; see
                `read_name_server`.
            transports: those that may be used, the preferred first.
            families: those that may be used, the preferred first.
            timeout_s: seconds for which one question waits for its answer.
        """
        self._name_server = name_server
        self._transports, self._families = transports, families
        self._timeout_s = timeout_s
        self._cache = AnswerCache()
        self._client: NameServerClient | None = None
        self._silent_until = 0.0

    async def locate(
        self,
        uri: Uri,
        *,
        transports: Sequence[Transport] | None = None,
        families: Sequence[Family] | None = None,
    ) -> Located:
        """The targets of a URI, best first, with all that was asked for them.

        Args:
            uri: a sip or sips URI.
            transports: for this URI, in place of the resolver's.
            families: for this URI, in place of the resolver's.

        Raises:
            LocalProtocolError: the URI is none of SIP, or asks for a transport that may not be used.
        """
        known = dict(self.known())
        while True:
            step = locate(
                uri,
                known,
                draw=draw,
                transports=self._transports if transports is None else transports,
                families=self._families if families is None else families,
            )
            if isinstance(step, Located):
                return step
            known.update(await self._answers(step))

    def known(self) -> Mapping[Question, Answer]:
        """The answers that hold at this moment."""
        return self._cache.known(now=clock.now())

    async def address(self, host: str, port: int, *, families: Sequence[Family] | None = None) -> Address:
        """The first address of a host whose port is known.

        Raises:
            NotLocated: there is none; the text says what the name server said.
        """
        located = await self.locate(Uri(host=host, port=port), families=families)
        if not located.targets:
            raise NotLocated(located.problem, unknown=not located.failed)
        return located.targets[0].address

    async def _answers(self, asks: Asks) -> dict[Question, Answer]:
        answers = await asyncio.gather(*(self._answer(question) for question in asks.questions))
        now = clock.now()
        for question, answer in zip(asks.questions, answers, strict=True):
            logger.debug("%s: %s", question, answer)
            self._cache.note(question, answer, now=now)
        return dict(zip(asks.questions, answers, strict=True))

    async def _answer(self, question: Question) -> Answer:
        if self._name_server is None:
            if question.kind in ("A", "AAAA"):
                return await _system_addresses(question)
            if _is_local_name(question.name):
                return Answer(ttl_s=SYSTEM_TTL_S)
            if clock.now() < self._silent_until:
                return _failed("the name server did not answer a moment ago")
        return await self._ask_name_server(question)

    async def _ask_name_server(self, question: Question) -> Answer:
        import dns.exception
        import dns.resolver

        try:
            client = self._client = self._client or self._new_client()
            reply = await client.resolve(
                question.name + ".", question.kind, raise_on_no_answer=False, lifetime=self._timeout_s
            )
        except dns.resolver.NXDOMAIN as error:
            # dnspython's types leave open what `response` gives.
            reply_of: Callable[[object], QueryMessage] = cast(Any, error).response
            return Answer(ttl_s=_ttl_of(reply_of(cast(Any, error).qnames()[0])), problem=_NO_NAME)
        except dns.exception.Timeout:
            self._silent_until = clock.now() + SYSTEM_TTL_S
            return _failed(f"the name server did not answer in {self._timeout_s:g} s")
        except dns.resolver.NoNameservers:
            return _failed("the name server refused the question or failed")
        except (dns.exception.DNSException, OSError) as error:
            return _failed(f"the name server cannot be asked: {error}")
        return answer_in(question, reply)

    def _new_client(self) -> NameServerClient:
        from dns.asyncresolver import Resolver as Client

        if self._name_server is None:
            return Client()
        client = Client(configure=False)
        host, client.port = self._name_server
        client.nameservers = [host]
        return client


def read_name_server(text: str) -> tuple[str, int]:
    """Address and port of a name server as a user writes it: `127.0.0.1:5353`, `[::1]:53`, `9.9.9.9`.

    Raises:
        LocalProtocolError: it is none; a name server cannot be given by name.
    """
    found = split_host_port(bracketed(text) if text.count(":") > 1 and "[" not in text else text)
    try:
        if found is None:
            raise ValueError
        ipaddress.ip_address(found[0])
    except ValueError:
        raise LocalProtocolError(
            f"name server {text!r}: not an IP address with an optional port, such as 127.0.0.1:5353"
        ) from None
    return found[0], found[1] or DNS_PORT


async def _system_addresses(question: Question) -> Answer:
    family = socket.AF_INET if question.kind == "A" else socket.AF_INET6
    loop = asyncio.get_running_loop()
    try:
        found = await loop.getaddrinfo(question.name, None, family=family, type=socket.SOCK_DGRAM)
    except socket.gaierror as error:
        none = error.errno in (socket.EAI_NONAME, getattr(socket, "EAI_NODATA", None))
        problem = _NO_NAME if none else (error.strerror or str(error))
        return Answer(ttl_s=FAILURE_TTL_S, problem=problem, failed=not none)
    except (OSError, UnicodeError) as error:
        return Answer(ttl_s=FAILURE_TTL_S, problem=str(error))
    addresses = dict.fromkeys(str(entry[4][0]) for entry in found)
    # An IPv6 address with a zone is one of a neighbour on one link; SIP has no way to write it.
    return Answer(addresses=tuple(address for address in addresses if "%" not in address), ttl_s=SYSTEM_TTL_S)


def _failed(problem: str) -> Answer:
    """Nobody could say what the name has."""
    return Answer(ttl_s=FAILURE_TTL_S, problem=problem, failed=True)


def _is_local_name(name: str) -> bool:
    """Whether no name server has NAPTR or SRV records of a name: one label, or of RFC 6761 and RFC 6762."""
    return "." not in name or name.rpartition(".")[2] in _LOCAL_NAMES


def answer_in(question: Question, reply: Reply) -> Answer:
    """What a name server said to a question, as `locate` takes it."""
    records = list(reply.rrset or ())
    ttl_s = _ttl_of(reply.response)
    match question.kind:
        case "NAPTR":
            return Answer(naptr=tuple(_naptr(record) for record in records), ttl_s=ttl_s)
        case "SRV":
            return Answer(srv=tuple(_srv(record) for record in records), ttl_s=ttl_s)
        case _:
            addresses = tuple(str(record.address) for record in records)
            return Answer(addresses=addresses, ttl_s=ttl_s, problem="" if addresses else "no address")


def _naptr(record: NAPTR) -> Naptr:
    flags, service = (text.decode("ascii", "replace") for text in (record.flags, record.service))
    return Naptr(record.order, record.preference, flags, service, _name(record.replacement))


def _srv(record: SRV) -> Srv:
    return Srv(record.priority, record.weight, record.port, _name(record.target))


def _name(name: object) -> str:
    text = str(name)
    return text if text == "." else text.rstrip(".")


def _ttl_of(message: QueryMessage) -> float:
    """How long a reply holds; one without records as long as its SOA says (RFC 2308 §5)."""
    import dns.exception

    try:
        return min(float(message.resolve_chaining().minimum_ttl), _LONGEST_TTL_S)
    except dns.exception.DNSException:
        return FAILURE_TTL_S


def draw(most: int) -> int:
    """A random number from 0 to `most`, for the order of SRV records and trunks."""
    return secrets.randbelow(most + 1)
