"""Bandwidth: voice callbacks.

Documented (dev.bandwidth.com, initiate and answer callbacks, and its SDKs' models): `callId` is Bandwidth's own,
`c-…`; `sipCallId` is the Call-ID of the dialog with its SBC; `sipHeaders` lists headers of an inbound SIP call.
"""

from __future__ import annotations

from tuner_core.identity.description import OwnId, Provider, Shape

_OWN = r"c-[0-9a-f]{8}-[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}"

PROVIDER = Provider(
    name="bandwidth",
    shapes=(
        Shape("callback", {"callId": _OWN}, also=("eventType", "applicationId", "accountId", "sipCallId")),
        Shape(
            "callback",
            {"eventType": "", "callId": "", "applicationId": "", "accountId": ""},
            also=("callUrl",),
        ),
    ),
    fix="let the call reach Bandwidth over SIP: its initiate callback then carries sipCallId",
    send_instead="sipCallId of the callback",
    own_ids=(OwnId("Bandwidth's callId", ("callId",), _OWN, certain=True),),
    call_id=("sipCallId",),
    headers=("sipHeaders",),
)
