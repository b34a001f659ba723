"""Vapi: messages to the server URL, and the call object of its API.

Documented (Vapi's API reference, `VapiSipTransport`): `transport.sbcCallSid` is described as the Vapi SIP call's id at
its SBC, `transport.callSid` as its id inside; `call.id` is Vapi's own.
Seen in payloads that users published, and read by Tuner's own script: `phoneCallProviderDetails.sbcCallId` repeats
`sbcCallSid`, both hold the Call-ID of the INVITE that reached Vapi, and X- headers come as
`assistantOverrides.variableValues` without their `X-`, the Call-ID again as `cid`.
"""

from __future__ import annotations

from tuner_core.identity.description import UUID, OwnId, Provider, Shape

_CALL_TYPES = r"(?:inbound|outbound)PhoneCall|webCall|vapi\.websocketCall"

PROVIDER = Provider(
    name="vapi",
    shapes=(
        Shape(
            "server message",
            {"message.type": "", "message.call.id": "", "message.call.type": _CALL_TYPES},
            also=("message.call.orgId", "message.call.transport", "message.phoneNumber"),
        ),
        Shape(
            "server message", {"message.type": "", "message.call.orgId": ""}, also=("message.call.transport",)
        ),
        Shape(
            "call object",
            {"type": _CALL_TYPES, "orgId": ""},
            also=("transport", "phoneCallProvider", "assistantId"),
        ),
        Shape("call object", {"transport.provider": r"vapi\.sip"}, also=("transport.sbcCallSid", "orgId")),
    ),
    fix="let the call reach Vapi over SIP (sip:…@sip.vapi.ai): only then call.transport.sbcCallSid holds the Call-ID",
    end_to_end_fix="have the caller send X-CID, which Vapi shows as variableValues.cid",
    send_instead="call.transport.sbcCallSid",
    own_ids=(
        OwnId("Vapi's call.id", ("call.id", "id"), UUID),
        OwnId("Vapi's callSid", ("transport.callSid", "phoneCallProviderId")),
    ),
    callers_call_id=("variableValues.cid",),
    call_id=("transport.sbcCallSid", "phoneCallProviderDetails.sbcCallId"),
    middle_call_id=("phoneCallProviderDetails.sip.headers.call-id",),
    headers=("variableValues", "phoneCallProviderDetails.sip.headers"),
)
