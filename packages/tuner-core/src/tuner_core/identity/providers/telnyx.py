"""Telnyx: TeXML webhooks, Call Control events, and the `start` message of a media stream.

Documented (developers.telnyx.com, callbacks): TeXML's `CallSid` and Call Control's `call_control_id` are one and the
same id, `v3:…`; `call_leg_id` and `call_session_id` are UUIDs; `call.initiated` lists the INVITE's X- headers in
`custom_headers`, and `User-to-User` and the like in `sip_headers`. Documented (media streaming over websockets):
`start.custom_parameters` holds what `streaming_start` or `<Parameter>` gave.
Assumed: `data.payload.sip_call_id`, which no page of Telnyx names but Tuner's own SDK reads; `SipHeader_X-…` in
TeXML webhooks, as TeXML follows TwiML; a Call-ID among the listed headers.
"""

from __future__ import annotations

from tuner_core.identity.description import UUID, OwnId, Provider, Shape

_CONTROL_ID = r"v[23]:[\w=-]{10,}"
_START_FIX = (
    "give streaming_start the custom parameter SipCallId, or put it as <Parameter> into the TeXML <Stream>"
)
_TEXML_FIX = "have the caller send X-CID, which TeXML webhooks show as SipHeader_X-CID"

PROVIDER = Provider(
    name="telnyx",
    aliases=("texml",),
    shapes=(
        Shape(
            "media stream start",
            {"event": "start", "start.call_control_id": ""},
            also=("stream_id", "start.custom_parameters", "start.media_format", "start.user_id"),
            fix=_START_FIX,
        ),
        Shape(
            "TeXML webhook",
            {"CallSid": _CONTROL_ID, "AccountSid": ""},
            also=("CallSidLegacy", "ConnectionId", "CallStatus"),
            fix=_TEXML_FIX,
        ),
        Shape(
            "TeXML webhook", {"CallSid": _CONTROL_ID}, also=("CallSidLegacy", "ConnectionId"), fix=_TEXML_FIX
        ),
        Shape(
            "Call Control event",
            {"event_type": r"(?:call|streaming)[._].+", "payload.call_control_id": ""},
            also=("payload.call_leg_id", "payload.call_session_id", "payload.connection_id"),
        ),
        Shape("call", {"call_control_id": _CONTROL_ID}, also=("call_leg_id", "call_session_id")),
    ),
    fix="have the caller send X-CID, which Telnyx lists in custom_headers of call.initiated",
    end_to_end_fix="have the caller send X-CID, which Telnyx lists in custom_headers of call.initiated",
    send_instead="data.payload.sip_call_id, or the caller's X-CID from custom_headers",
    own_ids=(
        OwnId("Telnyx's call_control_id", ("call_control_id", "call_id"), _CONTROL_ID, certain=True),
        OwnId("Telnyx's CallSid", ("CallSid", "CallSidLegacy")),
        OwnId(
            "Telnyx's call_leg_id",
            ("call_leg_id", "CallLegId"),
            # Telnyx makes time-based UUIDs in containers, whose addresses begin with 02:42.
            r"[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-1[0-9a-fA-F]{3}-[0-9a-fA-F]{4}-0242[0-9a-fA-F]{8}",
            strict=True,
        ),
        OwnId(
            "Telnyx's call_session_id",
            ("call_session_id", "CallSessionId"),
            UUID,
        ),
        OwnId("Telnyx's stream_id", ("stream_id",)),
    ),
    call_id=("payload.sip_call_id",),
    headers=("custom_headers", "sip_headers"),
)
