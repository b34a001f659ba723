"""jambonz: the call hook, the websocket API's `session:new`, and the first message of `listen`.

Documented (docs.jambonz.org, webhooks, session:new, listen): `sip.headers` are the headers of the INVITE that jambonz'
feature server received from its own SBC, so `call-id` there and `call_id` are an inner leg's; `sbc_callid` is the
Call-ID with which the call came to jambonz, and its SBC puts the same into `X-CID`. `call_sid` is jambonz' own. The
first text frame of `listen` has the hook's attributes in camel case and the verb's `metadata` beside them.
Assumed: headers listed as objects, which older versions sent; `metadata` kept in an object of its own.
"""

from __future__ import annotations

from tuner_core.identity.description import UUID, OwnId, Provider, Shape

PROVIDER = Provider(
    name="jambonz",
    shapes=(
        Shape(
            "session:new",
            {"type": "session:new", "call_sid": ""},
            also=("msgid", "data.sip", "data.call_sid"),
        ),
        Shape(
            "websocket message",
            {"type": r"(?:session|call|verb):\w+", "call_sid": ""},
            also=("msgid", "data"),
        ),
        Shape(
            "listen metadata",
            {"callSid": "", "mixType": "", "sampleRate": ""},
            also=("applicationSid", "accountSid", "callId", "direction"),
            fix="put SipCallId into the metadata of the listen verb, from X-CID of the call hook",
        ),
        Shape(
            "call hook",
            {"call_sid": UUID, "sip.headers": ""},
            also=("application_sid", "account_sid", "call_id", "direction", "originating_sip_ip", "trace_id"),
        ),
        Shape(
            "call hook",
            {"call_sid": UUID, "application_sid": "", "account_sid": ""},
            also=("call_id", "call_status", "originating_sip_ip", "trace_id", "sbc_callid"),
        ),
    ),
    fix="take X-CID from sip.headers of the call hook, or update jambonz to a version whose hook has sbc_callid",
    end_to_end_fix="take X-CID from sip.headers of the call hook and put it into the metadata of the listen verb",
    send_instead="X-CID of sip.headers in the call hook, or sbc_callid",
    own_ids=(OwnId("jambonz's call_sid", ("call_sid", "parent_call_sid"), UUID),),
    call_id=("sbc_callid",),
    middle_call_id=("sip.headers.call-id", "sip.call_id", "=call_id", "=callId"),
    headers=("sip.headers",),
)
