"""Calls under SRTP: both sides are heard, forged packets are not, and a wrong key is told as the cause."""

from __future__ import annotations

import asyncio
import base64
import re
import socket
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pylibsrtp import Policy, Session

from tuner_sipbridge import Dialer, Scenario
from tuner_sipbridge.agents.echo import echo
from tuner_sipbridge.agents.line import Line
from tuner_sipbridge.answerer import Answerer
from tuner_sipbridge.audio import g711
from tuner_sipbridge.dialer.run import CallRun
from tuner_sipbridge.media.engine import MediaParameters, SrtpMismatch
from tuner_sipbridge.net.media_engine import PyMediaEngine
from tuner_sipbridge.sdp.crypto import KEY_OCTETS, SrtpKeys, SrtpPolicy
from tuner_sipbridge.sip.message import Response

OURS, THEIRS = bytes(range(30)), bytes(range(100, 130))


def scenario(*steps: dict[str, object] | str) -> Scenario:
    return Scenario.model_validate({"name": "tones", "persona": {"voice": "tone"}, "steps": list(steps)})


def uri_of(answerer: Answerer) -> str:
    host, port = answerer.local
    return f"sip:agent@{host}:{port}"


def heard(run: CallRun) -> tuple[bool, bool]:
    """Whether the caller's and the agent's side of the recording have sound, and no more noise than sound has."""
    assert run.recording is not None
    sides = [g711.decode(side, run.recording.codec) for side in (run.recording.caller, run.recording.agent)]
    return tuple(3000 < np.abs(side).max() < 32000 for side in sides)  # type: ignore[return-value]


CALLS: list[tuple[SrtpPolicy, SrtpPolicy, dict[str, Any], bool]] = [
    ("required", "optional", {}, True),
    ("optional", "off", {}, False),
    ("optional", "required", {"late_offer": True, "codecs": ("PCMA",)}, True),
]
"""Policies of the dialling and the answering side, how it is dialled, and whether it comes to SRTP."""


async def test_both_sides_are_heard(tmp_path: Path):
    async with PyMediaEngine() as engine:

        async def call(dialled: SrtpPolicy, answered: SrtpPolicy, options: dict[str, Any]) -> CallRun:
            async with (
                Answerer(echo, port=0, srtp=answered, engine=engine) as answerer,
                Dialer(srtp=dialled, engine=engine, **options) as dialer,
            ):
                return await dialer.run(uri_of(answerer), scenario({"say": "one two"}, {"pause_s": 0.5}))

        runs = await asyncio.gather(*(call(ours, theirs, options) for ours, theirs, options, _ in CALLS))
    for run, (dialled, answered, options, secure) in zip(runs, CALLS, strict=True):
        said = f"{dialled}, {answered}: {run.outcome.detail}"
        assert run.outcome.kind == "success", said
        assert heard(run) == (True, True), said
        assert run.statistics is not None
        assert (run.statistics.lost, run.statistics.unauthenticated) == (0, 0), said
        started = run.trace.first("media.started")
        assert started is not None
        assert started.fields["srtp"] == ("AES_CM_128_HMAC_SHA1_80" if secure else ""), said
        described = [event for event in run.trace.of("sip.sent") if "m=audio" in event.fields["message"]]
        methods = [str(event.fields["summary"]).split()[0] for event in described]
        assert methods == (["ACK"] if "late_offer" in options else ["INVITE"])
        text = run.write(tmp_path)[0].read_text()
        assert "a=crypto:" in text
        assert not re.search(r"inline:[A-Za-z0-9+/]{40}", text)


async def test_wrong_key_is_told_as_the_cause(monkeypatch: pytest.MonkeyPatch):
    """The agent's SDP names a key that its packets are not protected with."""
    to_bytes = Response.to_bytes

    def another_key(self: Response) -> bytes:
        wrong = base64.b64encode(bytes(30)).decode().encode()
        self.body = re.sub(rb"inline:[^\s|]+", b"inline:" + wrong, self.body)
        return to_bytes(self)

    async def wait(line: Line) -> None:
        await line.ended()

    async with (
        PyMediaEngine() as engine,
        Answerer(wait, port=0, srtp="required", engine=engine) as answerer,
        Dialer(srtp="required", engine=engine) as dialer,
    ):
        monkeypatch.setattr(Response, "to_bytes", another_key)
        run = await dialer.run(uri_of(answerer), scenario({"say": "one"}, {"pause_s": 3.0}))
    assert run.outcome.kind == "upstream_error"
    assert "could be authenticated: the far end protects them by another key" in run.outcome.detail
    assert run.trace.first("media.srtp_mismatch") is not None
    assert run.statistics is not None
    assert run.statistics.unauthenticated >= 50
    assert run.statistics.received == 0


