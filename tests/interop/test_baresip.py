"""Our two ends against baresip, a telephone with an SRTP stack of its own."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from tuner_sipbridge import CallRun, Dialer, Scenario
from tuner_sipbridge.agents.line import Line
from tuner_sipbridge.answerer import Answerer
from tuner_sipbridge.audio import g711
from tuner_sipbridge.net.media_engine import PyMediaEngine
from tuner_sipbridge.sdp.crypto import SrtpPolicy

CONFIG = """
sip_listen 127.0.0.1:{sip}
ctrl_tcp_listen 127.0.0.1:{control}
net_interface 127.0.0.1
module_path /usr/lib/baresip/modules
audio_source {source}
audio_player aubridge,echo
audio_alert aubridge,alert
ausrc_srate {rate}
auplay_srate 8000
ausrc_channels {channels}
auplay_channels 1
module g711.so
module aubridge.so
module ausine.so
module srtp.so
module_app account.so
module_app menu.so
module_app contact.so
module_app ctrl_tcp.so
"""
ECHO, TONE = ("aubridge,echo", 8000, 1), ("ausine,440", 48000, 2)
"""What the telephone says, with rate and channels: what it hears, in calls that it answers; or a tone."""
MODES: dict[str, str] = {"best": ";mediaenc=srtp", "strict": ";mediaenc=srtp-mand"}
"""Users of the telephone, and what their accounts say about SRTP."""


def free_port(kind: socket.SocketKind) -> int:
    with socket.socket(socket.AF_INET, kind) as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@dataclass
class Telephone:
    """A running baresip."""

    port: int
    control: int
    said: str = ""
    """What it printed, once it is gone."""

    def uri(self, user: str) -> str:
        return f"sip:{user}@127.0.0.1:{self.port}"

    async def command(self, name: str, parameters: str = "") -> None:
        """Give it a command of its menu, in a netstring."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.control)
        said = json.dumps({"command": name, "params": parameters}).encode()
        writer.write(b"%d:%s," % (len(said), said))
        async with asyncio.timeout(5):
            await reader.readuntil(b'"response":true,"ok":true')
        writer.close()
        await writer.wait_closed()


@asynccontextmanager
async def baresip(folder: Path, user: str, says: tuple[str, int, int]) -> AsyncGenerator[Telephone]:
    """The telephone with one user."""
    telephone = Telephone(free_port(socket.SOCK_DGRAM), free_port(socket.SOCK_STREAM))
    source, rate, channels = says
    config = CONFIG.format(
        sip=telephone.port, control=telephone.control, source=source, rate=rate, channels=channels
    )
    (folder / "config").write_text(config)
    (folder / "accounts").write_text(f"<sip:{user}@127.0.0.1>;regint=0;answermode=auto{MODES[user]}\n")
    (folder / "contacts").touch()
    process = await asyncio.create_subprocess_exec(
        *("baresip", "-f", str(folder), "-4", "-v"),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    assert process.stdout is not None
    draining = None
    try:
        async with asyncio.timeout(20):
            said = await process.stdout.readuntil(b"baresip is ready.")
        assert b"mediaenc: srtp" in said
        draining = asyncio.ensure_future(process.stdout.read())
        yield telephone
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()
        if draining is not None:
            telephone.said = (await draining).decode(errors="replace")


def scenario(*steps: dict[str, object]) -> Scenario:
    return Scenario.model_validate({"name": "echo", "persona": {"voice": "tone"}, "steps": list(steps)})


def loudest(run: CallRun, *, since: float = 0.0) -> int:
    """The loudest sample the agent sent after `since`, a fraction of the recording."""
    assert run.recording is not None
    heard = g711.decode(run.recording.agent, run.recording.codec)
    return int(np.abs(heard[int(len(heard) * since) :]).max())


@pytest.mark.parametrize(
    ("user", "policy"),
    [("strict", "required"), ("best", "optional")],
)
async def test_telephone_is_dialled(user: str, policy: SrtpPolicy, tmp_path: Path):
    async with baresip(tmp_path, user, ECHO) as telephone, Dialer(srtp=policy) as dialer:
        run = await dialer.run(telephone.uri(user), scenario({"say": "one two"}, {"pause_s": 0.4}))
    assert run.outcome.kind == "success", run.outcome.detail
    assert loudest(run) > 2000
    started = run.trace.first("media.started")
    assert started is not None
    assert started.fields["srtp"] == "AES_CM_128_HMAC_SHA1_80"
    assert run.statistics is not None
    assert (run.statistics.unauthenticated, run.statistics.lost) == (0, 0)


async def test_hold_and_resume_under_srtp(tmp_path: Path):
    async with baresip(tmp_path, "strict", TONE) as telephone, Dialer(srtp="required") as dialer:

        async def hold_and_resume() -> None:
            await asyncio.sleep(0.7)
            await telephone.command("hold")
            await asyncio.sleep(0.4)
            await telephone.command("resume")

        async with dialer.dial(telephone.uri("strict")) as call:
            meanwhile = asyncio.ensure_future(hold_and_resume())
            run = await call.play(scenario({"say": "one"}, {"pause_s": 1.5}, {"say": "two"}))
            await meanwhile
    assert run.outcome.kind == "success", run.outcome.detail
    offers = [
        e.fields["message"] for e in run.trace.of("sip.received") if e.fields["summary"][:6] == "INVITE"
    ]
    answers = [e.fields["message"] for e in run.trace.of("sip.sent") if "m=audio" in e.fields["message"]][1:]
    assert ["a=sendonly" in offer for offer in offers] == [True, False]
    assert ["a=recvonly" in answer for answer in answers] == [True, False]
    assert all("RTP/SAVP" in answer and "a=crypto:1 " in answer for answer in answers)
    assert 2000 < loudest(run, since=0.75) < 32000
    assert run.statistics is not None
    assert run.statistics.unauthenticated == 0


@pytest.mark.parametrize(("user", "policy"), [("strict", "optional"), ("best", "required")])
async def test_telephone_dials_us(user: str, policy: SrtpPolicy, tmp_path: Path):
    heard: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    async def listen(line: Line) -> None:
        loud = 0
        async for frame in line.stream.frames():
            loud = max(loud, int(np.abs(g711.decode(frame, "PCMU")).max()))
            if loud > 2000:
                break
        heard.set_result(loud)

    async with (
        PyMediaEngine() as engine,
        Answerer(listen, port=0, srtp=policy, engine=engine) as answerer,
        baresip(tmp_path, user, TONE) as telephone,
    ):
        host, port = answerer.local
        await telephone.command("dial", f"sip:agent@{host}:{port}")
        async with asyncio.timeout(8):
            assert 2000 < await heard < 32000
    assert "incoming rtp for 'audio' established" in telephone.said
