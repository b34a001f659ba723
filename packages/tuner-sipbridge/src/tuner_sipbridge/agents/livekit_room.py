"""A LiveKit room with no server behind it: the agent, and a SIP participant as livekit-sip would show it.

livekit-sip puts a few attributes into the caller's token, so they are there when it joins; the Call-ID of the
INVITE and the mapped headers follow in an update.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping

from livekit import rtc
from livekit.rtc._proto import participant_pb2

from tuner_sipbridge.agents.line import Line

_DIGIT_CODES = {digit: code for code, digit in enumerate("0123456789*#ABCD")}
"""RFC 4733 §3.2 event codes."""


def attributes_at_join(line: Line) -> dict[str, str]:
    """What livekit-sip puts into the caller's token. `sip.callID` is its own id, not the Call-ID."""
    return {
        "sip.callID": f"SCL_{secrets.token_urlsafe(9)}",
        "sip.trunkID": "ST_sipbridge",
        "sip.ruleID": "SDR_sipbridge",
        "sip.phoneNumber": line.caller,
        "sip.trunkPhoneNumber": line.called,
    }


def attributes_after_join(line: Line) -> dict[str, str]:
    """What follows in an update: the Call-ID, and X- headers as a trunk with `SIP_X_HEADERS` maps them."""
    mapped = {f"sip.h.{name}": value for name, value in line.headers.items() if name.startswith("x-")}
    return {"sip.callIDFull": line.sip_call_id, "sip.callStatus": "active", **mapped}


class SipRoom(rtc.Room):
    """A connected room whose events come from us instead of a server.

    Args:
        name: the room's name.
    """

    def __init__(self, name: str) -> None:
        super().__init__()
        self._info.name = name
        self._info.sid = f"RM_{secrets.token_hex(6)}"
        self._connection_state = rtc.ConnectionState.CONN_CONNECTED
        self._local_participant = _Agent(self._room_queue, _participant("agent", is_sip=False))
        self._caller: rtc.RemoteParticipant | None = None

    def isconnected(self) -> bool:
        """True until `end`."""
        return self._connection_state == rtc.ConnectionState.CONN_CONNECTED

    async def disconnect(
        self,
        *,
        reason: rtc.DisconnectReason.ValueType = rtc.DisconnectReason.CLIENT_INITIATED,
    ) -> None:
        """The agent leaves the room."""
        self.end(reason)

    def caller_joins(self, identity: str, attributes: Mapping[str, str]) -> None:
        """A SIP participant joins."""
        self._caller = rtc.RemoteParticipant(_participant(identity, is_sip=True, attributes=attributes))
        self._remote_participants[identity] = self._caller
        self.emit("participant_connected", self._caller)

    def caller_shows(self, attributes: Mapping[str, str]) -> None:
        """More of the caller's attributes arrive; nothing happens once it left."""
        if self._caller is None:
            return
        self._caller._info.attributes.update(attributes)  # pyright: ignore[reportPrivateUsage]
        self.emit("participant_attributes_changed", dict(attributes), self._caller)

    def caller_leaves(self, reason: rtc.DisconnectReason.ValueType) -> None:
        """The caller is gone for `reason`; nothing happens the second time."""
        caller, self._caller = self._caller, None
        if caller is None:
            return
        caller._info.attributes["sip.callStatus"] = "hangup"  # pyright: ignore[reportPrivateUsage]
        caller._info.disconnect_reason = reason  # pyright: ignore[reportPrivateUsage]
        del self._remote_participants[caller.identity]
        self.emit("participant_disconnected", caller)

    def digit(self, digit: str) -> None:
        """The caller pressed a key."""
        self.emit("sip_dtmf_received", rtc.SipDTMF(_DIGIT_CODES.get(digit, 0), digit, self._caller))

    def end(self, reason: rtc.DisconnectReason.ValueType) -> None:
        """The room is no more; nothing happens the second time."""
        if not self.isconnected():
            return
        self._remote_participants.clear()
        self._connection_state = rtc.ConnectionState.CONN_DISCONNECTED
        self.emit("connection_state_changed", self._connection_state)
        self.emit("disconnected", reason)


class _Agent(rtc.LocalParticipant):
    """The agent's own participant; it publishes nothing, so it only keeps its attributes."""

    async def set_attributes(self, attributes: dict[str, str]) -> None:
        self._info.attributes.update(attributes)


def _participant(
    identity: str, *, is_sip: bool, attributes: Mapping[str, str] | None = None
) -> participant_pb2.OwnedParticipant:
    kind = rtc.ParticipantKind.PARTICIPANT_KIND_SIP if is_sip else rtc.ParticipantKind.PARTICIPANT_KIND_AGENT
    owned = participant_pb2.OwnedParticipant()
    owned.info.sid = f"PA_{secrets.token_hex(6)}"
    owned.info.identity = owned.info.name = identity
    owned.info.kind = kind
    owned.info.attributes.update(attributes or {})
    return owned
