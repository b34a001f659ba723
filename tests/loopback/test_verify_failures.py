"""Verifying far ends that fail in the ways real ones do: what a person reads is true, and says who must change what."""

from __future__ import annotations

import asyncio
import math
import socket
import struct
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Protocol

import numpy as np
import pytest
import pytest_asyncio

from tuner_sipbridge import TlsSettings
from tuner_sipbridge.agents.echo import echo
from tuner_sipbridge.answerer import Answerer
from tuner_sipbridge.audio import g711
from tuner_sipbridge.call.registrar import Terms
from tuner_sipbridge.media.engine import MediaEngine
from tuner_sipbridge.net.media_engine import PyMediaEngine
from tuner_sipbridge.net.udp import UdpEndpoint
from tuner_sipbridge.report.ladder_text import ladder_text
from tuner_sipbridge.report.pcap import pcap_of
from tuner_sipbridge.sip.message import Request, response_to
from tuner_sipbridge.sip.parser import parse_datagram
from tuner_sipbridge.sip.targets import Trunk
from tuner_sipbridge.sip.timers import Timers
from tuner_sipbridge.verify.facts import Step, StepName
from tuner_sipbridge.verify.run import Access, Verification, verify


class Issued(Protocol):
    certificate: Path
    key: Path


class Ca(Protocol):
    def issue(self, name: str) -> Issued: ...


pytestmark = pytest.mark.asyncio(loop_scope="module")

LISTEN_S = 0.2
BRISK = Timers(t1=0.02, t2=0.16, t4=0.2)
Says = tuple[int, bool] | tuple[int, bool, str] | float
"""A status, whether it has a session description, and a Contact; or seconds to wait."""


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def engine() -> AsyncIterator[MediaEngine]:
    """One media worker for all calls of the module."""
    async with PyMediaEngine(streams=8) as engine:
        yield engine


class FarEnd:
    """A far end in UDP that plays a script on INVITE, and answers all else with 200."""

    def __init__(
        self, *script: Says, sound: bool = False, direction: str = "sendrecv", bye: bool = False
    ) -> None:
        self._script, self._sound, self._direction, self._bye = script, sound, direction, bye
        self._tasks: set[asyncio.Task[None]] = set()
        self.uri = ""

    @asynccontextmanager
    async def listening(self) -> AsyncGenerator[str]:
        self._media = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._media.bind(("127.0.0.1", 0))
        self._socket = await UdpEndpoint.open(self._receive, host="127.0.0.1")
        self.uri = f"sip:agent@127.0.0.1:{self._socket.local[1]}"
        try:
            yield self.uri
        finally:
            for task in self._tasks:
                task.cancel()
            self._socket.close()
            self._media.close()

    def _receive(self, data: bytes, source: tuple[str, int]) -> None:
        request = parse_datagram(data)
        assert isinstance(request, Request)
        if request.method == "INVITE":
            self._tasks.add(asyncio.ensure_future(self._play(request, source)))
        elif request.method != "ACK":
            self._socket.send(response_to(request, 200, to_tag="far").to_bytes(), source)

    async def _play(self, invite: Request, source: tuple[str, int]) -> None:
        for says in self._script:
            if not isinstance(says, tuple):
                await asyncio.sleep(says)
                continue
            status, session, *contact = says
            where = contact[0] if contact else f"<{self.uri}>"
            response = response_to(
                invite,
                status,
                to_tag="far",
                headers=[("Contact", where)] if status > 100 and where else [],
                body=self._session() if session else b"",
                content_type="application/sdp" if session else None,
            )
            self._socket.send(response.to_bytes(), source)
            if session and self._sound:
                self._tasks.add(asyncio.ensure_future(self._speak(invite)))
        if self._bye:
            await asyncio.sleep(0.05)
            self._socket.send(self._hang_up(invite), source)

    async def _speak(self, invite: Request) -> None:
        lines = invite.body.decode().split("\r\n")
        port = int(next(line for line in lines if line.startswith("m=audio")).split(" ")[1])
        tone = [round(8000 * math.sin(2 * math.pi * 400 * n / 8000)) for n in range(160)]
        payload = g711.encode(np.array(tone, np.int16), "PCMU")
        for number in range(200):
            self._media.sendto(
                struct.pack("!BBHII", 0x80, 0, number, number * 160, 7) + payload, ("127.0.0.1", port)
            )
            await asyncio.sleep(0.02)

    def _hang_up(self, invite: Request) -> bytes:
        contact = invite.contact
        assert contact is not None
        lines = (
            f"BYE {contact.uri} SIP/2.0",
            f"Via: SIP/2.0/UDP 127.0.0.1:{self._socket.local[1]};branch=z9hG4bKfar",
            f"From: {invite.headers.get('To')};tag=far",
            f"To: {invite.headers.get('From')}",
            f"Call-ID: {invite.call_id}",
            "CSeq: 1 BYE",
            "Max-Forwards: 70",
            "Content-Length: 0",
        )
        return "".join(f"{line}\r\n" for line in (*lines, "")).encode()

    def _session(self) -> bytes:
        lines = (
            "v=0",
            "o=- 1 1 IN IP4 127.0.0.1",
            "s=-",
            "c=IN IP4 127.0.0.1",
            "t=0 0",
            f"m=audio {self._media.getsockname()[1]} RTP/AVP 0",
            f"a={self._direction}",
        )
        return "".join(f"{line}\r\n" for line in lines).encode()


