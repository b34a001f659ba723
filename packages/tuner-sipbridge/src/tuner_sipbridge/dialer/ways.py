"""The ways a call may take, best first, and what is remembered of those that failed (RFC 3263 §4.3)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from tuner_sipbridge.errors import NetworkError, NotLocated
from tuner_sipbridge.net import clock
from tuner_sipbridge.net.resolver import Resolver, draw
from tuner_sipbridge.net.udp import local_address_towards
from tuner_sipbridge.sip.locating import TRANSPORTS, Family
from tuner_sipbridge.sip.records import by_priority_and_weight
from tuner_sipbridge.sip.routing import Hop, Transport
from tuner_sipbridge.sip.targets import DEFAULT_PENALTY_S, Penalties, Trunk
from tuner_sipbridge.sip.uri import Uri


@dataclass(frozen=True, slots=True)
class Way:
    """One place to send an INVITE to, and the trunk it belongs to.

    Attributes:
        hop: transport, address and port.
        trunk: the trunk's URI, which stands in Route; None when the target itself was located.
    """

    hop: Hop
    trunk: Uri | None = field(default=None, repr=False)

    def __str__(self) -> str:
        return f"{self.hop}" if self.trunk is None else f"{self.hop} (trunk {self.trunk.host})"


class Ways:
    """Finds the ways to a URI. One for a dialer: it remembers addresses, and which of them failed."""

    def __init__(
        self,
        resolver: Resolver,
        *,
        transport: Transport,
        local_host: str | None = None,
        trunks: Sequence[Trunk] = (),
    ) -> None:
        """Prepare; nothing is asked before `towards`.

        Args:
            resolver: where names are looked up.
            transport: preferred where neither the URI nor its domain says one.
            local_host: the address that calls are sent from; the interface towards each target when None.
            trunks: the user's ways out; without any the target itself is located.
        """
        self._resolver, self._trunks = resolver, trunks
        self._transports = sorted(TRANSPORTS, key=lambda known: known != transport)
        self._local_host = local_host
        self._penalties = Penalties[Hop]()

    async def towards(self, uri: Uri) -> list[Way]:
        """The ways to a URI, best first: trunks by priority and weight, the targets of each as RFC 3263 says.

        Those that failed a moment ago come last. All start from one local address, that of the first, since a call
        has one place for its media.

        Raises:
            NotLocated: there is none.
            NetworkError: this machine has no route there.
            LocalProtocolError: the URI, or that of a trunk, asks for what cannot be.
        """
        # Every hop of a call to a sips URI is TLS (RFC 3261 §26.2.2).
        transports = ("tls",) if uri.scheme == "sips" else self._transports
        ways: list[Way] = []
        problems: list[str] = []
        unknown = True
        for place in by_priority_and_weight(self._trunks, draw) or (None,):
            located = await self._resolver.locate(
                place.uri if place else uri, transports=transports, families=self._families
            )
            ways += [Way(hop, place.uri if place else None) for hop in located.targets]
            problems += [located.problem] if located.problem else []
            unknown = unknown and not located.failed
        if not ways:
            raise NotLocated("; ".join(problems), unknown=unknown)
        order = self._penalties.sort((way.hop for way in ways), now=clock.now())
        ways.sort(key=lambda way: order.index(way.hop))
        return list(self._from_one_address(ways))

    def note_failure(self, way: Way, why: str, *, for_s: float = DEFAULT_PENALTY_S) -> None:
        """A way failed: for so many seconds others are tried before it."""
        self._penalties.note(way.hop, why, now=clock.now(), for_s=for_s)

    def note_success(self, way: Way) -> None:
        """A way led to somebody."""
        self._penalties.lift(way.hop)

    @property
    def _families(self) -> tuple[Family, ...] | None:
        if self._local_host is None:
            return None
        return ("ipv6",) if ":" in self._local_host else ("ipv4",)

    def _from_one_address(self, ways: Iterable[Way]) -> Iterable[Way]:
        first: str | None = self._local_host
        found = False
        problem: NetworkError | None = None
        for way in ways:
            try:
                local = self._local_host or local_address_towards(way.hop.address)
            except NetworkError as error:
                problem = problem or error
                continue
            first = first or local
            if local == first:
                found = True
                yield way
        if not found and problem is not None:
            raise problem
