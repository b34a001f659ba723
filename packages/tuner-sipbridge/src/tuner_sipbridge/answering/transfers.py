"""Simulated humans of a plan who let the agent transfer them: they call whom it names (RFC 3515)."""

from __future__ import annotations

from tuner_sipbridge.answered_line import AnsweredLine, CallMedia
from tuner_sipbridge.call.extensions import DEFAULT_EXTENSIONS, Extensions
from tuner_sipbridge.dialer.dialer import DEFAULT_RING_TIMEOUT_S
from tuner_sipbridge.dialer.followed_transfer import Follower
from tuner_sipbridge.dialer.leg_terms import LegTerms
from tuner_sipbridge.dialer.placed_call import Follow
from tuner_sipbridge.dialer.provided import dialable
from tuner_sipbridge.dialer.sockets import Sockets
from tuner_sipbridge.dialer.ways import Way, Ways
from tuner_sipbridge.net.driver import NEXT_TARGET_AFTER_S, SipDriver
from tuner_sipbridge.net.ids import RandomIds
from tuner_sipbridge.net.locator import Locator
from tuner_sipbridge.net.public_address import PublicAddress
from tuner_sipbridge.net.tls import TlsSettings
from tuner_sipbridge.sip.timers import Timers
from tuner_sipbridge.sip.uri import Uri


class Transfers:
    """The calls that answered calls are transferred to; its sockets are opened when the first is asked for."""

    def __init__(
        self,
        *,
        tls: TlsSettings | None = None,
        public_address: str | None = None,
        extensions: Extensions = DEFAULT_EXTENSIONS,
        timers: Timers = Timers(),
    ) -> None:
        """Prepare.

        Args:
            tls: whom to trust.
            public_address: what a NAT shows for this machine, as `Answerer` takes it.
            extensions: terms of the calls.
            timers: base values of RFC 3261 §17.
        """
        locator, trust = Locator(), tls or TlsSettings()
        public = PublicAddress.parse(public_address)
        self._ways = Ways(locator, transport="udp")
        self._sockets = Sockets(
            lambda: SipDriver(tls=trust, locator=locator, public_address=public),
            port=0,
            tls=trust.certificate is not None,
        )
        self._extensions, self._timers, self._ids = extensions, timers, RandomIds()
        self._follower = Follower(
            self._ways, self._sockets, self._reach, routed=False, patience_s=NEXT_TARGET_AFTER_S
        )

    def of(self, line: AnsweredLine, offered: CallMedia) -> Follow:
        """How the call on a line is transferred: who was called calls on, with the media of the call."""
        invite = line.machine.invite
        terms = LegTerms(
            ids=self._ids,
            timers=self._timers,
            from_uri=Uri(user=invite.uri.user, host=line.host),
            correlation_id=line.headers.get("x-correlation-id", ""),
            ring_timeout_s=DEFAULT_RING_TIMEOUT_S,
            provider=None,
            headers=None,
            credentials=None,
            srtp=offered.srtp.policy,
            codecs=offered.codecs,
            late_offer=False,
            extensions=self._extensions,
        )
        return self._follower.of(invite.from_.uri, terms)

    async def close(self) -> None:
        """Close the sockets."""
        await self._sockets.close()

    async def _reach(self, target: str) -> tuple[Uri, list[Way]]:
        uri = dialable(target)
        return uri, await self._ways.towards(uri)
