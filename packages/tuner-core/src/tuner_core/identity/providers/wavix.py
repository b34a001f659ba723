"""Wavix: call webhooks, and the `start` message of call streaming.

Documented (docs.wavix.com, call streaming): `start` has `call_id`, `stream_id`, `stream_type` and `channel`, and
nothing that a customer could add. Documented (call webhooks): there are `on-call` and `post-call` events.
Assumed: the fields of a webhook, `uuid` or `call_id` with `event_type`; headers in `sip_headers`, for which no page
was found.
"""

from __future__ import annotations

from tuner_core.identity.description import UUID, OwnId, Provider, Shape

PROVIDER = Provider(
    name="wavix",
    shapes=(
        Shape(
            "call streaming start",
            {"event": "start", "call_id": "", "stream_type": "oneway|twoway"},
            also=("stream_id", "channel", "sequence_number", "event_time"),
        ),
        Shape(
            "call webhook",
            {
                "event_type": r"call_setup|answered|completed|hangup|call_\w+|on_call\w*",
                "uuid": "",
                "from": "",
                "to": "",
            },
            also=("event_time", "direction", "event_payload"),
        ),
    ),
    fix=(
        "Wavix forwards nothing to the stream: note the Call-ID in PendingCalls under Wavix's call id where your SIP "
        "trunk or webhook shows it, and take it at the websocket"
    ),
    send_instead="the Call-ID header that your SIP trunk received",
    own_ids=(
        OwnId("Wavix's call_id", ("call_id", "uuid"), UUID),
        OwnId("Wavix's stream_id", ("stream_id",)),
    ),
    headers=("sip_headers",),
)
