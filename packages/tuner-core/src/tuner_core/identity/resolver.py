"""`resolve`: what a provider shows of a call becomes the SIP identity that links it.

The order of trust: the Call-ID that the caller made and that hops carry along (`X-CID`), the provider's own place
for the Call-ID, a forwarded `SipCallId`, the `Call-ID` header of the leg that arrived, an inner leg's Call-ID. A
provider's own id of the call is never sent, whatever name it has been given.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from tuner_core.errors import ConfigError
from tuner_core.identity.candidates import Candidate, Sight, look
from tuner_core.identity.description import Provider
from tuner_core.identity.detection import Match, detect, shape_of
from tuner_core.identity.fields import Fields, fields_of
from tuner_core.identity.model import SipIdentity
from tuner_core.identity.reading import read
from tuner_core.identity.registry import find_provider, providers
from tuner_core.identity.vetting import (
    NO_CORRELATION_FORM,
    Vetting,
    correlation_id_in,
    is_telephone_number,
    own_ids_shown,
)

UNKNOWN = Provider(
    name="unknown",
    shapes=(),
    fix="name the provider (provider=…) or describe it with register_provider, and forward SipCallId or X-CID",
    headers=("sip_headers", "custom_headers", "custom_sip_headers", "sip.headers"),
)
"""Stands for whoever sent a payload of no known shape; what is forwarded by name is found all the same."""

_NOBODYS = ("sip", UNKNOWN.name)


@dataclass(frozen=True, slots=True)
class Resolution:
    """An identity and how it came about.

    Attributes:
        identity: the result.
        format: what the payload was: `JSON`, `form body`, `SIP headers`, ...
        shape: which of the provider's payloads; "" when it is none that is known.
        fix: what to configure so that the right Call-ID arrives; "" when nothing is amiss.
    """

    identity: SipIdentity
    format: str = ""
    shape: str = ""
    fix: str = ""


def resolve(payload: Any, provider: str = "auto") -> SipIdentity:
    """The SIP identity that a provider's payload shows. Never raises for a payload, whatever it is.

    Args:
        payload: a webhook's form or JSON (parsed, or the raw body as bytes or text), a websocket start message,
            participant attributes, a list of headers, SIP itself as text, a call object of the provider's SDK.
        provider: `twilio`, `telnyx`, ...; "auto" tells from the shape. Name it where the code knows it: then
            ambiguous ids are recognised too.

    Returns:
        Both linking values as far as they are known, where each was found as the payload spells it, and a warning
        for all that is missing or doubtful, with what to configure. No warning holds content of the payload.

    Raises:
        ConfigError: `provider` is no known name.
    """
    return resolution(payload, provider).identity


def resolution(payload: Any, provider: str = "auto") -> Resolution:
    """`resolve`, together with how the payload was read.

    Raises:
        ConfigError: `provider` is no known name.
    """
    named = None if (provider or "auto").strip().lower() == "auto" else _named(provider)
    try:
        reading = read(payload)
        fields = fields_of(reading.data)
        if len(fields.all) < 2:
            return _nothing(named, f"there is nothing to read in this {reading.format}", reading.format)
        match = shape_of(named, fields) if named else detect(fields) or Match(UNKNOWN, None)
        found = assemble(match, fields, literal=reading.is_sip or match.provider.name == "sip")
        return Resolution(found.identity, reading.format, found.shape, found.fix)
    except Exception as error:  # an agent's call must not fail on what a stranger sent
        return _nothing(named, f"the payload cannot be read ({type(error).__name__})")


def assemble(
    match: Match, fields: Fields, *, literal: bool = False, first: tuple[str, ...] = (), label: str = ""
) -> Resolution:
    """The identity in the fields of one payload.

    Args:
        match: whose payload it is.
        fields: the payload.
        literal: True for SIP itself, whose values are not decoded.
        first: places of the Call-ID that come before all others.
        label: name of the provider in the result, where it is not the description's.
    """
    provider = match.provider
    headers = fields.inside(("*",) if literal else provider.headers)
    vetting = Vetting.of(provider, fields, headers, literal=literal)
    sight = look(provider, fields, headers, first=first)
    correlation, notes = _correlation(sight, vetting)
    vetting.correlation_id = correlation[0] if correlation else None
    fix = (match.shape.fix if match.shape else "") or provider.fix
    choice = _choose(sight, vetting, fix)
    chosen, fix = choice.candidate, choice.fix_told or fix
    own = next(own_ids_shown(provider, fields, headers), None)
    warnings = [*choice.rejected, *notes]
    amiss = chosen is None
    if chosen is None and not choice.fix_told:
        warnings.append(f"no SIP Call-ID in {_what(match)}: {fix}")
    elif chosen is not None and not correlation and (doubt := _doubt(chosen, sight)):
        fix = provider.end_to_end_fix
        warnings.append(f"{doubt}: {fix}")
        amiss = True
    found_at: dict[str, str] = {}
    if chosen is not None:
        found_at["sip_call_id"] = chosen.field.path
    if correlation:
        found_at["correlation_id"] = correlation[1]
    if own:
        found_at["provider_call_id"] = own[1].path
    identity = SipIdentity(
        sip_call_id=choice.value,
        correlation_id=correlation[0] if correlation else None,
        provider=label or provider.name,
        provider_call_id=own[1].text if own else None,
        found_at=found_at,
        warnings=tuple(dict.fromkeys(warnings)),
    )
    return Resolution(identity, shape=match.shape.name if match.shape else "", fix=fix if amiss else "")


@dataclass(slots=True)
class _Choice:
    """The Call-ID to send, why others are not, and what to configure where that is said already."""

    candidate: Candidate | None = None
    value: str | None = field(default=None, repr=False)
    rejected: list[str] = field(default_factory=list[str])
    fix_told: str = ""


def _choose(sight: Sight, vetting: Vetting, fix: str) -> _Choice:
    """The first candidate that may be sent."""
    choice = _Choice()
    for candidate in sight.call_ids:
        text = candidate.field.text
        if candidate.callers_own and is_telephone_number(text):
            continue
        verdict = vetting.judge(text, forwarded=candidate.forwarded)
        if verdict.value is not None:
            choice.candidate, choice.value = candidate, verdict.value
            break
        if verdict.own_id:
            # Headers and unknown payloads say nothing of how to configure; the id tells who could.
            owner = find_provider(verdict.owner) if vetting.provider.name in _NOBODYS else None
            told = choice.fix_told = owner.fix if owner else fix
            choice.rejected.append(
                f"{candidate.field.path} holds {verdict.own_id}, not the SIP Call-ID: {told}"
            )
        else:
            choice.rejected.append(f"{candidate.field.path} not used: {verdict.problem}")
    return choice


def _correlation(sight: Sight, vetting: Vetting) -> tuple[tuple[str, str] | None, list[str]]:
    """The correlation id with its path, and what was wrong with the fields passed over."""
    notes: list[str] = []
    for entry in sight.correlations:
        value = correlation_id_in(vetting.decoded(entry.text))
        if value:
            return (value, entry.path), []
        notes.append(f"{entry.path} not used: {NO_CORRELATION_FORM}")
    return None, notes


def _doubt(chosen: Candidate, sight: Sight) -> str:
    """Why the Call-ID may not be the caller's, "" when nothing speaks against it."""
    path = chosen.field.path
    if chosen.middle_leg:
        return f"{path} is the Call-ID of an inner leg, which links only if no hop made a new one"
    if sight.carrier and not chosen.callers_own and not chosen.forwarded:
        return (
            f"the call came through a carrier ({sight.carrier}), so {path} may be the Call-ID of a second leg"
        )
    return ""


def _what(match: Match) -> str:
    if match.provider is UNKNOWN:
        return "this payload, which has no known provider's shape"
    return (
        f"{match.provider.name}'s {match.shape.name}"
        if match.shape
        else f"this payload of {match.provider.name}"
    )


def _nothing(provider: Provider | None, warning: str, format_: str = "") -> Resolution:
    known = provider or UNKNOWN
    identity = SipIdentity(provider=known.name, warnings=(f"{warning}: {known.fix}",))
    return Resolution(identity, format_, fix=known.fix)


def _named(name: str) -> Provider:
    found = find_provider(name)
    if found is None:
        known = ", ".join(sorted(provider.name for provider in providers()))
        raise ConfigError(
            f"no provider {name!r}; known: auto, {known}. Describe your own with register_provider"
        )
    return found


__all__ = ["Resolution", "assemble", "resolution", "resolve"]
