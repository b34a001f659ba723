"""A dialer that registers first, against our own registrar: REGISTER, calls, refreshes, removal."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path

import pytest
import pytest_asyncio
from typer.testing import CliRunner

from tuner_sipbridge import Dialer, LocalProtocolError, NotRegistered, Scenario
from tuner_sipbridge.agents.echo import echo
from tuner_sipbridge.answerer import Answerer
from tuner_sipbridge.call.registrar import Registered, Removed, Terms
from tuner_sipbridge.cli import app
from tuner_sipbridge.dialer.run import CallRun
from tuner_sipbridge.net.media_engine import PyMediaEngine
from tuner_sipbridge.sip.timers import Timers

pytestmark = pytest.mark.asyncio(loop_scope="module")

USERNAME, PASSWORD = "probe", "s3cret"
BEEP = Scenario.model_validate({"name": "beep", "persona": {"voice": "tone"}, "steps": [{"say": "one"}]})
AGREED = Terms()
QUICK = Timers(t1=0.01, t2=0.08, t4=0.1)


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def engine():
    async with PyMediaEngine() as started:
        yield started


class Edge:
    """An answering side with a registrar; keeps what changed at it."""

    def __init__(self, engine: PyMediaEngine, terms: Terms | None = AGREED, **options: str) -> None:
        self.changes: list[Registered | Removed] = []
        self.answerer = Answerer(
            echo,
            port=0,
            engine=engine,
            registrations=terms,
            on_registration=self.changes.append,
            username=options.get("username"),
            password=options.get("password"),
        )

    @property
    def uri(self) -> str:
        return self.answerer.uri

    @property
    def registrar(self) -> str:
        return self.uri.replace("agent@", "")

    def seen(self) -> list[str]:
        return [
            "removed" if isinstance(change, Removed) else "refreshed" if change.refreshed else "registered"
            for change in self.changes
        ]


def sent(run: CallRun, method: str) -> list[str]:
    return [
        event.fields["message"]
        for event in run.trace.of("sip.sent")
        if event.fields["summary"].startswith(method)
    ]


@pytest.mark.parametrize("login", [{}, {"username": USERNAME, "password": PASSWORD}])
async def test_calls_wait_for_one_registration_that_is_withdrawn_at_the_end(engine, login):
    edge = Edge(engine, **login)
    async with edge.answerer:
        async with Dialer(register=True, engine=engine, **login) as dialer:
            runs = await asyncio.gather(*(dialer.run(edge.uri, BEEP) for _ in range(2)))
            (binding,) = edge.answerer.contacts
            assert edge.seen() == ["registered"]
        assert edge.seen() == ["registered", "removed"]
        assert edge.answerer.contacts == []
    user = login.get("username", "tuner")
    assert binding.address == f"sip:{user}@127.0.0.1"
    for run in runs:
        assert run.outcome.kind == "success", run.outcome.detail
        assert f"From: <sip:{user}@127.0.0.1>;" in sent(run, "INVITE ")[0]
        row = run.trace.first("call.registered")
        assert row is not None
        assert row.fields == {"registrar": "127.0.0.1", "expires_s": 3600}
        assert run.trace.events[0] is row


async def test_a_wrong_password_ends_the_calls_before_the_invite(engine):
    edge = Edge(engine, username=USERNAME, password=PASSWORD)
    async with (
        edge.answerer,
        Dialer(username=USERNAME, password="guess", register=True, engine=engine) as dialer,
    ):
        run = await dialer.run(edge.uri, BEEP)
        with pytest.raises(NotRegistered, match="does not accept this user name and password") as refused:
            async with dialer.dial(edge.uri):
                pass
        assert edge.answerer.contacts == []
    assert (refused.value.status, refused.value.credentials) == (401, True)
    assert run.outcome.kind == "client_error"
    assert run.outcome.detail.startswith("not registered at 127.0.0.1: 401 again")
    assert len(sent(run, "REGISTER ")) == 2
    assert not sent(run, "INVITE ")
    assert "guess" not in "".join(sent(run, "REGISTER "))
    row = run.trace.last("call.registration_failed")
    assert row is not None
    assert (row.fields["registrar"], row.fields["status"]) == ("127.0.0.1", 401)


async def test_a_registrar_that_takes_none_or_is_silent_is_the_way_to_the_agent(engine):
    edge = Edge(engine, terms=None)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind(("127.0.0.1", 0))
        nobody = f"sip:127.0.0.1:{silent.getsockname()[1]}"
        async with (
            edge.answerer,
            Dialer(register=True, engine=engine) as refused,
            Dialer(register=nobody, engine=engine, timers=QUICK) as unheard,
        ):
            runs = await asyncio.gather(refused.run(edge.uri, BEEP), unheard.run(edge.uri, BEEP))
    assert [run.outcome.kind for run in runs] == ["upstream_error", "upstream_error"]
    assert "405" in runs[0].outcome.detail
    assert runs[1].outcome.detail == "not registered at 127.0.0.1: the registrar did not answer"


async def test_a_time_that_is_too_short_is_lengthened_and_the_registration_kept_fresh(engine):
    edge = Edge(engine, Terms(min_expires_s=2, max_expires_s=1))
    async with edge.answerer:
        async with Dialer(register=edge.registrar, register_for=1, engine=engine) as dialer:
            run = await dialer.run(edge.uri, BEEP)
            async with asyncio.timeout(5):
                while len(edge.changes) < 2:  # noqa: ASYNC110 - half of the second that was granted
                    await asyncio.sleep(0.02)
            assert edge.answerer.contacts
        assert edge.seen()[:2] == ["registered", "refreshed"]
        assert edge.seen()[-1] == "removed"
    row = run.trace.first("call.registered")
    assert row is not None
    assert row.fields["expires_s"] == 1


async def test_a_call_to_the_registered_contact_is_declined_in_words(engine):
    edge = Edge(engine)
    async with edge.answerer, Dialer(register=True, engine=engine) as dialer, Dialer(engine=engine) as other:
        await dialer.run(edge.uri, BEEP)
        (binding,) = edge.answerer.contacts
        run = await other.run(str(binding.contact), BEEP)
    assert run.outcome.kind == "agent_error"
    assert run.outcome.status == 480
    assert "this simulated caller takes no calls" in run.outcome.detail


@pytest.mark.parametrize(
    ("registrar", "says"), [("sip:probe@edge.example", "names no user"), ("edge.example", "no scheme")]
)
async def test_a_registrar_that_is_none_is_said_at_once(registrar, says):
    with pytest.raises(LocalProtocolError, match=says):
        Dialer(register=registrar)


async def test_the_command_registers_calls_and_withdraws(engine, tmp_path: Path):
    scenario = tmp_path / "beep.yaml"
    scenario.write_text("name: beep\npersona: {voice: tone}\nsteps: [{say: one}]\n")
    edge = Edge(engine, username=USERNAME, password=PASSWORD)
    async with edge.answerer:
        arguments = [
            "dial",
            edge.uri,
            f"--scenario={scenario}",
            "--username=probe",
            f"--registrar={edge.registrar}",
        ]
        good, bad = [
            await asyncio.to_thread(CliRunner().invoke, app, arguments, env={"TUNER_SIP_PASSWORD": password})
            for password in (PASSWORD, "guess")
        ]
        assert edge.seen() == ["registered", "removed"]
    assert good.exit_code == 0, good.output
    assert bad.exit_code == 1
    assert "not registered" in bad.output
    assert "REGISTER" in bad.output
