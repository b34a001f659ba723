"""Whole calls over TCP and TLS between our dialer and our answering side."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Protocol

import pytest

from tuner_sipbridge import CallUnreachable, Dialer, Scenario, TlsSettings
from tuner_sipbridge.agents.echo import echo
from tuner_sipbridge.agents.line import Line
from tuner_sipbridge.answerer import Answerer
from tuner_sipbridge.dialer.run import CallRun
from tuner_sipbridge.net.media_engine import PyMediaEngine


class Issued(Protocol):
    certificate: Path
    key: Path
    fingerprint: str


class Ca(Protocol):
    file: Path

    def issue(self, name: str, *, expired: bool = False) -> Issued: ...


BEEP = Scenario.model_validate({"name": "beep", "persona": {"voice": "tone"}, "steps": [{"say": "one"}]})


def transports_of(run: CallRun) -> list[str]:
    """What carried the messages of a call."""
    return sorted({event.fields["transport"] for event in run.trace.of("sip.sent", "sip.received")})


def sent(run: CallRun, method: str) -> list[str]:
    return [
        event.fields["message"]
        for event in run.trace.of("sip.sent")
        if event.fields["summary"].startswith(method)
    ]


def our_ports(run: CallRun) -> set[str]:
    """From which ports of ours the far end saw our requests come."""
    vias = (
        event.fields["message"].partition("Via:")[2].split("\r\n")[0]
        for event in run.trace.of("sip.received")
    )
    return {part for via in vias for part in via.split(";") if part.startswith("rport=")}


async def test_challenged_calls_over_tcp_share_one_connection():
    async with (
        Answerer(echo, port=0, transport="tcp", username="probe", password="s3cret") as answerer,
        Dialer(username="probe", password="s3cret", transport="tcp") as dialer,
    ):
        runs = await asyncio.gather(*(dialer.run(answerer.uri, BEEP) for _ in range(4)))
        runs.append(await dialer.run(answerer.uri.partition(";")[0], BEEP))
    assert [run.outcome.detail for run in runs if not run.outcome.passed] == []
    assert {tuple(transports_of(run)) for run in runs} == {("tcp",)}
    assert len({port for run in runs for port in our_ports(run)}) == 1
    assert {run.measures.signalling.retransmissions for run in runs} == {0}


async def test_a_sips_call_goes_over_tls_and_an_untrusted_edge_is_told(authority: Ca):
    issued = authority.issue("127.0.0.1")
    served = TlsSettings(certificate=issued.certificate, key=issued.key)

    async def agent(line: Line) -> None:
        if line.called != "brief":
            await echo(line)

    async with PyMediaEngine() as engine, Answerer(agent, port=0, transport="tls", tls=served) as answerer:
        sips = answerer.uri.replace("sip:", "sips:").partition(";")[0]
        async with Dialer(engine=engine, tls=TlsSettings(ca_file=authority.file)) as dialer:
            trusted = await dialer.run(sips, BEEP)
            brief = await dialer.run(sips.replace("agent@", "brief@"), BEEP)
        async with Dialer(engine=engine) as dialer:
            untrusted = await dialer.run(answerer.uri, BEEP)
            with pytest.raises(CallUnreachable, match="no CA that is known here"):
                async with dialer.dial(sips):
                    pass
    assert trusted.outcome.passed, trusted.outcome.detail
    assert transports_of(trusted) == ["tls"]
    # Nobody can connect to a caller over TLS: the BYE came on the connection that the caller had opened.
    assert "hung up before" in brief.outcome.detail
    assert "\r\nContact: <sips:" in sent(trusted, "INVITE ")[0]
    assert untrusted.outcome.kind == "upstream_error"
    told = untrusted.trace.first("call.unreachable")
    assert told is not None
    assert "--tls-ca" in told.fields["why"]


async def test_a_call_outlives_its_connection_and_either_side_can_hang_up():
    """A proxy of bytes stands between; it cuts every connection once, in mid-call."""
    hung_up = asyncio.Event()

    async def agent(line: Line) -> None:
        either = {asyncio.ensure_future(line.ended()), asyncio.ensure_future(hung_up.wait())}
        await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)

    async with PyMediaEngine() as engine, Answerer(agent, port=0, transport="tcp", engine=engine) as answerer:
        async with Dialer(engine=engine) as dialer:
            for who in ("caller", "agent"):
                async with Cutter(answerer.local) as between:
                    target = f"sip:agent@127.0.0.1:{between.port};transport=tcp"
                    async with dialer.dial(target) as call:
                        await between.cut()
                        if who == "agent":
                            hung_up.set()
                        else:
                            call.hang_up()
                        async with asyncio.timeout(5):
                            await call.ended()


class Cutter:
    """Passes bytes between a caller and an address, until it is told to cut."""

    def __init__(self, address: tuple[str, int]) -> None:
        self._address, self._ends = address, list[asyncio.StreamWriter]()
        self._tasks = set[asyncio.Task[None]]()

    async def __aenter__(self) -> Cutter:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *error: object) -> None:
        self._server.close()
        await self.cut()

    async def cut(self) -> None:
        for writer in self._ends:
            writer.close()
        self._ends.clear()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_connection(*self._address)
        self._ends += [writer, far_writer]
        for one, other in ((reader, far_writer), (far_reader, writer)):
            self._tasks.add(asyncio.ensure_future(self._pass(one, other)))

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65536):
            writer.write(data)


async def test_an_invite_too_long_for_udp_goes_over_tcp():
    long = {"X-Context": "x" * 1300}
    async with PyMediaEngine() as engine, Dialer(engine=engine) as dialer:
        async with Answerer(echo, host="0.0.0.0", port=0, engine=engine) as both:
            uri = f"sip:agent@127.0.0.1:{both.local[1]}"
            over_tcp = await dialer.run(uri, BEEP, headers=long)
            short = await dialer.run(uri, BEEP)
    assert [run.outcome.detail for run in (over_tcp, short) if not run.outcome.passed] == []
    assert "SIP/2.0/TCP" in sent(over_tcp, "INVITE ")[0]
    assert transports_of(short) == ["udp"]
    # An answerer on all interfaces shows each caller the address that it reached.
    for run in (over_tcp, short):
        answer = next(event for event in run.trace.of("sip.received") if "200" in event.fields["summary"])
        assert f"Contact: <{uri}" in answer.fields["message"]
        assert "c=IN IP4 127.0.0.1" in answer.fields["message"]


async def test_the_public_address_stands_in_via_contact_and_sdp():
    async with PyMediaEngine() as engine, Answerer(echo, port=0, engine=engine) as answerer:
        async with Dialer(engine=engine, public_address="127.0.0.2:6000") as dialer:
            run = await dialer.run(answerer.uri, BEEP, ring_timeout=5)
    invite = sent(run, "INVITE ")[0]
    assert "Via: SIP/2.0/UDP 127.0.0.2:6000;" in invite
    assert "Contact: <sip:tuner@127.0.0.2:6000>" in invite
    assert "c=IN IP4 127.0.0.2" in invite
    assert "127.0.0.1" not in invite.partition("\r\n\r\n")[2]
