"""Exotel: the GET request of the Passthru applet, and the `start` message of the Stream and Voicebot applets.

Documented (support.exotel.com, developer.exotel.com): Passthru's query has `CallSid`, `CallFrom`, `CallTo`,
`Direction`, `flow_id`, and `Stream[…]` or one JSON string `Stream` after a stream; the message has `start.call_sid`,
`start.stream_sid` and `start.custom_parameters`, three pairs from the query of the applet's URL.
Assumed: the Call-ID is on no page; it can only be forwarded as a custom parameter `SipCallId`, or in `CustomField`.
"""

from __future__ import annotations

from tuner_core.identity.description import OwnId, Provider, Shape

_CALL_SID = r"[0-9a-z]{32}[0-9a-z]{0,6}"
PROVIDER = Provider(
    name="exotel",
    shapes=(
        Shape(
            "Passthru request",
            {"CallSid": _CALL_SID, "flow_id": ""},
            also=("CallFrom", "CallTo", "Direction", "Created", "CustomField"),
        ),
        Shape(
            "Passthru request",
            {"CallSid": "", "CallFrom": "", "CallTo": ""},
            also=("Direction", "Created", "CustomField", "flow_id"),
        ),
        Shape(
            "media stream start",
            {"event": "start", "start.call_sid": _CALL_SID},
            also=("start.stream_sid", "start.account_sid", "start.custom_parameters", "start.from"),
        ),
        Shape(
            "media stream start",
            {"event": "start", "=start.call_sid": "", "=start.stream_sid": ""},
            also=("=start.custom_parameters", "=start.account_sid"),
        ),
    ),
    fix="let the applet ask an HTTPS address for the websocket's URL, and answer with SipCallId in that URL's query",
    send_instead="the applet's custom parameter SipCallId",
    own_ids=(
        OwnId("Exotel's CallSid", ("CallSid", "call_id"), r"[0-9a-fA-F]{32}\w*"),
        OwnId("Exotel's StreamSid", ("stream_sid", "Stream.StreamSID")),
    ),
)
