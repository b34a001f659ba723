"""Whom LiveKit is to call: a number or user on a stored trunk, or a SIP URI that LiveKit reaches by itself."""

from __future__ import annotations

import re
from dataclasses import dataclass

from tuner_sipbridge.errors import LocalProtocolError
from tuner_sipbridge.sip.uri import Uri
from tuner_sipbridge.via_livekit.terms import TrunkTerms

_SEPARATORS = re.compile(r"[-.() ]")
_NUMBER = re.compile(r"\+?[0-9]{2,}")
"""A global or local number without visual separators (RFC 3966 §5)."""


@dataclass(frozen=True, slots=True)
class Callee:
    """What a request to LiveKit names.

    Attributes:
        user: a phone number or SIP user; LiveKit takes no whole URI here.
        host: host, with the port where one is given, for a trunk that stands in the request itself; empty when a
            stored trunk says where calls go.
        transport: `udp`, `tcp` or `tls` of such a trunk; empty: LiveKit chooses.
    """

    user: str
    host: str = ""
    transport: str = ""


def target_of(text: str) -> str:
    """A target as plans and traces write it: a number becomes a tel URI (RFC 3966), anything else stays."""
    number = _SEPARATORS.sub("", text)
    return f"tel:{number}" if _NUMBER.fullmatch(number) else text


def callee_of(target: str, terms: TrunkTerms) -> Callee:
    """Read a target.

    Args:
        target: phone number, tel URI, or SIP URI.
        terms: whether the call goes out by a trunk that LiveKit has, and who calls.

    Raises:
        LocalProtocolError: it is none of these, or does not go with the trunk.
    """
    target = target_of(target)
    uri = Uri.parse(target, error=LocalProtocolError)
    if uri.scheme == "tel":
        if not terms.trunk_id:
            raise LocalProtocolError(
                "a phone number needs a trunk of LiveKit's: give its id (--trunk-id ST_…)"
            )
        return Callee(target.removeprefix("tel:").partition(";")[0])
    if not uri.is_sip:
        raise LocalProtocolError("LiveKit dials phone numbers, tel URIs and SIP URIs")
    if terms.trunk_id:
        raise LocalProtocolError(
            "a stored trunk dials numbers at its own address, not SIP URIs: give the number alone, or leave the"
            " trunk's id out and LiveKit calls the URI's host"
        )
    if not uri.user:
        raise LocalProtocolError("LiveKit needs a user or number before the @ of a SIP URI")
    if not terms.number:
        raise LocalProtocolError(
            "a call without a stored trunk needs the caller's number (--from): it stands in From"
        )
    transport = "tls" if uri.scheme == "sips" else uri.transport or ""
    if transport not in {"", "udp", "tcp", "tls"}:
        raise LocalProtocolError(f"LiveKit speaks SIP over UDP, TCP and TLS, not over {transport}")
    return Callee(uri.user, uri.host if uri.port is None else f"{uri.host}:{uri.port}", transport)
