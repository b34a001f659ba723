"""The SIP identity in the attributes of a LiveKit SIP participant."""

from __future__ import annotations

from collections.abc import Mapping

from tuner_core.identity.headers import call_id_problem, correlation_id_in
from tuner_core.identity.model import SipIdentity

CALL_ID_ATTRIBUTES = ("sip.h.x-cid", "x-cid", "sip.callidfull", "sip.h.call-id")
"""Lower-case names of attributes that hold a Call-ID, the caller's own before that of a later leg."""

CORRELATION_ATTRIBUTES = ("sip.h.x-correlation-id", "x-correlation-id")

_TRUNK_ADVICE = "set include_headers to SIP_X_HEADERS on the inbound trunk"


def from_participant_attributes(
    attributes: Mapping[str, str], *, call_id_attribute: str | None = None
) -> SipIdentity:
    """The identity that a SIP participant's attributes show so far; they may arrive late and in parts.

    `sip.callID` is LiveKit's own id and is never taken for the Call-ID.

    Args:
        attributes: the participant's attributes; names are compared without regard to case.
        call_id_attribute: an attribute of your own that holds the Call-ID, made by `headers_to_attributes` of
            the trunk; looked at first.
    """
    table = {name.lower(): value.strip() for name, value in attributes.items() if value and value.strip()}
    names = (call_id_attribute.lower(), *CALL_ID_ATTRIBUTES) if call_id_attribute else CALL_ID_ATTRIBUTES
    found_at: dict[str, str] = {}
    warnings: list[str] = []
    sip_call_id: str | None = None
    for name in names:
        value = table.get(name)
        if value is None:
            continue
        problem = call_id_problem(value, provider="livekit")
        if problem is None:
            sip_call_id, found_at["sip_call_id"] = value, _spelt(attributes, name)
            break
        warnings.append(f"attribute {_spelt(attributes, name)} not used: {problem}")
    correlation_id, correlation_name = _correlation(table)
    if correlation_id:
        found_at["correlation_id"] = _spelt(attributes, correlation_name)
    elif correlation_name:
        warnings.append(
            f"attribute {_spelt(attributes, correlation_name)} not used: "
            "neither 32 hex digits nor 26 base32 characters"
        )
    provider_call_id = table.get("sip.callid")
    if provider_call_id:
        found_at["provider_call_id"] = _spelt(attributes, "sip.callid")
    if not sip_call_id:
        warnings.append(_missing_call_id(has_own_id=bool(provider_call_id)))
    elif not correlation_id and "x-cid" not in found_at["sip_call_id"].lower() and _through_carrier(table):
        warnings.append(
            f"the call came through a carrier, so {found_at['sip_call_id']} may be the Call-ID of a second "
            f"leg: {_TRUNK_ADVICE} so that X-Correlation-Id and X-CID arrive"
        )
    return SipIdentity(
        sip_call_id=sip_call_id,
        correlation_id=correlation_id,
        provider="livekit",
        provider_call_id=provider_call_id,
        found_at=found_at,
        warnings=tuple(warnings),
    )


def _correlation(table: Mapping[str, str]) -> tuple[str | None, str]:
    seen = ""
    for name in CORRELATION_ATTRIBUTES:
        value = table.get(name)
        if value is None:
            continue
        seen = name
        correlation_id = correlation_id_in(value)
        if correlation_id:
            return correlation_id, name
    return None, seen


def _missing_call_id(*, has_own_id: bool) -> str:
    if has_own_id:
        return (
            "only sip.callID is there, which is LiveKit's own id: update livekit-sip to a version with "
            "sip.callIDFull, or set include_headers to SIP_ALL_HEADERS on the inbound trunk"
        )
    return (
        "no SIP Call-ID in the attributes: the participant is not a SIP caller, or they have not arrived yet"
    )


def _through_carrier(table: Mapping[str, str]) -> bool:
    return any(name.startswith(("sip.twilio.", "sip.telnyx.", "sip.amazon.")) for name in table)


def _spelt(attributes: Mapping[str, str], lower_name: str) -> str:
    """The attribute's name as the room spells it."""
    return next((name for name in attributes if name.lower() == lower_name), lower_name)
