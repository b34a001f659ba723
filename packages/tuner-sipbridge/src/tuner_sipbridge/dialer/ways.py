"""The ways a call may take, best first, and what is remembered of those that failed (RFC 3263 §4.3)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

from tuner_sipbridge.errors import NetworkError, NotLocated
from tuner_sipbridge.net.locator import Locator
from tuner_sipbridge.net.resolver import draw
from tuner_sipbridge.net.udp import local_address_towards
from tuner_sipbridge.sip.locating import TRANSPORTS, Family
from tuner_sipbridge.sip.records import by_priority_and_weight
from tuner_sipbridge.sip.routing import Hop, Transport
from tuner_sipbridge.sip.targets import DEFAULT_PENALTY_S, Trunk
from tuner_sipbridge.sip.uri import Uri


@dataclass(frozen=True, slots=True)
class Way:
    """One place to send an INVITE to, and the trunk it belongs to.

    Attributes:
        hop: transport, address and port.
        trunk: the trunk's URI, which stands in Route; None when the target itself was located.
        local: the address of ours that leads there, for SIP and media.
    """

    hop: Hop
    trunk: Uri | None = field(default=None, repr=False)
    local: str = ""

    def __str__(self) -> str:
        return f"{self.hop}" if self.trunk is None else f"{self.hop} (trunk {self.trunk.host})"


class WaysTo(Protocol):
    """Knows the ways to URIs, and is told which fail and which work: see `Ways`."""

    async def towards(self, uri: Uri) -> list[Way]: ...  # noqa: D102
    def note_failure(self, way: Way, why: str, *, for_s: float = DEFAULT_PENALTY_S) -> None: ...  # noqa: D102
    def note_success(self, way: Way) -> None: ...  # noqa: D102


class Ways:
    """Finds the ways to a URI. One for a dialer."""

    def __init__(
        self,
        locator: Locator,
        *,
        transport: Transport,
        local_host: str | None = None,
        trunks: Sequence[Trunk] = (),
    ) -> None:
        """Prepare; nothing is asked before `towards`.

        Args:
            locator: where names are looked up, and failures remembered.
            transport: preferred where neither the URI nor its domain says one.
            local_host: the address that calls are sent from; the interface towards each target when None.
            trunks: the user's ways out; without any the target itself is located.
        """
        self._locator, self._trunks = locator, trunks
        self._transports = sorted(TRANSPORTS, key=lambda known: known != transport)
        self._local_host = local_host

    async def towards(self, uri: Uri) -> list[Way]:
        """The ways to a URI, best first: trunks by priority and weight, the targets of each as RFC 3263 says.

        Those that failed a moment ago come last.

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
            located = await self._locator.locate(
                place.uri if place else uri, transports=transports, families=self._families
            )
            ways += [Way(hop, place.uri if place else None) for hop in located.targets]
            problems += [located.problem] if located.problem else []
            unknown = unknown and not located.failed
        if not ways:
            raise NotLocated("; ".join(problems), unknown=unknown)
        order = self._locator.order([way.hop for way in ways])
        ways.sort(key=lambda way: order.index(way.hop))
        return list(self._routed(ways))

    def note_failure(self, way: Way, why: str, *, for_s: float = DEFAULT_PENALTY_S) -> None:
        """A way failed: for so many seconds others are tried before it."""
        self._locator.note_failure(way.hop, why, for_s=for_s)

    def note_success(self, way: Way) -> None:
        """A way led to somebody."""
        self._locator.note_success(way.hop)

    @property
    def _families(self) -> tuple[Family, ...] | None:
        if self._local_host is None:
            return None
        return ("ipv6",) if ":" in self._local_host else ("ipv4",)

    def _routed(self, ways: Iterable[Way]) -> Iterable[Way]:
        """The ways with the local address that each leaves from, those left out that there is no route to."""
        problem: NetworkError | None = None
        found = False
        for way in ways:
            try:
                local = self._local_host or local_address_towards(way.hop.address)
            except NetworkError as error:
                problem = problem or error
                continue
            found = True
            yield replace(way, local=local)
        if not found and problem is not None:
            raise problem