class Peer:
    """A socket with SRTP of its own: what it sends and hears is libsrtp's work, not ours."""

    def __init__(self, profile: int) -> None:
        self.media = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.media.bind(("127.0.0.1", 0))
        self.media.settimeout(2)
        self._out = Session(Policy(THEIRS, Policy.SSRC_ANY_OUTBOUND, srtp_profile=profile))
        self._in = Session(Policy(OURS, Policy.SSRC_ANY_INBOUND, srtp_profile=profile))

    def packet(self, sequence: int, octet: int) -> bytes:
        header = b"\x80\x00" + sequence.to_bytes(2, "big") + (sequence * 160).to_bytes(4, "big") + b"PEER"
        return self._out.protect(header + bytes([octet]) * 160)

    def hear(self) -> tuple[bytes, bytes]:
        """The next packet, as it came and opened."""
        coded = self.media.recv(2000)
        return coded, self._in.unprotect(coded)


@asynccontextmanager
async def secured(suite: str, profile: int) -> AsyncGenerator[tuple[PyMediaEngine, Peer]]:
    async with PyMediaEngine() as engine:
        peer = Peer(profile)
        try:
            yield engine, peer
        finally:
            peer.media.close()


@pytest.mark.parametrize(
    ("suite", "profile", "tag"),
    [
        ("AES_CM_128_HMAC_SHA1_80", Policy.SRTP_PROFILE_AES128_CM_SHA1_80, 10),
        ("AES_CM_128_HMAC_SHA1_32", Policy.SRTP_PROFILE_AES128_CM_SHA1_32, 4),
    ],
)
async def test_tampered_and_repeated_packets_are_dropped_and_counted(suite: str, profile: int, tag: int):
    assert suite in KEY_OCTETS
    async with secured(suite, profile) as (engine, peer):
        stream = await engine.open()
        parameters = MediaParameters(peer.media.getsockname(), srtp=SrtpKeys(suite, OURS, THEIRS))
        await stream.start(parameters)
        stream.play(b"\x33" * 1600, mark="tone")
        coded, plain = await asyncio.to_thread(peer.hear)
        assert (len(plain), len(coded)) == (172, 172 + tag)
        packets = [peer.packet(number, number + 1) for number in range(5)]
        tampered = bytearray(packets[2])
        tampered[20] ^= 1
        await stream.start(parameters)  # a re-INVITE that changes nothing begins no key anew
        for packet in (*packets[:2], bytes(tampered), *packets[3:], packets[4], b"\x80\xc8" + bytes(26)):
            peer.media.sendto(packet, stream.local)
        await asyncio.sleep(0.2)
        result = await stream.close()
        while True:
            peer.media.setblocking(False)
            try:
                peer.hear()
            except BlockingIOError:
                break
    statistics = result.statistics
    assert (statistics.received, statistics.lost) == (4, 1)
    assert (statistics.unauthenticated, statistics.discarded) == (2, 2)
    assert result.recording is not None
    voices = [octet for octet in range(1, 6) if bytes([octet]) * 160 in result.recording.agent.tobytes()]
    assert voices == [1, 2, 4, 5]


async def test_another_key_in_mid_call_is_taken_over_and_a_wrong_one_is_noticed():
    suite, profile = "AES_CM_128_HMAC_SHA1_80", Policy.SRTP_PROFILE_AES128_CM_SHA1_80
    async with secured(suite, profile) as (engine, peer):
        stream = await engine.open()
        remote = peer.media.getsockname()
        await stream.start(MediaParameters(remote, srtp=SrtpKeys(suite, OURS, bytes(30))))
        for number in range(60):
            peer.media.sendto(peer.packet(number, 9), stream.local)
        events = stream.events()
        async with asyncio.timeout(2):
            event = await anext(aiter(events))
        assert isinstance(event, SrtpMismatch)
        await stream.start(MediaParameters(remote, srtp=SrtpKeys(suite, OURS, THEIRS)))
        for number in range(60, 70):
            peer.media.sendto(peer.packet(number, 9), stream.local)
        await asyncio.sleep(0.1)
        result = await stream.close()
    assert result.statistics.unauthenticated >= 50
    assert result.statistics.received >= 10
    assert result.statistics.unauthenticated + result.statistics.received == 70
