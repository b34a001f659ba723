"""What all legs of one call have in common, and the machine that it makes of each of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from tuner_sipbridge.call.extensions import Extensions
from tuner_sipbridge.call.ids import Credentials
from tuner_sipbridge.call.outbound import OutboundCall
from tuner_sipbridge.dialer.provided import own_headers, srtp_for
from tuner_sipbridge.dialer.ways import Way
from tuner_sipbridge.net.ids import RandomIds
from tuner_sipbridge.providers import Provider
from tuner_sipbridge.sdp.crypto import SrtpPolicy
from tuner_sipbridge.sdp.negotiation import make_offer
from tuner_sipbridge.sdp.session import SessionDescription
from tuner_sipbridge.sip.routing import Address
from tuner_sipbridge.sip.timers import Timers
from tuner_sipbridge.sip.uri import Uri

NOBODY = Uri("sip", host="anonymous.invalid")
"""Stands for the caller until it is known (RFC 3323 §4.1.1.3)."""


@dataclass(frozen=True, slots=True)
class LegTerms:
    """How a call is made, whoever it goes to.

    Attributes:
        ids: source of tags, branches and keys.
        timers: base values of RFC 3261 §17.
        from_uri: who calls.
        correlation_id: value of X-Correlation-Id.
        ring_timeout_s: seconds until CANCEL when nobody picks up.
        provider: whose edge is called, if the user named one.
        headers: further headers of the INVITE.
        credentials: for challenges.
        srtp: what is asked for of SRTP.
        codecs: what is offered, best first.
        late_offer: INVITE without SDP.
        extensions: session timer and reliable provisional responses.
    """

    ids: RandomIds
    timers: Timers
    from_uri: Uri = field(repr=False)
    correlation_id: str
    ring_timeout_s: float
    provider: Provider | None
    headers: Mapping[str, str] | None = field(repr=False)
    credentials: Credentials | None = field(repr=False)
    srtp: SrtpPolicy
    codecs: Sequence[str]
    late_offer: bool
    extensions: Extensions

    def for_strangers(self) -> LegTerms:
        """The same without what the user gave for the party that was dialled: credentials and headers."""
        return replace(self, headers=None, credentials=None)

    def offer(self, shown: Address, way: Way) -> SessionDescription:
        """All that we can do at a media port, `shown` as the far end reaches it."""
        keys = self.ids.srtp(srtp_for(self.srtp, self.provider, way.hop.transport))
        return make_offer(*shown, self.ids.session_id(), self.codecs, srtp=keys)

    def machine(
        self,
        uri: Uri,
        way: Way,
        *,
        local: Address,
        offer: SessionDescription,
        sip_call_id: str,
        ring_timeout_s: float,
        headers: Sequence[tuple[str, str]] = (),
    ) -> OutboundCall:
        """The machine of one leg; `headers` are those of this leg alone.

        Raises:
            LocalProtocolError: the call cannot be made as asked.
        """
        own = [("X-Correlation-Id", self.correlation_id), ("X-CID", sip_call_id), *headers]
        own += own_headers(self.provider, self.headers).items()
        return OutboundCall(
            uri,
            local=local,
            offer=offer,
            sip_call_id=sip_call_id,
            from_uri=self.from_uri,
            ids=self.ids,
            headers=own,
            credentials=self.credentials,
            ring_timeout_s=ring_timeout_s,
            timers=self.timers,
            transport=way.hop.transport,
            route=() if way.trunk is None else (way.trunk.with_params(lr=None),),
            to=way.hop,
            extensions=self.extensions,
            late_offer=self.late_offer,
        )
