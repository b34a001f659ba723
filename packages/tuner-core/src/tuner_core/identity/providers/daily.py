"""Daily: the dial-in webhook, the body that Pipecat's runner hands to the bot, and the `dialin.*` events.

Documented (docs.daily.co, SIP interconnect and pinless dial-in; webhook events): the webhook has `callId`,
`callDomain`, `From`, `To` and `sipHeaders` with the custom headers of the INVITE; `dialin.connected` has `session_id`
and `sip_headers`. Documented in Pipecat: the runner's body has the same as `dialin_settings.call_id`,
`.call_domain` and `.sip_headers`.
Assumed: which headers come through. X- headers are certain; a `Call-ID` among them is used when it is there.
"""

from __future__ import annotations

from tuner_core.identity.description import UUID, OwnId, Provider, Shape

_FIX = "have the caller, or the carrier in between, send X-CID: Daily shows X- headers in sipHeaders"

PROVIDER = Provider(
    name="daily",
    shapes=(
        Shape(
            "runner body",
            {"dialin_settings": ""},
            also=("dialin_settings.call_id", "dialin_settings.sip_headers"),
        ),
        Shape(
            "webhook event",
            {"type": r"dial(?:in|out)\..+", "payload": ""},
            also=("payload.sip_headers", "payload.session_id"),
        ),
        Shape("dial-in webhook", {"callId": "", "callDomain": ""}, also=("sipHeaders", "From", "To")),
    ),
    fix=_FIX,
    end_to_end_fix=_FIX,
    send_instead="X-CID of sipHeaders in the dial-in webhook",
    own_ids=(
        OwnId("Daily's callId", ("callId",), UUID),
        OwnId("Daily's session_id", ("payload.session_id",)),
        OwnId("Daily's callDomain", ("callDomain",)),
    ),
    headers=("sipHeaders",),
)
