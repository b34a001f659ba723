"""Verifying a URI on real sockets: each way in which a call fails is named at its step, with what to change."""

from __future__ import annotations

import re
import socket
from collections.abc import AsyncGenerator, AsyncIterator, Collection
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Protocol

import pytest
import pytest_asyncio

from tuner_sipbridge import CallRejected, Dialer, Scenario, TlsSettings
from tuner_sipbridge.agents.echo import echo
from tuner_sipbridge.agents.line import Line
from tuner_sipbridge.answerer import Answerer
from tuner_sipbridge.media.engine import DigitReceived, MediaEngine
from tuner_sipbridge.net.media_engine import PyMediaEngine
from tuner_sipbridge.net.udp import UdpEndpoint
from tuner_sipbridge.providers import find_provider
from tuner_sipbridge.sip.message import Request, response_to
from tuner_sipbridge.sip.parser import parse_datagram
from tuner_sipbridge.sip.timers import Timers
from tuner_sipbridge.verify.facts import STEPS, Step, StepName
from tuner_sipbridge.verify.run import Access, Verification, verify


class Issued(Protocol):
    certificate: Path
    key: Path
    fingerprint: str


class Ca(Protocol):
    file: Path

    def issue(self, name: str, *, expired: bool = False) -> Issued: ...


pytestmark = pytest.mark.asyncio(loop_scope="module")

LISTEN_S = 0.3
KNOWN = Access(username="probe", password="s3cret")


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def engine() -> AsyncIterator[MediaEngine]:
    """One media worker for all calls of the module, on both sides: it takes longer to start than a call."""
    async with PyMediaEngine(streams=8) as engine:
        yield engine


class Peer:
    """A far end in UDP that answers every request, but for those of `ignores`, and sends no RTP."""

    def __init__(
        self,
        *,
        refuse: int = 0,
        media_host: str = "127.0.0.1",
        keys: bool = True,
        ignores: Collection[str] = (),
    ) -> None:
        self._refuse, self._media_host, self._keys, self._ignores = refuse, media_host, keys, ignores
        self._media = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._media.bind(("127.0.0.1", 0))
        self.requests: list[Request] = []
        self.uri = ""

    @asynccontextmanager
    async def listening(self) -> AsyncGenerator[str]:
        self._socket = await UdpEndpoint.open(self._receive, host="127.0.0.1")
        self.uri = f"sip:agent@127.0.0.1:{self._socket.local[1]}"
        try:
            yield self.uri
        finally:
            self._socket.close()
            self._media.close()

    def _receive(self, data: bytes, source: tuple[str, int]) -> None:
        if not data.strip():
            return  # a keep-alive
        request = parse_datagram(data)
        assert isinstance(request, Request)
        self.requests.append(request)
        if request.method == "ACK" or request.method in self._ignores:
            return
        invited = request.method == "INVITE"
        answers = invited and not self._refuse
        response = response_to(
            request,
            self._refuse if invited and self._refuse else 200,
            to_tag="far",
            headers=[("Contact", f"<{self.uri}>")] if answers else [],
            body=self._session() if answers else b"",
            content_type="application/sdp" if answers else None,
        )
        self._socket.send(response.to_bytes(), source)

    def _session(self) -> bytes:
        keys = ("a=rtpmap:101 telephone-event/8000",) if self._keys else ()
        lines = (
            "v=0",
            f"o=- 1 1 IN IP4 {self._media_host}",
            "s=-",
            f"c=IN IP4 {self._media_host}",
            "t=0 0",
            f"m=audio {self._media.getsockname()[1]} RTP/AVP 0{' 101' if self._keys else ''}",
            *keys,
        )
        return "".join(f"{line}\r\n" for line in lines).encode()


def step(result: Verification, name: StepName) -> Step:
    return next(one for one in result.steps if one.name == name)


