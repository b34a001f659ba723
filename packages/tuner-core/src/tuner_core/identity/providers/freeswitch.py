"""FreeSWITCH: events of the event socket (plain or JSON), and what mod_audio_stream or mod_audio_fork send first.

Documented (FreeSWITCH, event socket and channel variables): `variable_sip_call_id` is the Call-ID of the channel's
dialog; headers of the INVITE come as `variable_sip_h_X-…`; `Unique-ID` is FreeSWITCH's own; the plain format
percent-encodes values. Documented (mod_audio_stream): the metadata given to `uuid_audio_stream` is sent as the first
text frame just as it was given.
Assumed: names in that metadata, since whoever writes the dialplan chooses them; `sip_call_id` and `uuid` are the
variables' own names.
"""

from __future__ import annotations

from tuner_core.identity.description import UUID, OwnId, Provider, Shape

PROVIDER = Provider(
    name="freeswitch",
    shapes=(
        Shape(
            "event",
            {"Event-Name": r"[A-Z_]+", "Unique-ID": ""},
            also=("Core-UUID", "variable_sip_call_id", "Channel-Name", "FreeSWITCH-Hostname"),
        ),
        Shape("channel variables", {"variable_sip_call_id": ""}, also=("variable_uuid", "Unique-ID")),
        Shape(
            "channel variables", {"variable_uuid": ""}, also=("variable_channel_name", "variable_direction")
        ),
        Shape(
            "stream metadata",
            {"=sip_call_id": "", "=uuid": ""},
            fix='give uuid_audio_stream the metadata {"sip_call_id": "${sip_call_id}"}',
        ),
    ),
    fix="export the channel variable sip_call_id of the caller's leg, which events show as variable_sip_call_id",
    end_to_end_fix="have the caller send X-CID, which FreeSWITCH shows as variable_sip_h_X-CID",
    send_instead="the channel variable sip_call_id",
    own_ids=(
        OwnId(
            "FreeSWITCH's Unique-ID",
            ("Unique-ID", "Channel-Call-UUID", "variable_uuid", "variable_call_uuid", "uuid"),
            UUID,
        ),
        OwnId("FreeSWITCH's Core-UUID", ("Core-UUID",)),
    ),
    call_id=("variable_sip_call_id", "=sip_call_id"),
)
