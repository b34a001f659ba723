"""Run the far end: `python -m bench.far_end --calls N --log FILE`. Ends when its standard input is closed.

Prints JSON lines: `{"udp": HOST:PORT, "tcp": HOST:PORT}` when it listens, `{"standing": N}` when N calls stand at once,
and its counts at the end. FILE then holds one entry a packet received (see `bench.pacing`).
"""

from __future__ import annotations

import argparse
import gc
import json
import resource
import select
import socket
import sys
import time
from dataclasses import asdict
from pathlib import Path

from bench.far_end.media import PHASES, Port
from bench.far_end.signalling import Signalling, frames_of

_TICK_S = 0.001
_DATAGRAM = 65535


class FarEnd:
    """Sockets, calls, and the loop over milliseconds."""

    def __init__(self, expected: int, tcp_address: tuple[str, int]) -> None:
        self._expected, self._told = expected, False
        self._udp, self._tcp = _listen(tcp_address)
        self.udp_address, self.tcp_address = (_text(at.getsockname()) for at in (self._udp, self._tcp))
        self._connections: dict[socket.socket, bytearray] = {}
        self.ports: list[Port] = []
        self._phases: list[list[Port]] = [[] for _ in range(PHASES)]
        self.signalling = Signalling(self._open)
        self.log = bytearray()

    def run(self) -> None:
        """Serve until standard input is closed."""
        due = time.monotonic()
        tick = 0
        while tick % 50 or not select.select([sys.stdin], [], [], 0)[0]:
            due += _TICK_S
            left = due - time.monotonic()
            if left > 0:
                time.sleep(left)
            for port in self._phases[tick % PHASES]:
                port.tick()
            self._serve_udp()
            if tick % 5 == 0:
                self._serve_tcp()
            if not self._told and self.signalling.standing >= self._expected:
                self._told = True
                say(standing=self.signalling.standing)
            tick += 1

    def _open(self, remote_port: int, payload_type: int) -> Port:
        number = len(self.ports)
        port = Port(number, remote_port, payload_type, self.log)
        self.ports.append(port)
        self._phases[number % PHASES].append(port)
        return port

    def _serve_udp(self) -> None:
        while True:
            try:
                data, source = self._udp.recvfrom(_DATAGRAM)
            except OSError:
                return
            reply = self.signalling.answer(data, contact=f"{self.udp_address};transport=udp")
            if reply:
                self._udp.sendto(reply, source)

    def _serve_tcp(self) -> None:
        try:
            connection, _ = self._tcp.accept()
            connection.setblocking(False)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._connections[connection] = bytearray()
        except OSError:
            pass
        for connection, buffer in list(self._connections.items()):
            try:
                data = connection.recv(_DATAGRAM)
            except BlockingIOError:
                continue
            except OSError:
                data = b""
            if not data:
                connection.close()
                del self._connections[connection]
                continue
            buffer.extend(data)
            for message in frames_of(buffer):
                reply = self.signalling.answer(message, contact=f"{self.tcp_address};transport=tcp")
                if reply:
                    connection.sendall(reply)


def _text(address: tuple[str, int]) -> str:
    return f"{address[0]}:{address[1]}"


def say(**fields: object) -> None:
    print(json.dumps(fields), flush=True)


def _listen(tcp_address: tuple[str, int]) -> tuple[socket.socket, socket.socket]:
    udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    udp.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
    udp.bind(("127.0.0.1", 0))
    tcp = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    tcp.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    tcp.bind(tcp_address)
    tcp.listen(512)
    udp.setblocking(False)
    tcp.setblocking(False)
    return udp, tcp


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--calls", type=int, required=True)
    parser.add_argument("--log", type=Path, required=True)
    parser.add_argument("--tcp", default="127.0.0.1:0", help="where to listen for SIP over TCP")
    options = parser.parse_args()
    tcp_host, _, tcp_port = options.tcp.partition(":")
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 3 * options.calls + 64
    if soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(wanted, hard) if hard > 0 else wanted, hard))
    far_end = FarEnd(options.calls, (tcp_host, int(tcp_port)))
    gc.freeze()
    gc.disable()
    say(udp=far_end.udp_address, tcp=far_end.tcp_address)
    far_end.run()
    options.log.write_bytes(far_end.log)
    say(
        calls=len(far_end.ports),
        sent=sum(port.sent for port in far_end.ports),
        **asdict(far_end.signalling.counts),
    )


if __name__ == "__main__":
    main()
