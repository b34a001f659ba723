"""Ids that carriers and platforms give to calls: they look like a SIP Call-ID at a glance, and link nothing.

Only shapes that no SIP stack generates are recognised from the value alone. A bare UUID or 32 hex digits may
well be a true Call-ID (FreeSWITCH, Asterisk), so those count as a carrier's id only where the provider is
known.
"""

from __future__ import annotations

import re
from dataclasses import dataclass


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


@dataclass(frozen=True, slots=True)
class _Shape:
    pattern: re.Pattern[str]
    id: CarrierId
    certain: bool
    """True when the value alone says whose id it is."""


def _shape(pattern: str, provider: str, name: str, send_instead: str, *, certain: bool = True) -> _Shape:
    return _Shape(re.compile(pattern), CarrierId(provider, name, send_instead), certain)


_UUID = r"[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}"
_HEX32 = r"[0-9a-fA-F]{32}\w*"

_SHAPES = (
    _shape(r"CA[0-9a-f]{32}", "twilio", "Twilio's CallSid", "SipCallId of the voice webhook"),
    _shape(r"MZ[0-9a-f]{32}", "twilio", "Twilio's StreamSid", "SipCallId of the voice webhook"),
    _shape(r"SCL_\w+", "livekit", "LiveKit's sip.callID", "the participant attribute sip.callIDFull"),
    _shape(r"(?:AJ|RM|PA|TR)_\w+", "livekit", "a LiveKit id", "the participant attribute sip.callIDFull"),
    _shape(r"v[23]:[\w=-]{20,}", "telnyx", "Telnyx's call_control_id", "data.payload.sip_call_id"),
    _shape(
        r"call_[0-9a-f]{20,}", "retell", "Retell's call_id", "nothing: Tuner reads Retell's Call-ID itself"
    ),
    _shape(rf"CON-{_UUID}", "vonage", "Vonage's conversation_uuid", "the SIP Call-ID given when connecting"),
    _shape(rf"c-[0-9a-f]{{8}}-{_UUID}", "bandwidth", "Bandwidth's callId", "the INVITE's Call-ID header"),
    _shape(_UUID, "telnyx", "Telnyx's call_session_id", "data.payload.sip_call_id", certain=False),
    _shape(_UUID, "plivo", "Plivo's CallUUID", "extraHeaders SipCallId", certain=False),
    _shape(_HEX32, "exotel", "Exotel's CallSid", "the applet's custom parameter SipCallId", certain=False),
    _shape(_UUID, "jambonz", "jambonz's call_sid", "the header X-CID, or sip.call_id", certain=False),
    _shape(_UUID, "daily", "Daily's call_id", "sip_headers of the dial-in settings", certain=False),
    _shape(_UUID, "vapi", "Vapi's call.id", "call.transport.sbcCallSid", certain=False),
    _shape(_UUID, "vonage", "Vonage's call uuid", "the SIP Call-ID given when connecting", certain=False),
    _shape(_HEX32, "cloudonix", "Cloudonix's Session", "SessionData.callIds", certain=False),
)


def recognise(value: str, *, provider: str | None = None) -> CarrierId | None:
    """The carrier's id that `value` is, or None when it may be a SIP Call-ID.

    Args:
        value: what somebody wants to send as `sip_call_id`.
        provider: who handed it over, when known; then ambiguous shapes count too.
    """
    text = value.strip()
    known = (provider or "").lower()
    for shape in _SHAPES:
        if (shape.certain or shape.id.provider == known) and shape.pattern.fullmatch(text):
            return shape.id
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
