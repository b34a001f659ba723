"""Many messages sent in one go: the answers that come meanwhile are not lost."""

from __future__ import annotations

import asyncio
import socket

from tuner_sipbridge.net.udp import UdpEndpoint

MANY = 2000
MESSAGE = b"x" * 500


async def test_what_comes_while_many_are_sent_is_read_once_and_in_order() -> None:
    received: list[int] = []
    done = asyncio.Event()

    def receive(data: bytes, source: tuple[str, int]) -> None:
        received.append(int(data[:4]))
        if len(received) == MANY:
            done.set()

    endpoint = await UdpEndpoint.open(receive, host="127.0.0.1")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as peer:
        peer.bind(("127.0.0.1", 0))
        for number in range(MANY):
            endpoint.send(MESSAGE, peer.getsockname())
            peer.sendto(f"{number:04}".encode() + MESSAGE, endpoint.local)
        assert not received, "nothing is handed on before the sender is done"
        async with asyncio.timeout(5):
            await done.wait()
    port = endpoint.local[1]
    endpoint.close()
    await asyncio.sleep(0)
    assert received == list(range(MANY))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        other.bind(("127.0.0.1", port))
