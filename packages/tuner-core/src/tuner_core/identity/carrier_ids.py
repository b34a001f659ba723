"""Ids that carriers and platforms give to calls: they look like a SIP Call-ID at a glance, and link nothing.

Only shapes that no SIP stack generates are recognised from the value alone. A bare UUID or 32 hex digits may
well be a true Call-ID (FreeSWITCH, Asterisk), so those count as a carrier's id only where the provider is
known. The shapes stand with their providers, in `tuner_core.identity.providers`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from tuner_core.identity.registry import find_provider, providers


@dataclass(frozen=True, slots=True)
class CarrierId:
    """A recognised provider id.

    Attributes:
        provider: lower-case name, as in `SipIdentity.provider`.
        name: what the id is, in words: `Twilio's CallSid`.
        send_instead: where that provider shows the SIP Call-ID.
    """

    provider: str
    name: str
    send_instead: str


def recognise(value: str, *, provider: str | None = None) -> CarrierId | None:
    """The carrier's id that `value` is, or None when it may be a SIP Call-ID.

    Args:
        value: what somebody wants to send as `sip_call_id`.
        provider: who handed it over, when known; then ambiguous shapes count too.
    """
    text = value.strip()
    known = find_provider(provider) if provider else None
    for entry in providers():
        for own in entry.own_ids:
            if own.pattern and (own.certain or entry is known) and re.fullmatch(own.pattern, text):
                return CarrierId(entry.name, own.name, entry.send_instead)
    return None


def carrier_id_of(value: str, *, provider: str | None = None) -> str | None:
    """What provider's own id `value` is (`Twilio's CallSid`), or None when it may be a SIP Call-ID."""
    found = recognise(value, provider=provider)
    return found.name if found else None


def advice_for(value: str, *, provider: str | None = None) -> str | None:
    """One sentence: what `value` is and what to send instead; None when it may be a SIP Call-ID."""
    found = recognise(value, provider=provider)
    if found is None:
        return None
    return f"{found.name} is a provider's own id, not the SIP Call-ID; send {found.send_instead}"
