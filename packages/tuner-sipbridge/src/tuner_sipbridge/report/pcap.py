"""The SIP messages of calls as a capture file that Wireshark, sngrep and tcpdump open.

A trace has messages, not packets: each becomes one packet in the classic pcap format of link type RAW (IP without
a frame around it). What went over TLS stands there in clear, as TCP without its handshake. Credentials are removed
from traces, so they are not in the file.
"""

from __future__ import annotations

import ipaddress
import struct
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path
from typing import TypeAlias

from tuner_sipbridge.errors import FileError
from tuner_sipbridge.measure.signalling import header
from tuner_sipbridge.sip.headers import Via
from tuner_sipbridge.trace import Trace, TraceEvent

Address: TypeAlias = tuple[IPv4Address | IPv6Address, int]

_LINKTYPE_RAW = 101
_SNAPLEN = 262_144
_FILE_HEADER = struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, _SNAPLEN, _LINKTYPE_RAW)
_TCP, _UDP = 6, 17
_PSH_ACK = 0x18
_LARGEST_PAYLOAD = 65_000
"""An IP packet has room for 65,535 octets with its headers; more is sent as several TCP segments."""


def pcap_of(traces: Iterable[Trace]) -> bytes:
    """The SIP messages of all traces as one capture file, in order of time.

    Addresses are those of the trace: the far end's as it was sent to or received from, ours as in the Via of our
    requests, or where the call came in. A name that was never resolved becomes the unspecified address.
    """
    return _FILE_HEADER + _Wire().octets(traces)


class PcapFile:
    """A capture file that grows by a call at a time, and is whole after each."""

    def __init__(self, path: Path) -> None:
        """Begin the file.

        Raises:
            FileError: it cannot be written.
        """
        self._path, self._wire = path, _Wire()
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(_FILE_HEADER)
        except OSError as error:
            raise self._unwritable(error) from error

    def add(self, trace: Trace) -> None:
        """Append the SIP messages of one call.

        Raises:
            FileError: it cannot be written.
        """
        try:
            with self._path.open("ab") as file:
                file.write(self._wire.octets([trace]))
        except OSError as error:
            raise self._unwritable(error) from error

    def _unwritable(self, error: OSError) -> FileError:
        return FileError(f"cannot be written: {error.strerror or error}", file=str(self._path))


def _record(at: float, packet: bytes) -> bytes:
    microseconds = round(at * 1e6)
    return struct.pack("<IIII", *divmod(microseconds, 1_000_000), len(packet), len(packet)) + packet


@dataclass(slots=True)
class _Wire:
    """What went over the wire so far: calls that share a connection go on in its numbers."""

    sent: defaultdict[tuple[Address, Address], int] = field(default_factory=lambda: defaultdict(lambda: 1))

    def octets(self, traces: Iterable[Trace]) -> bytes:
        """The messages of all traces as records of the file."""
        talks = [(_Conversation(_own_address(trace), self.sent), trace) for trace in traces]
        messages = [(event, talk) for talk, trace in talks for event in trace.of("sip.sent", "sip.received")]
        messages.sort(key=lambda pair: pair[0].at)
        return b"".join(
            _record(event.at, packet) for event, talk in messages for packet in talk.packets(event)
        )


def _own_address(trace: Trace) -> Address | None:
    """Where we are: as the Via of our first request says, or where the call came in."""
    requests = (event for event in trace.of("sip.sent") if not _is_response(event))
    first = next((Via.parse(via) for event in requests if (via := header(event, "Via"))), None)
    received = trace.first("call.received")
    if received is not None and received.fields.get("local"):
        return _address(str(received.fields["local"]))
    return None if first is None else _address(f"{first.host}:{first.port or 5060}")


@dataclass(slots=True)
class _Conversation:
    """The messages between us and the far ends of one call."""

    ours: Address | None
    sent: defaultdict[tuple[Address, Address], int]

    def packets(self, event: TraceEvent) -> Iterator[bytes]:
        """The octets of each packet of one message."""
        peer = _address(str(event.fields.get("peer", "")))
        ours = self.ours
        if ours is None or ours[0].version != peer[0].version:
            ours = type(peer[0])(0), ours[1] if ours else 5060
        source, destination = (ours, peer) if event.kind == "sip.sent" else (peer, ours)
        octets = _text(event).encode("utf-8", "surrogateescape")
        if event.fields.get("transport", "udp") == "udp":
            yield _udp(source, destination, octets[:_LARGEST_PAYLOAD])
            return
        for begin in range(0, len(octets), _LARGEST_PAYLOAD):
            yield self._tcp(source, destination, octets[begin : begin + _LARGEST_PAYLOAD])

    def _tcp(self, source: Address, destination: Address, payload: bytes) -> bytes:
        """A segment of RFC 9293 §3.1 that goes on where the last one ended."""
        sequence = self.sent[source, destination]
        acknowledged = self.sent[destination, source]
        self.sent[source, destination] = (sequence + len(payload)) % 2**32
        header = struct.pack(
            "!HHIIBBHHH", source[1], destination[1], sequence, acknowledged, 5 << 4, _PSH_ACK, 0xFFFF, 0, 0
        )
        return _ip(_TCP, source, destination, header + payload, checksum_at=16)


def _udp(source: Address, destination: Address, payload: bytes) -> bytes:
    """A datagram of RFC 768."""
    header = struct.pack("!HHHH", source[1], destination[1], 8 + len(payload), 0)
    return _ip(_UDP, source, destination, header + payload, checksum_at=6)


def _ip(protocol: int, source: Address, destination: Address, segment: bytes, *, checksum_at: int) -> bytes:
    """The segment with its checksum, in an IPv4 (RFC 791 §3.1) or IPv6 (RFC 8200 §3) packet."""
    addresses = source[0].packed + destination[0].packed
    pseudo_header = addresses + struct.pack("!II", len(segment), protocol)
    checksum = _checksum(pseudo_header + segment) or 0xFFFF
    segment = segment[:checksum_at] + struct.pack("!H", checksum) + segment[checksum_at + 2 :]
    if source[0].version == 6:
        return struct.pack("!IHBB", 6 << 28, len(segment), protocol, 64) + addresses + segment
    header = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(segment), 0, 0x4000, 64, protocol, 0) + addresses
    return header[:10] + struct.pack("!H", _checksum(header)) + header[12:] + segment


def _checksum(octets: bytes) -> int:
    """The Internet checksum (RFC 1071)."""
    padded = octets + b"\0" * (len(octets) % 2)
    total = sum(struct.unpack(f"!{len(padded) // 2}H", padded))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def _address(text: str) -> Address:
    host, _, port = text.rpartition(":")
    number = int(port) if port.isdecimal() else 0
    try:
        return ipaddress.ip_address(host.strip("[]")), min(number, 0xFFFF)
    except ValueError:
        return IPv4Address(0), min(number, 0xFFFF)


def _text(event: TraceEvent) -> str:
    return str(event.fields.get("message", ""))


def _is_response(event: TraceEvent) -> bool:
    return str(event.fields.get("summary", "")).startswith("SIP/")
