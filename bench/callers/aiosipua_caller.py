"""aiosipua (SIP) with aiortp (RTP), both pure Python on asyncio: audio is fed a second ahead, what is heard is kept.

python aiosipua_caller.py CALLS HOST:PORT
"""

from __future__ import annotations

import asyncio
import os
import socket
import sys

import aiortp
from aiosipua import SipUAC
from aiosipua.sdp_negotiate import build_sdp
from aiosipua.transport import UdpSipTransport

AHEAD_FRAMES = 50
REFILL_S = 0.4
AT_ONCE = 50


async def main() -> None:
    calls, (host, port) = int(sys.argv[1]), sys.argv[2].split(":")
    remote = (host, int(port))
    own_port = free_port()
    transport = UdpSipTransport(local_addr=("127.0.0.1", own_port))
    agent = SipUAC(transport)

    def on_message(message: object, address: tuple[str, int]) -> None:
        if hasattr(message, "status_code"):
            agent.handle_response(message, address)

    transport.on_message = on_message
    await transport.start()
    gate = asyncio.Semaphore(AT_ONCE)
    standing: list[tuple[object, aiortp.RTPSession]] = []

    async def dial(number: int) -> None:
        local = ("127.0.0.1", free_port())
        offer = build_sdp(*local, 0, "PCMU")
        async with gate:
            call = agent.send_invite(
                f"sip:bench@127.0.0.1:{own_port}", f"sip:agent{number}@{host}:{port}", remote, offer
            )
            await call.wait_answered()
        session = await aiortp.RTPSession.create(local, call.sdp_answer.rtp_address, 0, paced=True)
        heard: list[bytes] = []
        session.on_audio = lambda pcm, _timestamp: heard.append(pcm)
        standing.append((call, session))

    over = asyncio.create_task(asyncio.to_thread(sys.stdin.read))
    dialling = [asyncio.create_task(dial(number)) for number in range(calls)]
    frames = [os.urandom(160) for _ in range(AHEAD_FRAMES)]
    while not over.done():
        for _, session in standing:
            # How much is still queued has no public name.
            for frame in frames[session._paced_sender.queue_depth :]:
                session.send_audio_auto(frame)
        await asyncio.wait([over], timeout=REFILL_S)
    for task in dialling:
        task.cancel()
    for call, _ in standing:
        call.hangup(agent)
    await asyncio.sleep(0.3)


def free_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1] & ~1


if __name__ == "__main__":
    asyncio.run(main())
