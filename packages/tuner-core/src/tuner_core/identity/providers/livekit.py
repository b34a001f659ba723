"""LiveKit SIP: attributes of the participant, webhooks of the room, `SIPCallInfo`.

Documented (docs.livekit.io, SIP participant): `sip.callIDFull` is the trunk provider's Call-ID, `sip.callID` LiveKit's
own (`SCL_…`); headers come as `sip.h.<name>` only where the inbound trunk's `include_headers` says so. In the source of
livekit-sip `sip.callIDFull` is the `Call-ID` of the INVITE that arrived, and a carrier's X- headers become
`sip.twilio.*`, `sip.telnyx.*`, `sip.amazon.*`: marks that the caller's Call-ID is another one.
Documented (livekit_sip.proto): `SIPParticipantInfo.sip_call_id` is LiveKit's own id in spite of its name, and
`SIPCallInfo` has `call_id`.
"""

from __future__ import annotations

from tuner_core.identity.description import OwnId, Provider, Shape

_OWN = r"SCL_\w+"

PROVIDER = Provider(
    name="livekit",
    aliases=("livekit-sip", "livekit_sip"),
    shapes=(
        Shape(
            "room webhook",
            {"event": r"(?:participant|track|room)_\w+", "participant.attributes": ""},
            also=("participant.sid", "participant.kind", "room.sid", "sip.callID", "sip.callIDFull"),
        ),
        Shape(
            "participant attributes",
            {"sip.callID": _OWN},
            also=(
                "sip.callIDFull",
                "sip.phoneNumber",
                "sip.trunkID",
                "sip.callStatus",
                "sip.ruleID",
                "sip.hostname",
            ),
        ),
        Shape(
            "participant attributes",
            {"sip.callIDFull": ""},
            also=("sip.phoneNumber", "sip.trunkID", "sip.callStatus", "sip.ruleID"),
        ),
        Shape(
            "participant attributes",
            {"sip.callStatus": ""},
            also=("sip.trunkID", "sip.phoneNumber", "sip.ruleID"),
        ),
        Shape("call info", {"call_id": _OWN}, also=("trunk_id", "room_name", "participant_identity")),
        Shape(
            "participant info",
            {"sip_call_id": _OWN},
            also=("participant_id", "participant_identity", "room_name"),
        ),
    ),
    fix=(
        "update livekit-sip to a version that sets sip.callIDFull, or set include_headers to SIP_ALL_HEADERS on the "
        "inbound trunk; attributes may also arrive after the participant"
    ),
    end_to_end_fix=(
        "set include_headers to SIP_X_HEADERS on the inbound trunk so that X-Correlation-Id and X-CID arrive"
    ),
    send_instead="the participant attribute sip.callIDFull",
    own_ids=(
        OwnId("LiveKit's sip.callID", ("sip.callID", "call_id", "sip_call_id"), _OWN, certain=True),
        OwnId("a LiveKit id", ("participant.sid", "room.sid"), r"(?:AJ|RM|PA|TR|ST|SDR)_\w+", certain=True),
    ),
    call_id=("sip.callIDFull",),
)