async def judged(uri: str, engine: MediaEngine, access: Access | None = None) -> Verification:
    """The verdicts, each of which was told as it stands at the end."""
    told: list[Step] = []
    result = await verify(
        uri, access or Access(), on_step=told.append, listen_s=LISTEN_S, engine=engine, timers=BRISK
    )
    assert tuple(told) == result.steps
    return result


def step(result: Verification, name: StepName) -> Step:
    return next(one for one in result.steps if one.name == name)


@pytest.mark.parametrize(
    ("script", "failed", "words", "change"),
    [
        (((200, False),), ["sdp"], "without a session description", "let the 200 hold an SDP answer"),
        (((100, False),), ["answer"], "100 Trying, then nothing for", "what it routes this number to"),
        (((180, False),), ["answer"], "it rang, and nobody picked up within", "is running and picks up"),
        (((183, True),), ["answer"], "183 with early audio, but nobody picked up", "answers with 200"),
        (((302, False, ""),), ["answer"], "names no address", "take the call itself"),
        (((302, False),), ["answer"], "it goes round in a loop", "take the call itself"),
        (((302, False, "<sip:a@127.0.0.1:9;transport=tcp>"),), ["answer"], "connection refused", "its log"),
    ],
)
async def test_no_call_comes_about(
    engine: MediaEngine, script: Sequence[Says], failed: list[str], words: str, change: str
) -> None:
    async with FarEnd(*script, sound=True).listening() as uri:
        result = await judged(uri, engine, Access(ring_timeout_s=0.4))
    assert result.named("failed") == failed, result.steps
    first = step(result, failed[0])  # pyright: ignore[reportArgumentType]
    assert words in first.detail
    assert change in first.change


async def test_a_redirection_is_followed_and_said(engine: MediaEngine) -> None:
    async with FarEnd((200, True), sound=True).listening() as second:
        async with FarEnd((302, False, f"<{second}>")).listening() as first:
            result = await judged(first, engine)
    assert result.passed, result.steps
    assert step(result, "answer").detail.endswith("sent on to 127.0.0.1")


async def test_a_password_in_the_uri_is_hidden_and_changes_no_verdict(engine: MediaEngine) -> None:
    async with FarEnd((200, True), sound=True).listening() as uri:
        result = await judged(uri.replace("agent@", "agent:hidden@"), engine)
    assert result.passed, result.steps
    assert step(result, "answer").detail.startswith("200 OK")
    assert "hidden" not in str(result.to_json()) + repr(result) + "".join(map(ladder_text, result.traces))


async def test_an_agent_that_hangs_up_at_once_has_not_passed(engine: MediaEngine) -> None:
    async with FarEnd((200, True), bye=True).listening() as uri:
        result = await judged(uri, engine)
    assert result.named("failed") == ["bye"]
    assert "after it had answered, before we were done" in step(result, "bye").detail
    assert "before any packet came" in step(result, "media_in").detail


async def test_an_answer_that_says_it_will_not_speak(engine: MediaEngine) -> None:
    async with FarEnd((200, True), direction="recvonly").listening() as uri:
        result = await judged(uri, engine)
    assert (result.named("failed"), result.named("warning")) == (["media_in"], ["sdp", "dtmf"])
    assert "as the answer says (recvonly)" in step(result, "media_in").detail


