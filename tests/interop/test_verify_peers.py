"""Verifying URIs of Kamailio, a proxy that challenges, and of baresip, which speaks SRTP, TLS and Opus."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from pathlib import Path

import pytest
import pytest_asyncio

from tuner_sipbridge.agents.echo import echo
from tuner_sipbridge.answerer import Answerer
from tuner_sipbridge.net.media_engine import PyMediaEngine
from tuner_sipbridge.net.tls import TlsSettings
from tuner_sipbridge.providers import find_provider
from tuner_sipbridge.sdp.crypto import SrtpPolicy
from tuner_sipbridge.verify.facts import Step, StepName
from tuner_sipbridge.verify.run import Access, Verification, verify

from ..certificates import Authority
from .peers.baresip import TONE, Baresip
from .peers.kamailio import Kamailio
from .peers.ports import Transport
from .peers.sipp import Sipp

pytestmark = pytest.mark.asyncio(loop_scope="module")

LISTEN_S = 0.3


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def engine() -> AsyncGenerator[PyMediaEngine]:
    """The media of all calls of this file."""
    async with PyMediaEngine(codecs=("opus", "PCMU")) as started:
        yield started


def step(result: Verification, name: StepName) -> Step:
    return next(one for one in result.steps if one.name == name)


async def test_a_proxy_that_challenges(
    kamailio: Kamailio, authority: Authority, sipp: Sipp, engine: PyMediaEngine
) -> None:
    """Right and wrong password, none, nobody registered; over UDP, and over TLS from its own CA."""
    right = Access(username=kamailio.username, password=kamailio.password)
    wrong = Access(username=kamailio.username, password="guess")

    async def judged(user: str, access: Access, transport: Transport = "udp") -> Verification:
        return await verify(kamailio.uri(user, transport), access, listen_s=LISTEN_S, engine=engine)

    async with Answerer(echo, port=0, engine=engine) as answerer:
        await kamailio.register(sipp, "agent", answerer.uri)
        good = await judged("agent", right)
        trusted = Access(
            username=right.username, password=right.password, tls=TlsSettings(ca_file=authority.file)
        )
        secure = await judged("agent", trusted, "tls")
        refused, none = await judged("agent", wrong), await judged("agent", Access())
    nobody = await judged("nobody", right)
    unknown = await judged("nobody", Access(right.provider or find_provider("kamailio"), "probe", "s3cret"))
    stranger = await judged("agent", right, "tls")
    assert (good.passed, secure.passed) == (True, True), good.steps + secure.steps
    assert step(good, "challenge").detail == '407 for realm "edge.test", MD5'
    assert step(good, "credentials").detail == "accepted"
    assert step(good, "options").detail.endswith("by Kamailio: somebody is there; many edges take no OPTIONS")
    assert "by Test CA" in step(secure, "connection").detail
    assert (refused.named("failed"), none.named("failed")) == (["credentials"], ["credentials"])
    assert "letter by letter" in step(refused, "credentials").change
    assert "TUNER_SIP_PASSWORD" in step(none, "credentials").change
    assert nobody.named("failed") == ["answer"]
    assert step(nobody, "answer").detail.startswith("404 Not Found: the far end does not know this user")
    assert "nobody is registered under this name" in step(unknown, "answer").change
    assert stranger.named("failed") == ["connection"]
    assert "signed by no CA that is known here" in step(stranger, "connection").detail


async def test_a_proxy_whose_certificate_is_for_another_name(
    kamailio: Kamailio, authority: Authority, engine: PyMediaEngine
) -> None:
    uri = kamailio.uri("agent", "tls").replace("127.0.0.1", "localhost")
    result = await verify(uri, Access(tls=TlsSettings(ca_file=authority.file)), engine=engine)
    assert result.named("failed") == ["connection"], result.steps
    told = step(result, "connection")
    assert "another name than localhost" in told.detail
    assert "for 127.0.0.1" in told.detail


@pytest.mark.parametrize(
    ("transport", "user", "srtp", "codecs", "said"),
    [
        ("tls", "strict", "required", None, "PCMU"),
        ("tcp", "opus", "off", ("opus",), "opus"),
    ],
)
async def test_a_user_agent_with_audio_both_ways(
    tmp_path: Path,
    authority: Authority,
    engine: PyMediaEngine,
    transport: Transport,
    user: str,
    srtp: SrtpPolicy,
    codecs: tuple[str, ...] | None,
    said: str,
) -> None:
    baresip = Baresip(tmp_path)
    access = Access(tls=TlsSettings(ca_file=authority.file), srtp=srtp, codecs=codecs)
    async with baresip.running(authority, TONE):
        result = await verify(baresip.uri(user, transport), access, listen_s=0.6, engine=engine)
        assert result.passed, "\n".join(map(str, result.steps))
        await baresip.event("CALL_CLOSED")
        heard = baresip.heard()
    assert step(result, "sdp").detail.startswith(said)
    assert ("SRTP AES_CM_128_HMAC_SHA1_80" in step(result, "sdp").detail) == (srtp == "required")
    assert "sound from" in step(result, "media_in").detail
    assert abs(heard).max() > 1000


async def test_a_user_agent_that_demands_srtp(
    tmp_path: Path, authority: Authority, engine: PyMediaEngine
) -> None:
    baresip = Baresip(tmp_path)
    async with baresip.running(authority):
        result = await verify(baresip.uri("strict"), listen_s=LISTEN_S, engine=engine)
    assert result.named("failed") == ["answer"], result.steps
    assert step(result, "answer").detail.startswith("488 ")
    assert "give --srtp required" in step(result, "answer").change
