"""Cloudonix: the voice application request, and session notifications.

Documented (developers.cloudonix.com, voice application request, webhooks): `CallSid` and `Session` are the session's
token; `SessionData` is the session with its `profile`.
Seen in published payloads, and read by Dograh's integration with Tuner: `SessionData.callIds` and
`SessionData.profile.callId` list the SIP Call-ID; headers are in `profile["trunk-sip-headers"]` for a call from a trunk
and `profile["subscriber-sip-headers"]` for one from a subscriber, without their `X-`, the caller's Call-ID as `CID`.
Assumed: the `start` message of a stream, which follows TwiML's with the session's token as `callSid`.
"""

from __future__ import annotations

from tuner_core.identity.description import OwnId, Provider, Shape

_TOKEN = r"[0-9a-f]{32}"

PROVIDER = Provider(
    name="cloudonix",
    shapes=(
        Shape(
            "media stream start",
            {"event": "start", "=start.callSid": _TOKEN, "=start.streamSid": ""},
            also=(
                "=start.accountSid",
                "=start.customParameters",
                "=start.tracks",
                "=start.mediaFormat",
                "=streamSid",
            ),
            fix='answer the request with <Parameter name="SipCallId" value="…"/> inside <Stream>',
        ),
        Shape(
            "voice application request",
            {"CallSid": "", "SessionData": ""},
            also=("Session", "Domain", "SessionData.token", "SessionData.callIds", "SessionData.profile"),
        ),
        Shape(
            "voice application request",
            {"CallSid": _TOKEN, "Session": _TOKEN},
            also=("Domain", "ApiVersion", "Direction"),
        ),
        Shape(
            "session",
            {"token": _TOKEN, "profile": ""},
            also=("callIds", "domainId", "callerId", "destination", "status"),
        ),
    ),
    fix="use POST for the voice application, or read the session by its token: SessionData.callIds has the Call-ID",
    end_to_end_fix="have the caller send X-CID, which Cloudonix shows as CID in profile.trunk-sip-headers",
    send_instead="SessionData.callIds",
    own_ids=(
        OwnId(
            "Cloudonix's Session", ("Session", "CallSid", "SessionData.token", "token"), r"[0-9a-fA-F]{32}\w*"
        ),
    ),
    call_id=("SessionData.callIds", "callIds", "profile.callId"),
    headers=("trunk-sip-headers", "subscriber-sip-headers"),
)
