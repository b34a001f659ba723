"""Plivo: the answer webhook, and the `start` message of an audio stream.

Documented (docs.plivo.com, XML request, audio streaming reference): the webhook is a form with `CallUUID`, and custom
headers of a SIP call come as `X-PH-…`; `start.callId` is that UUID; `extra_headers` is a string. Its form differs from
page to page: `a=b;c=d`, `a=b,c=d` as it was set, `{X-PH-a: b}` as it is sent; an object is accepted too. Values are
letters and digits only, so others arrive encoded (`tuner_core.identity.forwarding.alphanumeric`).
Assumed: the Call-ID itself is on no page. Tuner's guide forwards it as `SipCallId`, from a template value
`{{sip_call_id}}`; where that was not filled in, the warning says so.
"""

from __future__ import annotations

from tuner_core.identity.description import UUID, OwnId, Provider, Shape

PROVIDER = Provider(
    name="plivo",
    shapes=(
        Shape(
            "answer webhook",
            {"CallUUID": "", "CallStatus": ""},
            also=("Direction", "From", "To", "Event", "ParentAuthID"),
        ),
        Shape("answer webhook", {"CallUUID": UUID}, also=("Direction", "Event", "ParentAuthID")),
        Shape(
            "audio stream start",
            {"event": "start", "start.callId": "", "start.streamId": ""},
            also=("start.accountId", "extra_headers", "start.mediaFormat", "start.tracks"),
            fix='answer the webhook with <Stream extraHeaders="SipCallId=…">, its value in letters and digits',
        ),
    ),
    fix="have the caller send X-PH-SipCallId, the only kind of header that Plivo shows to the answer URL",
    end_to_end_fix="have the caller send X-PH-XCID, which Plivo shows to the answer URL",
    send_instead="SipCallId, forwarded in extraHeaders of <Stream>",
    own_ids=(
        OwnId("Plivo's CallUUID", ("CallUUID", "start.callId", "call_id"), UUID),
        OwnId("Plivo's ALegUUID", ("ALegUUID",)),
        OwnId("Plivo's RequestUUID", ("RequestUUID", "ALegRequestUUID")),
        OwnId("Plivo's streamId", ("start.streamId", "streamId")),
    ),
)
