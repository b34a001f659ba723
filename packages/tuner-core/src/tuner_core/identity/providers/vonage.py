"""Vonage: the answer webhook by GET or POST, and the first message of a websocket endpoint.

Documented (developer.vonage.com, Voice API webhooks): `uuid` and `conversation_uuid` are Vonage's own; X- headers of a
SIP call come as `SipHeader_X-…`, but for those that begin with `X-Nexmo`. Documented (websockets): the first message is
`websocket:connected`, with the endpoint's `headers` beside it at the top level.
Not documented: the Call-ID of the INVITE, which only comes along as `X-CID`.
"""

from __future__ import annotations

from tuner_core.identity.description import OwnId, Provider, Shape

_UUID = r"[0-9a-fA-F]{8}-?(?:[0-9a-fA-F]{4}-?){3}[0-9a-fA-F]{12}"
_CONVERSATION = r"CON-[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}"

PROVIDER = Provider(
    name="vonage",
    aliases=("nexmo",),
    shapes=(
        Shape(
            "answer webhook",
            {"conversation_uuid": _CONVERSATION, "uuid": ""},
            also=("from", "to", "endpoint_type", "region_url"),
        ),
        Shape(
            "event webhook", {"conversation_uuid": _CONVERSATION}, also=("status", "direction", "timestamp")
        ),
        Shape(
            "websocket start",
            {"event": "websocket:connected"},
            also=("content-type",),
            fix="add SipCallId to the headers of the websocket endpoint in the NCCO",
        ),
    ),
    fix="have the caller send X-CID, which Vonage shows to the answer URL as SipHeader_X-CID",
    end_to_end_fix="have the caller send X-CID, which Vonage shows to the answer URL as SipHeader_X-CID",
    send_instead="X-CID of the call, shown as SipHeader_X-CID and forwarded in the headers of the websocket endpoint",
    own_ids=(
        OwnId("Vonage's call uuid", ("uuid", "call_uuid"), _UUID),
        OwnId("Vonage's conversation_uuid", ("conversation_uuid",), _CONVERSATION, certain=True),
    ),
)