async def test_a_closed_port_is_told_at_once_and_a_port_of_another_protocol_too(
    engine: MediaEngine, authority: Ca
) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as bound:
        bound.bind(("127.0.0.1", 0))
        port = bound.getsockname()[1]
    closed = await judged(f"sip:agent@127.0.0.1:{port}", engine)
    assert closed.named("failed") == ["connection"]
    assert "the host refuses this port (ICMP)" in step(closed, "connection").detail
    issued = authority.issue("127.0.0.1")
    served = TlsSettings(certificate=issued.certificate, key=issued.key)
    async with Answerer(echo, engine=engine, port=0, transport="tls", tls=served) as answerer:
        plain = await judged(f"sip:agent@127.0.0.1:{answerer.local[1]};transport=tcp", engine)
    assert plain.named("failed") == ["invite"]
    assert "that port speaks TLS" in step(plain, "invite").detail
    assert step(plain, "invite").change == "dial it with ;transport=tls"
    async with Answerer(echo, engine=engine, port=0, transport="tcp") as answerer:
        secure = await judged(f"sips:agent@127.0.0.1:{answerer.local[1]}", engine)
    assert secure.named("failed") == ["connection"]
    assert "TLS" in step(secure, "connection").detail
    assert (
        "transport=tcp" in step(secure, "connection").change
        or "speaks TLS" in step(secure, "connection").change
    )


async def test_trunks_are_asked_one_by_one_and_the_one_that_is_dead_is_named(engine: MediaEngine) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind(("127.0.0.1", 0))
        dead = f"sip:127.0.0.1:{silent.getsockname()[1]}"
        async with FarEnd((200, True), sound=True).listening() as uri:
            alive = uri.replace("agent@", "")
            access = Access(
                trunks=(Trunk.parse(f"{dead},1"), Trunk.parse(f"{alive},2")), next_target_after_s=0.3
            )
            result = await judged("sip:agent@nowhere.invalid", engine, access)
    assert result.passed, result.steps
    assert step(result, "uri").detail.startswith("by trunk 127.0.0.1")
    options = step(result, "options")
    assert (options.verdict, "no answer" in options.detail, "200 OK" in options.detail) == (
        "warning",
        True,
        True,
    )
    assert "no response came in 0.3 s; then 200 OK" in step(result, "invite").detail
    assert "mend or remove the target" in step(result, "invite").change


async def test_who_has_to_register_first_is_registered_or_told_why_not(engine: MediaEngine) -> None:
    async with Answerer(
        echo, engine=engine, port=0, username="probe", password="s3cret", registrations=Terms()
    ) as answerer:
        good = await judged(answerer.uri, engine, Access(username="probe", password="s3cret", register=True))
        bad = await judged(answerer.uri, engine, Access(username="probe", password="wr0ng", register=True))
    assert good.passed, good.steps
    assert step(good, "registration").detail.startswith("for ")
    assert bad.named("failed") == ["registration"]
    assert "letter by letter" in step(bad, "registration").change
    for result in (good, bad):
        kept = pcap_of(result.traces).decode("latin-1") + "".join(map(ladder_text, result.traces))
        assert "uthorization: Digest" in kept
        assert not any(secret in kept for secret in ('username="probe"', "s3cret", "wr0ng"))


async def test_srtp_late_offer_and_codecs_are_those_of_dial(engine: MediaEngine) -> None:
    async with Answerer(echo, engine=engine, port=0, srtp="required", codecs=("PCMA",)) as answerer:
        plain = await judged(answerer.uri, engine)
        secure = await judged(answerer.uri, engine, Access(srtp="required"))
    async with Answerer(echo, engine=engine, port=0) as answerer:
        late = await judged(answerer.uri, engine, Access(late_offer=True, codecs=("PCMA",)))
    assert "give --srtp required" in step(plain, "answer").change
    assert secure.passed, secure.steps
    assert "PCMA to 127.0.0.1" in step(secure, "sdp").detail
    assert ", SRTP AES_CM_128_HMAC_SHA1_80" in step(secure, "sdp").detail
    assert late.passed, late.steps