def assert_fails_only_at(result: Verification, name: StepName) -> Step:
    """Exactly one step failed, and what needs it was not reached."""
    assert [one.name for one in result.steps] == list(STEPS)
    assert [one.name for one in result.steps if one.verdict == "failed"] == [name]
    behind = result.steps[STEPS.index(name) + 1 :]
    assert {one.verdict for one in behind} <= {"not reached", "skipped"}
    assert not result.passed
    return step(result, name)


async def test_all_is_well_and_each_verdict_is_told_once_in_order(engine: MediaEngine):
    keys: list[str] = []
    told: list[Step] = []

    async def listen(line: Line) -> None:
        async for event in line.stream.events():
            if isinstance(event, DigitReceived):
                keys.append(event.digit)

    async with Answerer(echo, engine=engine, port=0, username="probe", password="s3cret") as answerer:
        result = await verify(answerer.uri, KNOWN, on_step=told.append, listen_s=0.8, engine=engine)
    async with Answerer(listen, engine=engine, port=0) as answerer:
        silent = await verify(answerer.uri, KNOWN, listen_s=LISTEN_S, engine=engine)
    assert {one.verdict for one in result.steps} == {"ok", "skipped"}, result.steps
    assert tuple(told) == result.steps
    assert "sound from" in step(result, "media_in").detail
    assert "never asked for" in step(silent, "credentials").detail
    assert step(silent, "media_in").verdict == "warning"
    assert "all of them are silence" in step(silent, "media_in").detail
    assert keys == ["#"]


async def test_a_wrong_password_is_told_apart_from_none(engine: MediaEngine):
    async with Answerer(echo, engine=engine, port=0, username="probe", password="s3cret") as answerer:
        wrong = await verify(answerer.uri, Access(username="probe", password="wrong"), engine=engine)
        none = await verify(answerer.uri, Access(provider=find_provider("asterisk")), engine=engine)
    refused = assert_fails_only_at(wrong, "credentials")
    assert "does not accept this user name and password" in refused.detail
    assert "letter by letter" in refused.change
    missing = assert_fails_only_at(none, "credentials")
    assert "none were given" in missing.detail
    assert "TUNER_SIP_PASSWORD" in missing.change
    assert "s3cret" not in repr(KNOWN) + repr(wrong)


async def test_a_name_that_does_not_resolve_and_what_is_no_uri(engine: MediaEngine):
    unknown = assert_fails_only_at(
        await verify("sip:agent@nowhere.invalid", Access(provider=find_provider("vapi")), engine=engine),
        "dns",
    )
    assert "nowhere.invalid" in unknown.detail
    assert "sip:NAME@sip.vapi.ai" in unknown.change
    assert "scheme" in assert_fails_only_at(await verify("agent@edge.example", engine=engine), "uri").detail


async def test_a_refused_connection(engine: MediaEngine):
    refused = assert_fails_only_at(
        await verify("sip:agent@127.0.0.1:9;transport=tcp", engine=engine), "connection"
    )
    assert "connection refused" in refused.detail


async def test_certificates_are_read_also_when_they_are_not_trusted(engine: MediaEngine, authority: Ca):
    known = TlsSettings(ca_file=authority.file)

    async def shown(name: str, tls: TlsSettings, *, expired: bool = False) -> Verification:
        issued = authority.issue(name, expired=expired)
        served = TlsSettings(certificate=issued.certificate, key=issued.key)
        async with Answerer(echo, engine=engine, port=0, transport="tls", tls=served) as answerer:
            return await verify(answerer.uri, Access(tls=tls), listen_s=LISTEN_S, engine=engine)

    stranger = assert_fails_only_at(await shown("127.0.0.1", TlsSettings()), "connection")
    assert "signed by no CA that is known here" in stranger.detail
    assert "for 127.0.0.1; by Test CA; expires in 30 days" in stranger.detail
    expired = assert_fails_only_at(await shown("127.0.0.1", known, expired=True), "connection")
    assert "has expired" in expired.detail
    assert "expired 1 day ago" in expired.detail
    other = assert_fails_only_at(await shown("edge.example", known), "connection")
    assert "another name than 127.0.0.1" in other.detail
    assert "for edge.example" in other.detail
    good = await shown("127.0.0.1", known)
    assert good.passed, good.steps
    assert "TLSv1." in step(good, "connection").detail
    careless = await shown("edge.example", TlsSettings(insecure=True), expired=True)
    assert careless.passed, careless.steps
    assert step(careless, "connection").verdict == "warning"


