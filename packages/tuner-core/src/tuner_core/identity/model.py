"""What a provider showed of a call's SIP identity."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class SipIdentity:
    """The values that link a call to the simulation that made it, and where each was found.

    Attributes:
        sip_call_id: `Call-ID` header of the caller's INVITE; None rather than a wrong one.
        correlation_id: `X-Correlation-Id`: 32 hex digits, or 26 base32 characters for outbound.
        provider: who showed it: `livekit`, `sip`, `twilio`, ...
        provider_call_id: the provider's own id of the call, which links nothing at Tuner.
        found_at: field of this class to the name of the header, attribute or key that held it.
        warnings: what is missing or doubtful, each with what to configure.
    """

    sip_call_id: str | None = None
    correlation_id: str | None = None
    provider: str = ""
    provider_call_id: str | None = None
    found_at: Mapping[str, str] = field(default_factory=dict[str, str])
    warnings: tuple[str, ...] = ()

    @property
    def links(self) -> bool:
        """True when one of the two linking values is known."""
        return bool(self.sip_call_id or self.correlation_id)

    @property
    def sip_headers(self) -> dict[str, str]:
        """The headers to post as `sip_headers`: the correlation id, when known."""
        return {"X-Correlation-Id": self.correlation_id} if self.correlation_id else {}

    def filled_from(self, later: SipIdentity) -> SipIdentity:
        """This identity with its gaps filled from one that arrived later; what is known already stays.

        Warnings are those of the later sight, since what they missed may have arrived by then.
        """
        found = {**later.found_at, **self.found_at}
        return SipIdentity(
            sip_call_id=self.sip_call_id or later.sip_call_id,
            correlation_id=self.correlation_id or later.correlation_id,
            provider=self.provider or later.provider,
            provider_call_id=self.provider_call_id or later.provider_call_id,
            found_at=found,
            warnings=later.warnings,
        )
