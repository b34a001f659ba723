"""How a dialer makes a call: whom to send to, from which sockets, as whom, and with what offer."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from typing import Literal

from tuner_sipbridge.call.outbound import OutboundCall
from tuner_sipbridge.dialer.failover import Failover, Footing
from tuner_sipbridge.dialer.followed_transfer import Follower
from tuner_sipbridge.dialer.leg_terms import LegTerms
from tuner_sipbridge.dialer.placed_call import PlacedCall
from tuner_sipbridge.dialer.provided import addressed, dialable
from tuner_sipbridge.dialer.registering import DEFAULT_USER, Registrations
from tuner_sipbridge.dialer.sockets import SocketsAt
from tuner_sipbridge.dialer.ways import Way, WaysTo
from tuner_sipbridge.media.engine import MediaEngine
from tuner_sipbridge.providers import Provider, provider_of
from tuner_sipbridge.sip.routing import Transport
from tuner_sipbridge.sip.uri import Uri, without_password
from tuner_sipbridge.trace import Trace


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is asked of one call.

    Attributes:
        target: SIP URI, used as given.
        terms: how it is made; its `from_uri` is who calls where nobody is registered.
        sip_call_id: Call-ID to use.
        trace: where to note what happens.
        scenario: for the trace.
        agent: for the trace.
    """

    target: str
    terms: LegTerms
    sip_call_id: str
    trace: Trace
    scenario: str = ""
    agent: str = ""


@dataclass(frozen=True, slots=True)
class Placing:
    """What all calls of a dialer share.

    Attributes:
        ways: finds where to send to.
        sockets: those to send from.
        registrations: kept before calls are made; None when nobody is to be registered.
        provider: whose edge is called, if the user named one.
        transport: what carries SIP to URIs that name no transport.
        routed: calls go through trunks.
        from_user: user part of From; None is the default.
        patience_s: seconds without any response after which the next way is tried.
        transfers: what becomes of a REFER.
    """

    ways: WaysTo
    sockets: SocketsAt
    registrations: Registrations | None
    provider: Provider | None
    transport: Transport
    routed: bool
    from_user: str | None
    patience_s: float
    transfers: Literal["follow", "decline"]

    async def place(self, wanted: Wanted, engine: MediaEngine) -> PlacedCall:
        """Send the INVITE.

        Raises:
            CallError: registration is refused.
            NetworkError: there is no way to the target.
            LocalProtocolError: the URI or a header is not one.
            MediaError: there is no port for the media.
        """
        uri, ways = await self.reach(wanted.target)

        async def footing(way: Way) -> Footing:
            driver = await self.sockets.at(way.local)
            stream = await driver.open_media(engine, driver.host_towards(way.hop))
            return Footing(way.local, driver, stream)

        def machine_for(way: Way, stands: Footing, ring_timeout_s: float) -> OutboundCall:
            local = stands.driver.shown(stands.driver.host_towards(way.hop), way.hop.transport)
            return terms.machine(
                uri,
                way,
                local=local,
                offer=terms.offer(stands.driver.media_shown(stands.stream), way),
                sip_call_id=wanted.sip_call_id,
                ring_timeout_s=ring_timeout_s,
            )

        # A NAT is asked about the media port while the caller registers.
        opening = asyncio.ensure_future(footing(ways[0]))
        try:
            terms = replace(wanted.terms, from_uri=await self._caller(uri, ways[0], wanted))
        except BaseException:
            await _give_up(opening)
            raise
        begun = await opening
        follower = Follower(
            self.ways, self.sockets, self.reach, routed=self.routed, patience_s=self.patience_s
        )
        call = PlacedCall(
            target=without_password(wanted.target),
            correlation_id=terms.correlation_id,
            stream=begun.stream,
            trace=wanted.trace,
            provider=self.provider or provider_of(uri),
            follow=follower.of(uri, terms) if self.transfers == "follow" else None,
        )
        failover = Failover(self.ways, ways, begun, footing, machine_for, ring_timeout_s=terms.ring_timeout_s)
        try:
            call.start(failover, patience_s=self.patience_s, scenario=wanted.scenario, agent=wanted.agent)
        except BaseException:
            await begun.stream.close()
            raise
        return call

    async def reach(self, target: str) -> tuple[Uri, list[Way]]:
        """Read a URI as the provider wants it, and find the ways to it.

        Raises:
            NetworkError: there is none.
            LocalProtocolError: it is no URI, or asks for what cannot be.
        """
        uri = addressed(dialable(target, routed=self.routed), self.provider, self.transport)
        return uri, await self.ways.towards(uri)

    async def _caller(self, uri: Uri, way: Way, wanted: Wanted) -> Uri:
        """Who calls: From, once it is registered where that is asked for."""
        if self.registrations is not None:
            return await self.registrations.standing(uri, wanted.terms.credentials, wanted.trace)
        driver = await self.sockets.at(way.local)
        host, port = driver.shown(driver.host_towards(way.hop), way.hop.transport)
        return Uri(scheme="sip", user=self.from_user or DEFAULT_USER, host=host, port=port)


async def _give_up(opening: asyncio.Future[Footing]) -> None:
    """Free the sockets that are being opened for a call that is not made."""
    opening.cancel()
    (begun,) = await asyncio.gather(opening, return_exceptions=True)
    if isinstance(begun, Footing):
        await begun.stream.close()
