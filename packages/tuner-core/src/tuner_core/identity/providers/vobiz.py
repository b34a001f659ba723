"""Vobiz: answer webhook, trunk webhook, and the `start` message of an audio stream.

Documented (docs.vobiz.ai, XML request, applications, trunk webhooks): its XML and its messages follow Plivo's, with
`CallUUID` in webhooks and `start.callId` on the stream; trunk webhooks have `Event` and `CallUUID`.
Assumed: no page that could be read names the Call-ID. Trunk webhooks carry `SIPCallID` in public integrations; custom
headers are taken as `X-PH-…` or `X-VH-…`. An answer webhook looks just like Plivo's: it is told apart by an account
`MA_…`, and taken for Plivo's without one unless the provider is named; the stream by its account, a number or `MA_…`.
"""

from __future__ import annotations

from tuner_core.identity.description import UUID, OwnId, Provider, Shape

PROVIDER = Provider(
    name="vobiz",
    shapes=(
        Shape(
            "trunk webhook",
            {"Event": "Call[A-Z][A-Za-z]+", "CallUUID": "", "TrunkID": ""},
            also=("SIPCallID",),
        ),
        Shape("trunk webhook", {"SIPCallID": "", "CallUUID": "", "TrunkID": ""}, also=("Event", "Domain")),
        Shape(
            "answer webhook",
            {"CallUUID": "", "ParentAuthID": r"MA_\w+"},
            also=("CallStatus", "Direction", "Event", "From", "To"),
        ),
        Shape(
            "audio stream start",
            {"event": "start", "start.callId": "", "start.streamId": "", "start.accountId": r"\d+|MA_\w+"},
            also=("extra_headers", "start.mediaFormat", "start.tracks", "sequenceNumber"),
            fix='answer the webhook with <Stream extraHeaders="SipCallId=…">, its value in letters and digits',
        ),
    ),
    fix="switch on the trunk webhook, which carries SIPCallID, or have the caller send X-PH-SipCallId",
    end_to_end_fix="have the caller send X-PH-XCID along with the call",
    send_instead="SIPCallID of the trunk webhook, or SipCallId forwarded in extraHeaders of <Stream>",
    own_ids=(
        OwnId("Vobiz's CallUUID", ("CallUUID", "start.callId", "call_id"), UUID),
        OwnId("Vobiz's RequestID", ("RequestID", "RequestUUID", "ALegRequestUUID")),
        OwnId("Vobiz's ALegUUID", ("ALegUUID",)),
        OwnId("Vobiz's streamId", ("start.streamId", "streamId")),
    ),
    call_id=("=SIPCallID",),
)