async def test_a_silent_host(engine: MediaEngine):
    peer = Peer(ignores=("OPTIONS", "INVITE"))
    async with peer.listening() as uri:
        result = await verify(uri, timers=Timers(t1=0.01, t2=0.08, t4=0.1), engine=engine)
    silent = assert_fails_only_at(result, "invite")
    assert re.search(
        r"no answer at all to \d+ INVITEs in 1 s, nor to OPTIONS; dial waits 32 s \(Timer B\)", silent.detail
    )
    assert ";transport=tcp" in silent.change
    assert step(result, "options").verdict == "warning"


@pytest.mark.parametrize(
    ("status", "provider", "change"),
    [
        (404, "twilio", "at Twilio this most likely means: there is no SIP Domain of this name"),
        (486, "livekit", "no trunk or no dispatch rule takes this call"),
        (488, "asterisk", "allow ulaw or alaw at the endpoint"),
        (503, None, "on the far side: see that the agent is running"),
    ],
)
async def test_a_refused_call_says_what_the_provider_means(
    engine: MediaEngine, status: int, provider: str | None, change: str
):
    async with Peer(refuse=status).listening() as uri:
        access = Access(provider=find_provider(provider) if provider else None)
        over_udp = uri + ";transport=udp"
        result = await verify(over_udp, access, engine=engine)
    refused = assert_fails_only_at(result, "answer")
    assert refused.detail.startswith(str(status))
    assert change in refused.change


async def test_an_answer_without_rtp_keys_or_a_reply_to_bye(engine: MediaEngine):
    peer = Peer(keys=False, ignores=("BYE",))
    async with peer.listening() as uri:
        access = Access(next_target_after_s=0.5)
        result = await verify(uri, access, listen_s=LISTEN_S, engine=engine)
    assert [one.name for one in result.steps if one.verdict == "failed"] == ["media_in", "bye"]
    assert "no packet came" in step(result, "media_in").detail
    assert "see that the agent joins the call" in step(result, "media_in").change
    assert step(result, "media_out").verdict == "ok"
    assert "no telephone-event" in step(result, "dtmf").detail
    assert "not answered" in step(result, "bye").detail


@pytest.mark.parametrize(
    ("host", "verdict", "words"),
    [
        ("192.0.2.10", "failed", "no packet gets to that address"),
        ("10.255.255.1", "warning", "that address is private"),
    ],
)
async def test_an_address_in_the_sdp_that_cannot_be_reached(
    engine: MediaEngine, host: str, verdict: str, words: str
):
    async with Peer(media_host=host).listening() as uri:
        result = await verify(
            uri, Access(provider=find_provider("freeswitch")), listen_s=LISTEN_S, engine=engine
        )
    described = step(result, "sdp")
    assert (described.verdict, step(result, "media_in").verdict) == (verdict, "failed")
    assert words in described.detail
    assert "ext-rtp-ip" in described.change
    assert step(result, "media_out").verdict != "ok"


async def test_the_dialer_tells_the_provider_s_meaning_of_a_refusal_too(engine: MediaEngine):
    beep = Scenario.model_validate({"name": "beep", "persona": {"voice": "tone"}, "steps": [{"say": "one"}]})
    peer = Peer(refuse=488)
    async with (
        peer.listening() as uri,
        Dialer(engine=engine, provider=find_provider("asterisk")) as dialer,
    ):
        run = await dialer.run(uri, beep)
        with pytest.raises(
            CallRejected, match="at Asterisk this most likely means: the endpoint allows none"
        ):
            async with dialer.dial(uri):
                pass
    assert "488" in run.outcome.detail
    assert "allow ulaw or alaw at the endpoint" in run.outcome.detail
