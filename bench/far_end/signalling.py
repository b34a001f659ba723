"""The far end's SIP: answers every INVITE at once, and says yes to everything else. No sockets here.

It stands on none of the project's SIP code, so that the dialer under test and its judge share no mistake.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

_COMPACT = {"i": "call-id", "f": "from", "t": "to", "v": "via", "l": "content-length", "c": "content-type"}
_COPIED = ("via", "record-route", "from", "to", "call-id", "cseq")
_AUDIO = re.compile(rb"^m=audio (\d+) \S+ (\d+)", re.MULTILINE)
_CODECS = {0: "PCMU", 8: "PCMA"}


@dataclass
class Counts:
    """Requests seen; a repeated INVITE or BYE counts as `retransmitted` only."""

    invite: int = 0
    retransmitted: int = 0
    ack: int = 0
    bye: int = 0
    other: int = 0


class Party(Protocol):
    """The media half of one call."""

    @property
    def port(self) -> int:
        """RTP port to announce."""
        ...

    def start(self) -> None:
        """The call stands."""
        ...

    def stop(self) -> None:
        """The call is over."""
        ...


@dataclass
class _Call:
    party: Party
    payload_type: int
    acknowledged: bool = False
    ended: bool = False

    def answer(self) -> str:
        """Our SDP, the same however often it is asked for."""
        kind = self.payload_type
        return (
            "v=0\r\no=far 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n"
            f"m=audio {self.party.port} RTP/AVP {kind}\r\na=rtpmap:{kind} {_CODECS[kind]}/8000\r\n"
            "a=ptime:20\r\na=sendrecv\r\n"
        )


@dataclass
class Signalling:
    """The calls by Call-ID; `answer` turns a request into the response to send.

    Attributes:
        new_party: opens a port for a call whose SDP names this RTP port and payload type.
        counts: what was received.
        standing: calls acknowledged and not yet ended.
    """

    new_party: Callable[[int, int], Party]
    counts: Counts = field(default_factory=Counts)
    standing: int = 0
    _calls: dict[str, _Call] = field(default_factory=dict)

    def answer(self, data: bytes, *, contact: str) -> bytes | None:
        """The response to one message, None when it asks for none.

        Args:
            data: the whole message.
            contact: our address and transport, as in Contact after the `@`.
        """
        head, _, body = data.partition(b"\r\n\r\n")
        start, *lines = head.decode("latin-1").split("\r\n")
        if start.startswith("SIP/2.0"):
            return None
        fields = [_split(line) for line in lines if ":" in line]
        call_id = next((value for name, value in fields if name == "call-id"), "")
        match start.split(" ")[0]:
            case "INVITE":
                call = self._invited(call_id, body)
                return _response(fields, contact, tag=f"far-{call.party.port}", sdp=call.answer())
            case "ACK":
                self._acknowledged(call_id)
                return None
            case "BYE":
                self._ended(call_id)
            case _:
                self.counts.other += 1
        return _response(fields, contact, tag="far")

    def _invited(self, call_id: str, body: bytes) -> _Call:
        call = self._calls.get(call_id)
        if call is None:
            self.counts.invite += 1
            offered = _AUDIO.search(body)
            port, payload_type = (int(offered[1]), int(offered[2])) if offered else (0, 0)
            payload_type = payload_type if payload_type in _CODECS else 0
            call = self._calls[call_id] = _Call(self.new_party(port, payload_type), payload_type)
        else:
            self.counts.retransmitted += 1
        return call

    def _acknowledged(self, call_id: str) -> None:
        self.counts.ack += 1
        call = self._calls.get(call_id)
        if call is not None and not call.acknowledged:
            call.acknowledged = True
            self.standing += 1
            call.party.start()

    def _ended(self, call_id: str) -> None:
        call = self._calls.get(call_id)
        if call is not None and not call.ended:
            call.ended = True
            self.counts.bye += 1
            call.party.stop()
        else:
            self.counts.retransmitted += 1


def _split(line: str) -> tuple[str, str]:
    name, _, value = line.partition(":")
    name = name.strip().lower()
    return _COMPACT.get(name, name), value.strip()


def _response(fields: list[tuple[str, str]], contact: str, *, tag: str, sdp: str = "") -> bytes:
    lines = ["SIP/2.0 200 OK"]
    for name, value in fields:
        if name in _COPIED:
            given = f"{value};tag={tag}" if name == "to" and ";tag=" not in value else value
            lines.append(f"{name}: {given}")
    lines += [f"contact: <sip:far-end@{contact}>", "expires: 3600"]
    if sdp:
        lines.append("content-type: application/sdp")
    lines.append(f"content-length: {len(sdp)}")
    return "\r\n".join([*lines, "", sdp]).encode("latin-1")


def frames_of(buffer: bytearray) -> list[bytes]:
    """Take the whole messages out of what a TCP connection has brought (RFC 3261 §18.3)."""
    messages: list[bytes] = []
    while True:
        while buffer[:2] == b"\r\n":
            del buffer[:2]
        end = buffer.find(b"\r\n\r\n")
        if end < 0:
            return messages
        length = re.search(rb"^(?:content-length|l)\s*:\s*(\d+)", buffer[:end], re.MULTILINE | re.IGNORECASE)
        size = end + 4 + (int(length[1]) if length else 0)
        if len(buffer) < size:
            return messages
        messages.append(bytes(buffer[:size]))
        del buffer[:size]
