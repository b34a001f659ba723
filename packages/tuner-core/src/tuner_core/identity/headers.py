"""The SIP identity in a set of SIP headers: an INVITE's own, or those that a provider passed on."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, cast

from tuner_core.identity.carrier_ids import advice_for
from tuner_core.identity.model import SipIdentity

CALL_ID_NAMES = ("x-cid", "call-id", "i", "sipcallid", "sip-call-id", "sip_call_id")
"""Names of headers that hold the Call-ID, best first: `X-CID` is the caller's own, behind any B2BUA."""

CORRELATION_NAMES = ("x-correlation-id",)

_CALL_ID = re.compile(r"[^\s\x00-\x1f\x7f<>,;]{1,256}")
_CORRELATION = re.compile(r"[0-9a-fA-F]{32}|[A-Za-z2-7]{26}")
_PHONE_NUMBER = re.compile(r"\+?[0-9]{5,15}")


def call_id_problem(value: str, *, provider: str | None = None) -> str | None:
    """Why `value` cannot be a SIP Call-ID, in words, or None when it can."""
    if not _CALL_ID.fullmatch(value):
        return "the value does not have the form of a SIP Call-ID"
    return advice_for(value, provider=provider)


def correlation_id_in(value: str) -> str | None:
    """`value` when it has a correlation id's form (32 hex digits or 26 base32 characters), otherwise None."""
    text = value.strip()
    return text if _CORRELATION.fullmatch(text) else None


def from_sip_headers(headers: Mapping[str, Any] | Iterable[Any], *, provider: str = "sip") -> SipIdentity:
    """The identity that SIP headers show; names are compared without regard to case.

    Args:
        headers: a mapping of name to value (or list of values), pairs of name and value, or objects with the
            keys `name` and `value`, as providers list them.
        provider: noted in the result and used to recognise that provider's own ids.
    """
    table = header_table(headers)
    found_at: dict[str, str] = {}
    warnings: list[str] = []
    sip_call_id: str | None = None
    for name in CALL_ID_NAMES:
        value = table.get(name, "")
        if not value or (name == "x-cid" and _PHONE_NUMBER.fullmatch(value)):
            continue
        problem = call_id_problem(value, provider=provider)
        if problem is None:
            sip_call_id, found_at["sip_call_id"] = value, name
            break
        warnings.append(f"header {name} not used: {problem}")
    correlation_id: str | None = None
    for name in CORRELATION_NAMES:
        value = table.get(name, "")
        correlation_id = correlation_id_in(value) if value else None
        if correlation_id:
            found_at["correlation_id"] = name
        elif value:
            warnings.append(f"header {name} not used: neither 32 hex digits nor 26 base32 characters")
    if sip_call_id is None:
        warnings.append("no SIP Call-ID in the headers: pass on Call-ID or X-CID of the INVITE")
    return SipIdentity(
        sip_call_id=sip_call_id,
        correlation_id=correlation_id,
        provider=provider,
        found_at=found_at,
        warnings=tuple(warnings),
    )


def header_table(headers: Mapping[str, Any] | Iterable[Any]) -> dict[str, str]:
    """Headers of any usual shape as one table of lower-case name to first non-empty value."""
    pairs: Iterable[Any] = (
        cast("Mapping[Any, Any]", headers).items() if isinstance(headers, Mapping) else headers
    )
    table: dict[str, str] = {}
    for pair in pairs:
        name, value = _name_and_value(pair)
        if isinstance(value, list | tuple):
            values = cast("list[Any]", value)
            value = values[0] if values else ""
        text = value.strip() if isinstance(value, str) else ""
        if text and isinstance(name, str):
            table.setdefault(name.strip().lower(), text)
    return table


def _name_and_value(pair: Any) -> tuple[Any, Any]:
    if isinstance(pair, Mapping):
        entry = cast("Mapping[str, Any]", pair)
        return entry.get("name"), entry.get("value")
    if isinstance(pair, tuple | list) and len(cast("list[Any]", pair)) == 2:
        name, value = cast("tuple[Any, Any]", pair)
        return name, value
    return None, None
