"""The request that makes LiveKit call somebody, and what of it a trace may hold."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from google.protobuf.duration_pb2 import Duration
from google.protobuf.json_format import MessageToJson
from google.protobuf.message import Message
from livekit.protocol import sip

from tuner_sipbridge.sdp.crypto import SrtpPolicy
from tuner_sipbridge.via_livekit.callee import Callee
from tuner_sipbridge.via_livekit.terms import TrunkTerms

_ENCRYPTION = {
    "optional": sip.SIPMediaEncryption.SIP_MEDIA_ENCRYPT_ALLOW,
    "required": sip.SIPMediaEncryption.SIP_MEDIA_ENCRYPT_REQUIRE,
}
_TRANSPORTS = {
    "": sip.SIPTransport.SIP_TRANSPORT_AUTO,
    "udp": sip.SIPTransport.SIP_TRANSPORT_UDP,
    "tcp": sip.SIPTransport.SIP_TRANSPORT_TCP,
    "tls": sip.SIPTransport.SIP_TRANSPORT_TLS,
}


@dataclass(frozen=True, slots=True)
class CallOrder:
    """What one call asks for.

    Attributes:
        room: name of the room.
        identity: identity of the callee's participant in it.
        ring_timeout_s: how long the callee may ring.
        headers: headers of the INVITE.
        srtp: `off` leaves it to the trunk.
        username: for the far end's challenge, in place of the terms'.
        password: the same.
    """

    room: str
    identity: str
    ring_timeout_s: float
    headers: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)
    srtp: SrtpPolicy = "off"
    username: str = field(default="", repr=False)
    password: str = field(default="", repr=False)


def request_for(callee: Callee, terms: TrunkTerms, order: CallOrder) -> sip.CreateSIPParticipantRequest:
    """Build the request."""
    request = sip.CreateSIPParticipantRequest(
        sip_call_to=callee.user,
        sip_number=terms.number,
        room_name=order.room,
        participant_identity=order.identity,
        participant_name="agent under test",
        participant_attributes=terms.attributes,
        dtmf=terms.dtmf,
        headers=order.headers,
        include_headers=sip.SIPHeaderOptions.SIP_X_HEADERS,
        ringing_timeout=Duration(seconds=math.ceil(order.ring_timeout_s)),
        wait_until_answered=terms.wait_until_answered,
    )
    if terms.max_call_duration_s is not None:
        request.max_call_duration.seconds = math.ceil(terms.max_call_duration_s)
    if order.srtp != "off":
        request.media_encryption = _ENCRYPTION[order.srtp]
    if not callee.host:
        request.sip_trunk_id = terms.trunk_id
        return request
    request.trunk.hostname = callee.host
    request.trunk.transport = _TRANSPORTS[callee.transport]
    username, password = (
        (order.username, order.password) if order.username else (terms.username, terms.password)
    )
    request.trunk.auth_username, request.trunk.auth_password = username, password
    return request


def shown(message: Message) -> str:
    """A message as JSON text without credentials."""
    kept = type(message)()
    kept.CopyFrom(message)
    trunk: Any = getattr(kept, "trunk", None)
    if trunk is not None and kept.HasField("trunk"):
        for name in ("auth_username", "auth_password"):
            if getattr(trunk, name):
                setattr(trunk, name, "[removed]")
    return MessageToJson(kept, preserving_proto_field_name=True, ensure_ascii=False)
