"""Thousands of damaged messages against a dialer and an answering side that work: the service goes on."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
import logging
import os
import resource
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tuner_sipbridge import Dialer, Scenario
from tuner_sipbridge.agents.echo import echo
from tuner_sipbridge.agents.line import Line
from tuner_sipbridge.answerer import Answerer
from tuner_sipbridge.call.load import Load
from tuner_sipbridge.errors import RemoteProtocolError
from tuner_sipbridge.sip.parser import parse_datagram
from tuner_sipbridge.sip.timers import Timers
from tuner_sipbridge.sip.uri import Uri
from tuner_sipbridge.testing.mutation import mutations

GOLDEN = Path(__file__).resolve().parents[1] / "golden"
QUICK = Timers(t1=0.02, t2=0.16, t4=0.1)
AT_ANSWERER, AT_DIALER, WARM, BATCH = 3600, 900, 400, 60
MOST_GROWTH_MB = 12.0
PING = """\
OPTIONS sip:ping@127.0.0.1 SIP/2.0\r
Via: SIP/2.0/UDP 127.0.0.1;rport;branch=z9hG4bKping{number}\r
From: <sip:ping@127.0.0.1>;tag=p\r
To: <sip:ping@127.0.0.1>\r
Call-ID: ping-{number}\r
CSeq: {number} OPTIONS\r
Content-Length: 0\r
\r
"""


def seeds(sip_call_id: str) -> list[bytes]:
    """Our hard messages, all as from one place on loopback, with the Call-ID of a call that stands."""
    cases = [
        case for path in sorted(GOLDEN.glob("sip_torture_*.json")) for case in json.loads(path.read_text())
    ]
    texts = ["\r\n".join(case["message"]) for case in cases]
    texts += [
        f"SIP/2.0 {status} X\r\nVia: SIP/2.0/UDP 127.0.0.1;branch=z9hG4bKx\r\nFrom: <sip:a@b>;tag=1\r\n"
        f"To: <sip:c@d>;tag=2\r\nCall-ID: {sip_call_id}\r\nCSeq: 1 {method}\r\n"
        f'WWW-Authenticate: Digest realm="r", nonce="n"\r\nContent-Length: 0\r\n\r\n'
        for status, method in (
            (180, "INVITE"),
            (200, "INVITE"),
            (401, "INVITE"),
            (503, "INVITE"),
            (200, "BYE"),
        )
    ]
    near = [
        text.replace("192.0.2.9:5062", "127.0.0.1;rport").replace("192.0.2.9", "127.0.0.1") for text in texts
    ]
    return [text.replace("torture-1@127.0.0.1", sip_call_id).encode() for text in near] + [
        text.encode() for text in near
    ]


class Enemy:
    """A socket that sends damaged messages, and now and then asks whether anybody is still there."""

    def __init__(self, sock: socket.socket, sip_call_id: str) -> None:
        self._socket, self._pings = sock, 0
        self._damaged = mutations(seeds(sip_call_id), seed=4475)
        self.malformed = 0
        self.sent = 0

    async def storm(self, target: tuple[str, int], malformed: int) -> None:
        """Send until so many malformed messages went out; after each batch a ping must be answered."""
        end = self.malformed + malformed
        while self.malformed < end:
            for _ in range(BATCH):
                data = next(self._damaged)
                self._socket.sendto(data[:9000], target)
                self.sent += 1
                self.malformed += is_malformed(data)
            await self.ping(target)

    async def storm_streams(self, target: tuple[str, int], connections: int) -> None:
        """Send as much over one TCP connection after the other, each left as the damage leaves it."""
        for _ in range(connections):
            reader, writer = await asyncio.open_connection(*target)
            writer.writelines(next(self._damaged) for _ in range(5))
            writer.write_eof()
            async with asyncio.timeout(20):
                # Answers may come, or the connection is reset.
                with contextlib.suppress(ConnectionError):
                    while await reader.read(65536):
                        pass
            writer.close()
        await self.ping(target)

    async def ping(self, target: tuple[str, int]) -> None:
        """Ask for a sign of life; answers to what was sent before are read and dropped."""
        self._pings += 1
        loop = asyncio.get_running_loop()
        data = PING.format(number=self._pings).encode()
        async with asyncio.timeout(20):
            await loop.sock_sendto(self._socket, data, target)
            sign = f"ping-{self._pings}\r\n".encode()
            while sign not in await loop.sock_recv(self._socket, 65535):
                pass


def is_malformed(data: bytes) -> bool:
    try:
        parse_datagram(data)
    except RemoteProtocolError:
        return bool(data.strip(b"\r\n\x00 "))
    return False


@asynccontextmanager
async def enemy(sip_call_id: str) -> AsyncIterator[Enemy]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        sock.setblocking(False)
        yield Enemy(sock, sip_call_id)


def used() -> tuple[int, int]:
    """Tasks and open files."""
    gc.collect()
    return len(asyncio.all_tasks()), len(os.listdir("/proc/self/fd"))


def resident_mb() -> float:
    gc.collect()
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize() / 1e6


async def settled(answerer: Answerer, calls: int) -> None:
    """Wait until the calls that damaged INVITEs made have given up, which they do in 64*T1."""
    async with asyncio.timeout(20):
        while answerer.calls > calls:  # noqa: ASYNC110
            await asyncio.sleep(0.05)


async def test_the_service_goes_on_under_4500_malformed_messages(caplog: pytest.LogCaptureFixture):
    # The lines that pytest keeps would count as growth.
    caplog.set_level(logging.CRITICAL, "tuner_sipbridge")
    lines: asyncio.Queue[Line] = asyncio.Queue()

    async def agent(line: Line) -> None:
        lines.put_nowait(line)
        await echo(line)

    load = Load(calls=8, burst=1_000_000)
    brief = Scenario.model_validate({"name": "beep", "persona": {"voice": "tone"}, "steps": [{"say": "one"}]})
    async with (
        Answerer(agent, port=0, timers=QUICK, load=load) as answerer,
        Dialer(timers=QUICK) as dialer,
    ):
        uri = "sip:agent@{}:{}".format(*answerer.local)
        async with dialer.dial(uri) as call, enemy(call.sip_call_id) as attack:
            contact = Uri.parse((await lines.get()).headers["contact"].strip("<>"))
            await attack.storm(answerer.local, WARM)
            await settled(answerer, 1)
            before, before_mb = used(), resident_mb()
            await attack.storm(answerer.local, AT_ANSWERER)
            await attack.storm((contact.host, contact.port or 5060), AT_DIALER)
            await attack.storm_streams(answerer.local, 60)
            await settled(answerer, 1)
            assert attack.malformed >= 4500
            assert answerer.refused["malformed"] >= AT_ANSWERER
            assert used() == before
            assert resident_mb() - before_mb < MOST_GROWTH_MB
            assert answerer.calls == 1, "the call that stood still stands"
        run = await dialer.run(uri, brief)
    assert run.outcome.kind == "success", run.outcome.detail
