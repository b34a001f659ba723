"""Finds where names lead for everything that one dialer or answerer sends, and remembers which targets failed."""

from __future__ import annotations

from collections.abc import Sequence

from tuner_sipbridge.errors import NotLocated
from tuner_sipbridge.net import clock
from tuner_sipbridge.net.resolver import Resolver
from tuner_sipbridge.sip.locating import TRANSPORTS, Family, Located
from tuner_sipbridge.sip.routing import Hop, Sought, Transport
from tuner_sipbridge.sip.targets import DEFAULT_PENALTY_S, Penalties
from tuner_sipbridge.sip.uri import Uri


class Locator:
    """A resolver with a memory of targets that failed (RFC 3263 §4.3): they come last until they are forgiven."""

    def __init__(self, resolver: Resolver | None = None) -> None:
        """Prepare; nothing is asked before `locate`. Without a resolver, the system's name server is asked."""
        self._resolver = resolver or Resolver()
        self._penalties = Penalties[Hop]()

    async def locate(
        self, uri: Uri, *, transports: Sequence[Transport], families: Sequence[Family] | None
    ) -> Located:
        """As `Resolver.locate`; what failed a moment ago is not moved: see `order`.

        Raises:
            LocalProtocolError: the URI asks for what cannot be.
        """
        return await self._resolver.locate(uri, transports=transports, families=families)

    async def onwards(self, sought: Sought, family: Family) -> list[Hop]:
        """The targets of a request's name, best first, less those that it was sent to; these are penalised.

        Args:
            sought: the name.
            family: of the socket that the request leaves by.

        Raises:
            NotLocated: the name leads nowhere.
            LocalProtocolError: its URI asks for what cannot be.
        """
        for failed in sought.failed:
            self.note_failure(failed.hop, failed.why, for_s=failed.for_s)
        preferred = sorted(TRANSPORTS, key=lambda known: known != sought.transport)
        # What began over TLS is not carried on without it.
        transports = ("tls",) if sought.transport == "tls" else preferred
        located = await self.locate(sought.uri, transports=transports, families=(family,))
        if not located.targets:
            raise NotLocated(located.problem, unknown=not located.failed)
        tried = {failed.hop for failed in sought.failed}
        return [hop for hop in self.order(located.targets) if hop not in tried]

    def order(self, hops: Sequence[Hop]) -> list[Hop]:
        """The targets in their order, those that failed a moment ago behind the others."""
        return self._penalties.sort(hops, now=clock.now())

    def note_failure(self, hop: Hop, why: str, *, for_s: float = DEFAULT_PENALTY_S) -> None:
        """A target failed: for so many seconds others are tried before it."""
        self._penalties.note(hop, why, now=clock.now(), for_s=for_s)

    def note_success(self, hop: Hop) -> None:
        """A target led to somebody."""
        self._penalties.lift(hop)
