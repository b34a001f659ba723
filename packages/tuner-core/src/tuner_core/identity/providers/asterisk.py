"""Asterisk: ARI events, AGI's environment, channel variables.

Documented (docs.asterisk.org): an ARI channel's `protocol_id` is the channel driver's id, the Call-ID for PJSIP; a
channel's `id` is its Uniqueid; `CHANNEL(pjsip,call-id)` is the Call-ID; `PJSIP_HEADER(read,…)` reads a header, and
chan_sip sets `SIPCALLID`; `channelvars` in events holds what ari.conf lists; `ChannelVarset` has `variable` and
`value`. AGI's environment (`agi_*`) has no Call-ID: it comes as an argument `SipCallId=…`, in the query of the
`agi://` address, or as a variable that was asked for with `GET VARIABLE` and put beside the environment.
"""

from __future__ import annotations

from tuner_core.identity.description import OwnId, Provider, Shape

_UNIQUE_ID = r"(?:[\w.-]+-)?\d{10}\.\d+"
_VARIABLES_FIX = "read CHANNEL(pjsip,call-id) of the caller's channel and pass it on"

PROVIDER = Provider(
    name="asterisk",
    aliases=("ari", "agi"),
    shapes=(
        Shape(
            "ARI event",
            {"type": r"(?:Stasis|Channel)[A-Z]\w+", "channel.id": ""},
            also=("channel.name", "channel.protocol_id", "application", "asterisk_id", "channel.dialplan"),
        ),
        Shape("ARI channel", {"protocol_id": "", "name": r"(?:PJ)?SIP/.+"}, also=("id", "state", "dialplan")),
        Shape(
            "AGI environment",
            {"agi_uniqueid": ""},
            also=("agi_channel", "agi_request", "agi_context"),
            fix="call the script as agi://host/script?SipCallId=${CHANNEL(pjsip,call-id)}",
        ),
        Shape("channel variables", {"CHANNEL(pjsip,call-id)": ""}, fix=_VARIABLES_FIX),
        Shape("channel variables", {"=SIPCALLID": "", "UNIQUEID": ""}, fix=_VARIABLES_FIX),
        Shape("channel variables", {"UNIQUEID": _UNIQUE_ID}, fix=_VARIABLES_FIX),
        Shape("channel variables", {"PJSIP_HEADER(read,X-CID)": ""}, fix=_VARIABLES_FIX),
        Shape("channel variables", {"PJSIP_HEADER(read,Call-ID)": ""}, fix=_VARIABLES_FIX),
    ),
    fix="let the call come in over PJSIP, whose channels show the Call-ID as protocol_id",
    end_to_end_fix="copy the caller's X-CID in the dialplan: Set(__X_CID=${PJSIP_HEADER(read,X-CID)})",
    send_instead="channel.protocol_id, or CHANNEL(pjsip,call-id)",
    own_ids=(
        OwnId("Asterisk's Uniqueid", ("channel.id", "agi_uniqueid", "UNIQUEID"), _UNIQUE_ID),
        OwnId("Asterisk's Linkedid", ("linkedid", "CHANNEL(linkedid)")),
    ),
    call_id=("CHANNEL(pjsip,call-id)", "CHANNEL(callid)", "=SIPCALLID", "channel.protocol_id", "protocol_id"),
)
