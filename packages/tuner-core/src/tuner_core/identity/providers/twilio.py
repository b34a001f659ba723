"""Twilio: the voice webhook, and the `start` message of a media stream.

Documented (twilio.com/docs/voice/api/sip-twiml): a webhook for a call to a SIP Domain has `SipCallId`, the Call-ID of
the INVITE, and `SipHeader_X-…` for its X- headers; a call to a telephone number has neither. Documented
(voice/media-streams/websocket-messages): `start.customParameters` holds the `<Parameter>` elements of `<Stream>` and
nothing of the INVITE.
"""

from __future__ import annotations

from tuner_core.identity.description import OwnId, Provider, Shape

_CALL_SID = r"CA[0-9a-fA-F]{32}"
_ACCOUNT_SID = r"AC[0-9a-fA-F]{32}"
_STREAM_FIX = 'answer the voice webhook with <Parameter name="SipCallId" value="…"/> inside <Stream>'

PROVIDER = Provider(
    name="twilio",
    shapes=(
        Shape(
            "media stream start",
            {"event": "start", "start.callSid": _CALL_SID},
            also=("start.streamSid", "start.customParameters", "start.tracks", "start.mediaFormat"),
            fix=_STREAM_FIX,
        ),
        Shape(
            "media stream start",
            {"event": "start", "=start.callSid": "", "=start.streamSid": "", "=start.accountSid": ""},
            also=("=start.customParameters",),
            fix=_STREAM_FIX,
        ),
        Shape("media stream parameters", {"customParameters": "", "callSid": _CALL_SID}, fix=_STREAM_FIX),
        Shape(
            "voice webhook",
            {"CallSid": _CALL_SID, "AccountSid": _ACCOUNT_SID},
            also=("ApiVersion", "CallStatus", "Direction"),
        ),
        Shape("voice webhook", {"CallSid": _CALL_SID}, also=("ApiVersion", "CallStatus", "Direction")),
    ),
    fix="let the call reach the agent through a Twilio SIP Domain, whose voice webhook carries SipCallId",
    end_to_end_fix="have the caller's X-CID header sent on to the SIP Domain, which shows it as SipHeader_X-CID",
    send_instead="SipCallId of the voice webhook",
    own_ids=(
        OwnId("Twilio's CallSid", ("CallSid", "call_id"), _CALL_SID, certain=True),
        OwnId("Twilio's ParentCallSid", ("ParentCallSid",)),
        OwnId("Twilio's StreamSid", ("streamSid",), r"MZ[0-9a-fA-F]{32}", certain=True),
        OwnId("Twilio's AccountSid", ("AccountSid",), _ACCOUNT_SID, certain=True),
    ),
    call_id=("SipCallId",),
)
