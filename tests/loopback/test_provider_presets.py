"""What each preset puts on the wire: transport, port, headers, offer; and far ends that do as its provider does."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

import pytest
import pytest_asyncio

from tuner_sipbridge.agents.echo import echo
from tuner_sipbridge.answerer import Answerer
from tuner_sipbridge.call.allowed import AllowList
from tuner_sipbridge.caller.scenario import Scenario
from tuner_sipbridge.dialer.dialer import Dialer
from tuner_sipbridge.dialer.provided import addressed
from tuner_sipbridge.media.engine import MediaEngine
from tuner_sipbridge.net.media_engine import PyMediaEngine
from tuner_sipbridge.net.tls import TlsSettings
from tuner_sipbridge.providers import find_provider, known_providers
from tuner_sipbridge.sdp.codecs import EVENTS
from tuner_sipbridge.sdp.crypto import SrtpPolicy
from tuner_sipbridge.sdp.session import SessionDescription
from tuner_sipbridge.sip.message import Request
from tuner_sipbridge.sip.parser import parse_datagram
from tuner_sipbridge.sip.routing import Transport
from tuner_sipbridge.sip.uri import Uri

pytestmark = pytest.mark.asyncio(loop_scope="module")


class Issued(Protocol):
    certificate: Path
    key: Path


class Ca(Protocol):
    file: Path

    def issue(self, name: str) -> Issued: ...


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def engine() -> AsyncIterator[MediaEngine]:
    async with PyMediaEngine(streams=8, codecs=("opus", "G722", "PCMU", "PCMA")) as started:
        yield started


@dataclass(frozen=True)
class Promise:
    """The INVITE of a preset.

    Attributes:
        reached: what a URI that names neither transport nor port becomes.
        transport: what it goes by.
        codecs: what is offered.
        timer: Session-Expires; empty for none.
        reliable: 100rel stands in Supported.
    """

    reached: str
    transport: Transport = "udp"
    codecs: tuple[str, ...] = ("PCMU", "PCMA")
    timer: str = "1800"
    reliable: bool = True


HOST = "sip:agent@edge.example"
PROMISES = {
    "asterisk": Promise(HOST),
    "daily": Promise(HOST, codecs=("PCMU", "PCMA", "G722", "opus")),
    "exotel": Promise(f"{HOST}:5070;transport=tcp", "tcp"),
    "freeswitch": Promise(HOST),
    "jambonz": Promise(HOST, codecs=("PCMU", "PCMA", "G722", "opus")),
    "kamailio": Promise(HOST),
    "livekit": Promise(f"{HOST};transport=tcp", "tcp", codecs=("G722", "PCMU", "PCMA"), timer=""),
    "plivo": Promise(HOST, reliable=False),
    "retell": Promise(f"{HOST};transport=tcp", "tcp", codecs=("PCMU", "PCMA", "G722")),
    "telnyx": Promise(HOST),
    "twilio": Promise(HOST),
    "vapi": Promise(HOST),
    "vobiz": Promise(HOST),
    "wavix": Promise(HOST),
}
NOD = Scenario.model_validate({"name": "nod", "persona": {"voice": "tone"}, "steps": [{"pause_s": 0.02}]})


async def test_each_preset_is_promised_something() -> None:
    assert sorted(PROMISES) == [provider.name for provider in known_providers()]


@pytest.mark.parametrize("name", sorted(PROMISES))
async def test_a_preset_yields_the_invite_it_promises(engine: MediaEngine, name: str) -> None:
    promise, provider = PROMISES[name], find_provider(name)
    assert str(addressed(Uri.parse(HOST), provider, "udp")) == promise.reached
    # A header of a preset goes along, whether this provider has one or not.
    known = replace(provider, headers={**provider.headers, "X-Edge": "preset"})
    async with Answerer(echo, engine=engine, port=0, transport=promise.transport) as answerer:
        host, port = answerer.local
        async with Dialer(engine=engine, provider=known) as dialer:
            run = await dialer.run(f"sip:agent@{host}:{port}", NOD, headers={"X-first_name": "Ada"})
    assert run.outcome.kind == "success", run.outcome.detail
    assert {event.fields["transport"] for event in run.trace.of("sip.sent")} == {promise.transport}
    sent = next(iter(run.trace.of("sip.sent"))).fields["message"]
    invite = parse_datagram(str(sent).encode())
    assert isinstance(invite, Request)
    headers = invite.headers
    assert (headers.get("X-Edge"), headers.get("X-first_name")) == ("preset", "Ada")
    assert headers.get("X-CID") == invite.call_id
    assert (headers.get("Session-Expires") or "") == promise.timer
    supported = headers.elements("Supported")
    assert ("timer" in supported, "100rel" in supported) == (bool(promise.timer), promise.reliable)
    offered = [codec.encoding for codec in SessionDescription.parse(invite.body).media[0].codecs]
    assert tuple(codec for codec in offered if codec.lower() != EVENTS) == promise.codecs


@pytest.mark.parametrize("srtp", ["required", "off"])
async def test_exotel_over_tls_has_srtp(engine: MediaEngine, authority: Ca, srtp: SrtpPolicy) -> None:
    """An end that takes SRTP over TLS, and one that takes none and refuses."""
    issued = authority.issue("127.0.0.1")
    tls = TlsSettings(certificate=issued.certificate, key=issued.key)
    async with Answerer(echo, engine=engine, port=0, transport="tls", tls=tls, srtp=srtp) as answerer:
        trusted = TlsSettings(ca_file=authority.file)
        async with Dialer(engine=engine, provider=find_provider("exotel"), tls=trusted) as dialer:
            run = await dialer.run(answerer.uri, NOD)
    started = run.trace.first("media.started")
    if srtp == "required":
        assert started is not None
        assert started.fields["srtp"] == "AES_CM_128_HMAC_SHA1_80"
    else:
        assert (run.outcome.status, started) == (488, None)
        assert "no G.711 was offered, or no SRTP over TLS" in run.outcome.detail


async def test_twilio_refuses_an_address_that_no_list_has_without_a_challenge(engine: MediaEngine) -> None:
    async with Answerer(echo, engine=engine, port=0, allow=AllowList.of(["192.0.2.0/24"])) as answerer:
        async with Dialer(
            engine=engine, provider=find_provider("twilio"), username="probe", password="s3cret"
        ) as dialer:
            run = await dialer.run(answerer.uri, NOD)
    assert (run.outcome.kind, run.outcome.status) == ("client_error", 403)
    assert "neither a credential list nor an IP access control list" in run.outcome.detail
