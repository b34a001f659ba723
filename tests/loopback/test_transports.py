"""Calls over TCP and TLS between our own two ends: certificates, connections that come and go, long requests."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import pytest

from tuner_sipbridge import CallUnreachable, Dialer, Scenario, TlsSettings
from tuner_sipbridge.agents.echo import echo
from tuner_sipbridge.answerer import Answerer
from tuner_sipbridge.dialer.run import CallRun


class Issued(Protocol):
    certificate: Path
    key: Path
    fingerprint: str


class Ca(Protocol):
    file: Path

    def issue(self, name: str, *, expired: bool = False) -> Issued: ...


BEEP = Scenario.model_validate({"name": "beep", "persona": {"voice": "tone"}, "steps": [{"say": "one"}]})


def transports_of(run: CallRun) -> set[str]:
    return {event.fields["transport"] for event in run.trace.of("sip.sent", "sip.received")}


def shows(issued: Issued, **more: Path) -> TlsSettings:
    return TlsSettings(certificate=issued.certificate, key=issued.key, ca_file=more.get("ca_file"))


async def test_a_challenged_call_over_tcp():
    async with (
        Answerer(echo, port=0, transport="tcp", username="probe", password="s3cret") as answerer,
        Dialer(username="probe", password="s3cret") as dialer,
    ):
        run = await dialer.run(answerer.uri, BEEP)
    assert run.outcome.kind == "success", run.outcome.detail
    assert transports_of(run) == {"tcp"}
    assert len({event.fields["peer"] for event in run.trace.of("sip.received")}) == 1
    contact = run.trace.of("sip.sent").__next__().fields["message"]
    assert "SIP/2.0/TCP" in contact
    assert ";transport=tcp>" in contact


async def test_calls_share_one_connection():
    async with Answerer(echo, port=0, transport="tcp") as answerer, Dialer(transport="tcp") as dialer:
        runs = await asyncio.gather(*(dialer.run(answerer.uri, BEEP) for _ in range(5)))
        runs.append(await dialer.run(answerer.uri.partition(";")[0], BEEP))
    assert {run.outcome.kind for run in runs} == {"success"}
    # The far end's view: all requests came from one port.
    seen = {
        line
        for run in runs
        for event in run.trace.of("sip.received")
        for line in vias(event.fields["message"])
    }
    assert len(seen) == 1


def vias(message: str) -> list[str]:
    """Where the far end says that the message came from."""
    via = next(line for line in message.split("\r\n") if line.startswith("Via:"))
    return [part for part in via.split(";") if part.startswith("rport=")]


async def test_a_call_over_tls_to_a_certificate_of_a_known_ca(authority: Ca):
    served = shows(authority.issue("127.0.0.1"))
    async with (
        Answerer(echo, port=0, transport="tls", tls=served) as answerer,
        Dialer(tls=TlsSettings(ca_file=authority.file)) as dialer,
    ):
        run = await dialer.run(answerer.uri, BEEP)
        sips = await dialer.run(answerer.uri.replace("sip:", "sips:").partition(";")[0], BEEP)
    assert [each.outcome.kind for each in (run, sips)] == ["success", "success"], run.outcome.detail
    assert transports_of(run) == transports_of(sips) == {"tls"}
    invite = next(sips.trace.of("sip.sent")).fields["message"]
    assert "Contact: <sips:" in invite


@dataclass(frozen=True)
class Distrust:
    """A certificate, whom the dialer trusts, and what it says."""

    name: str = "127.0.0.1"
    expired: bool = False
    knows_ca: bool = True
    says: str = ""


@pytest.mark.parametrize(
    "case",
    [
        Distrust(knows_ca=False, says="signed by no CA that is known here .*--tls-ca"),
        Distrust(expired=True, says="has expired"),
        Distrust(name="edge.example", says="another name than 127.0.0.1"),
    ],
    ids=lambda case: case.says.split()[0],
)
async def test_a_certificate_that_cannot_be_trusted_ends_the_call_at_once(authority: Ca, case: Distrust):
    served = shows(authority.issue(case.name, expired=case.expired))
    tls = TlsSettings(ca_file=authority.file) if case.knows_ca else None
    async with Answerer(echo, port=0, transport="tls", tls=served) as answerer:
        async with Dialer(tls=tls) as dialer:
            with pytest.raises(CallUnreachable, match=case.says):
                async with dialer.dial(answerer.uri):
                    pass
            run = await dialer.run(answerer.uri, BEEP)
        async with Dialer(tls=TlsSettings(insecure=True)) as dialer:
            careless = await dialer.run(answerer.uri, BEEP)
    assert run.outcome.kind == "upstream_error"
    assert run.trace.first("call.unreachable") is not None
    assert careless.outcome.kind == "success"


async def test_a_pinned_certificate_is_trusted_for_itself_and_no_other_is(authority: Ca):
    expired = authority.issue("edge.example", expired=True)
    async with Answerer(echo, port=0, transport="tls", tls=shows(expired)) as answerer:
        async with Dialer(tls=TlsSettings(pin=expired.fingerprint)) as dialer:
            right = await dialer.run(answerer.uri, BEEP)
        async with Dialer(tls=TlsSettings(pin="0" * 64)) as dialer:
            wrong = await dialer.run(answerer.uri, BEEP)
    assert right.outcome.kind == "success", right.outcome.detail
    assert wrong.outcome.kind == "upstream_error"
    assert expired.fingerprint.replace(":", "") in wrong.outcome.detail
    assert list(wrong.trace.of("sip.received")) == []


async def test_an_edge_may_ask_callers_for_a_certificate(authority: Ca):
    served = shows(authority.issue("127.0.0.1"), ca_file=authority.file)
    ours = shows(authority.issue("caller.example"), ca_file=authority.file)
    async with Answerer(echo, port=0, transport="tls", tls=served) as answerer:
        async with Dialer(tls=ours) as dialer:
            known = await dialer.run(answerer.uri, BEEP)
        async with Dialer(tls=TlsSettings(ca_file=authority.file)) as dialer:
            unknown = await dialer.run(answerer.uri, BEEP)
    assert known.outcome.kind == "success", known.outcome.detail
    assert unknown.outcome.kind == "upstream_error"
    assert "--tls-cert" in unknown.outcome.detail


async def test_what_does_not_speak_tls_is_told():
    async with Answerer(echo, port=0, transport="tcp") as answerer, Dialer() as dialer:
        run = await dialer.run(answerer.uri.replace("tcp", "tls"), BEEP)
    assert run.outcome.kind == "upstream_error"
    assert "check that this port speaks TLS" in run.outcome.detail


async def test_a_refused_connection_ends_the_call_at_once():
    async with Dialer() as dialer:
        run = await dialer.run("sip:agent@127.0.0.1:9;transport=tcp", BEEP)
    assert run.outcome.kind == "upstream_error"
    assert "connection refused" in run.outcome.detail
