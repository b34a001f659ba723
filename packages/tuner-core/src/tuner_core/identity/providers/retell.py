"""Retell: webhooks, the inbound call webhook, and the call object.

Documented (docs.retellai.com, SIP headers): X- headers of an inbound call are in `custom_sip_headers` and among the
dynamic variables, without their `X-`. Documented (API reference): `call_id` is Retell's own;
`telephony_identifier.twilio_call_sid` is the carrier's.
Not documented: the Call-ID. Tuner reads it from Retell itself; for a call posted by your own code it must come along
as `X-CID`, which Retell shows as `cid`.
"""

from __future__ import annotations

from tuner_core.identity.description import OwnId, Provider, Shape

_FIX = "have the caller send X-CID, which Retell shows as custom_sip_headers.cid (Tuner reads Retell's Call-ID itself)"

PROVIDER = Provider(
    name="retell",
    shapes=(
        Shape(
            "webhook",
            {"event": r"call_\w+|transcript_\w+", "call.call_id": ""},
            also=("call.agent_id", "call.call_type", "call.call_status", "call.custom_sip_headers"),
        ),
        Shape(
            "inbound call webhook",
            {"event": "call_inbound", "call_inbound": ""},
            also=("call_inbound.agent_id",),
        ),
        Shape(
            "call object",
            {"call_type": "phone_call|web_call", "call_id": "", "agent_id": ""},
            also=("call_status", "direction", "telephony_identifier", "custom_sip_headers"),
        ),
    ),
    fix=_FIX,
    end_to_end_fix=_FIX,
    send_instead="nothing: Tuner reads Retell's Call-ID itself",
    own_ids=(
        OwnId("Retell's call_id", ("call_id",), r"call_[0-9a-f]{20,}", certain=True),
        OwnId("the carrier's CallSid", ("telephony_identifier.twilio_call_sid",)),
    ),
    headers=("custom_sip_headers",),
    callers_call_id=("retell_llm_dynamic_variables.cid",),
)
