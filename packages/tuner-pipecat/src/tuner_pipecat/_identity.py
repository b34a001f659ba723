"""Whose call this is: what the application knows of the INVITE, at the start or later."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from tuner_core.identity.carrier_ids import advice_for
from tuner_core.identity.headers import from_sip_headers
from tuner_core.identity.model import SipIdentity


def identity_of(sip_call_id: str | None, sip_headers: Mapping[str, Any] | None) -> SipIdentity:
    """The SIP identity in an application's arguments.

    A Call-ID given by name wins over the headers, unless it is a carrier's own id: that links nothing, so it is
    left out with a warning that says what to pass instead.

    Args:
        sip_call_id: `Call-ID` of the INVITE.
        sip_headers: headers of the INVITE, names in any case.
    """
    shown = (
        from_sip_headers(sip_headers, provider="pipecat") if sip_headers else SipIdentity(provider="pipecat")
    )
    given = (sip_call_id or "").strip()
    if not given:
        return shown
    advice = advice_for(given)
    if advice is not None:
        return replace(shown, warnings=(f"sip_call_id not used: {advice}", *shown.warnings))
    found_at = {**shown.found_at, "sip_call_id": "argument"}
    return replace(shown, sip_call_id=given, found_at=found_at, warnings=())


def merged(known: SipIdentity, later: SipIdentity) -> SipIdentity:
    """What is known now with its gaps filled from what arrived later; the warnings of both."""
    filled = known.filled_from(later)
    if filled.sip_call_id:
        return filled
    return replace(filled, warnings=tuple(dict.fromkeys((*known.warnings, *later.warnings))))
