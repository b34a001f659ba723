"""The far end's RTP: a socket a call, one packet every 20 ms back, and the kernel's arrival time of what comes in."""

from __future__ import annotations

import socket
import struct

PACKET_SAMPLES = 160
PHASES = 20
"""Calls are spread over the milliseconds of a packet time."""
_SO_TIMESTAMPNS = getattr(socket, "SO_TIMESTAMPNS", 35)
_ANCILLARY = 64
_SEND = struct.Struct("!BBHII")
_STAMP_FROM = 12
_PATTERN_PACKETS = 150
_LOUD_PACKETS = 100


class Port:
    """One call's media half. Sends 2 s of sound and 1 s of silence in turn, so that there is speech to detect.

    Symmetric (RFC 4961): it sends to where the call's packets come from, as soon as one has come. Two of the peers
    announce a port that they do not listen on and would otherwise be spared the work of receiving.

    Attributes:
        port: our RTP port.
        sent: packets sent.
    """

    def __init__(self, number: int, remote_port: int, payload_type: int, log: bytearray) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.setblocking(False)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        self._socket.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
        self._socket.bind(("127.0.0.1", 0))
        self.port: int = self._socket.getsockname()[1]
        self.running = False
        self.sent = 0
        self._remote = ("127.0.0.1", remote_port)
        self._latched = False
        self._number = struct.pack("=I", number)
        self._ssrc, self._payload_type, self._log = number + 1, payload_type, log
        self._packet = bytearray(12 + PACKET_SAMPLES)
        self._incoming = bytearray(2048)
        self._header = memoryview(self._incoming)[:_STAMP_FROM]
        self._loud, self._silent = _payloads(payload_type)

    def start(self) -> None:
        """Send from the next tick on."""
        self.running = self._remote[1] > 0

    def stop(self) -> None:
        """Send no more; what still arrives is noted."""
        self.running = False

    def tick(self) -> None:
        """Send the packet that is due, and note all that has come in since."""
        if self.running:
            self._send()
        incoming, log, receive = [self._incoming], self._log, self._socket.recvmsg_into
        while True:
            try:
                size, ancillary, _, source = receive(incoming, _ANCILLARY)
            except OSError:
                return
            first, second = self._incoming[0], self._incoming[1]
            is_rtcp = 200 <= second <= 207
            if size >= _STAMP_FROM and first >> 6 == 2 and not is_rtcp and ancillary:
                if not self._latched:
                    self._remote, self._latched = source, True
                log += self._number
                log += self._header
                log += ancillary[0][2]

    def _send(self) -> None:
        count = self.sent
        loud = count % _PATTERN_PACKETS < _LOUD_PACKETS
        if count % _PATTERN_PACKETS in (0, _LOUD_PACKETS):
            self._packet[12:] = self._loud if loud else self._silent
        samples = count * PACKET_SAMPLES & 0xFFFFFFFF
        _SEND.pack_into(self._packet, 0, 0x80, self._payload_type, count & 0xFFFF, samples, self._ssrc)
        try:
            self._socket.sendto(self._packet, self._remote)
        except OSError:
            return
        finally:
            self.sent += 1


def _payloads(payload_type: int) -> tuple[bytes, bytes]:
    """A loud packet and a silent one, in PCMA or PCMU: a square wave of 500 Hz and digital silence."""
    high, low, silence = (0xAA, 0x2A, 0xD5) if payload_type == 8 else (0x90, 0x10, 0xFF)
    return (bytes([high] * 8 + [low] * 8) * 10), bytes([silence] * PACKET_SAMPLES)
