"""`answer`: host a reference agent behind SIP on this machine, or answer by a plan."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
from collections.abc import Callable
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from tuner_sipbridge.agents.faults import Fault
from tuner_sipbridge.agents.reference import load_agent
from tuner_sipbridge.answered_line import Serve
from tuner_sipbridge.answerer import Answerer
from tuner_sipbridge.answering.transfers import Transfers
from tuner_sipbridge.audio.codecs import BUILT_IN
from tuner_sipbridge.call.allowed import AllowList
from tuner_sipbridge.caller.answering_plan import AnsweringPlan
from tuner_sipbridge.cli.answer_plan import Course, answer_plan, credentials_of, plan_for_agent, terms_of
from tuner_sipbridge.cli.exits import USAGE, errors_as_exit_codes
from tuner_sipbridge.cli.extension_options import (
    FollowTransfers,
    MinSe,
    Reliable,
    SessionInterval,
    SessionRefresher,
    extensions_of,
)
from tuner_sipbridge.cli.options import CREDENTIALS, AsJson, LinkWait, Out, Pcap, TunerUrl, check_writable
from tuner_sipbridge.cli.session import (
    CODEC_HELP_ANSWERING,
    CODEC_NAMES,
    MEDIA,
    Codec,
    Srtp,
    SrtpChoice,
    spoken,
)
from tuner_sipbridge.cli.transport_options import (
    AnswerTransport,
    PublicAddress,
    TlsCallersCa,
    TlsCert,
    TlsKey,
    TransportName,
)
from tuner_sipbridge.net.tls import TlsSettings
from tuner_sipbridge.report.terminal import turned_away


class AgentName(StrEnum):
    """The agents that come with the package."""

    pipecat = "pipecat"
    livekit = "livekit"
    echo = "echo"


class Pick(StrEnum):
    """What the answering side does with a call."""

    answer = "answer"
    busy = "busy"
    ring = "ring"


def answer(
    agent: Annotated[AgentName | None, typer.Option(help="Who answers.")] = None,
    plan: Annotated[
        Path | None,
        typer.Option(
            metavar="ANSWERING.yaml", help="Rules for which call is answered how, in place of an agent."
        ),
    ] = None,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[
        int | None,
        typer.Option(
            min=0, max=65535, help="SIP port; 0 takes a free one, none given is 5060, for TLS 5061."
        ),
    ] = None,
    transport: AnswerTransport = TransportName.udp,
    tls_cert: TlsCert = None,
    tls_key: TlsKey = None,
    tls_ca: TlsCallersCa = None,
    public_address: PublicAddress = None,
    username: Annotated[
        str | None,
        typer.Option(
            envvar="TUNER_SIP_USERNAME",
            rich_help_panel=CREDENTIALS,
            help="Ask callers for digest credentials with this user name.",
        ),
    ] = None,
    password: Annotated[
        str | None,
        typer.Option(
            envvar="TUNER_SIP_PASSWORD",
            rich_help_panel=CREDENTIALS,
            help="Password; better given by the environment.",
        ),
    ] = None,
    pick: Annotated[
        Pick, typer.Option(help="answer; busy: refuse with 486; ring: never pick up.")
    ] = Pick.answer,
    srtp: Srtp = SrtpChoice.off,
    codec: Annotated[
        list[Codec] | None,
        typer.Option(metavar=CODEC_NAMES, rich_help_panel=MEDIA, help=CODEC_HELP_ANSWERING),
    ] = None,
    allow: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NETWORK",
            help="Address or network whose calls are taken; may be repeated. Others get 403.",
        ),
    ] = None,
    session_interval: SessionInterval = None,
    refresher: SessionRefresher = None,
    min_se: MinSe = None,
    reliable: Reliable = None,
    follow_transfers: FollowTransfers = False,
    calls: Annotated[int | None, typer.Option(min=1, help="End after so many calls.")] = None,
    for_s: Annotated[
        float | None, typer.Option("--for", metavar="SECONDS", min=0.1, help="End after so many seconds.")
    ] = None,
    out: Out = None,
    pcap: Pcap = None,
    as_json: AsJson = False,
    tuner: TunerUrl = None,
    link_wait: LinkWait = 15.0,
    fault: Annotated[
        Fault | None, typer.Option(hidden=True, help="Break the agent's post, to see what Tuner makes of it.")
    ] = None,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Log at INFO.")] = False,
) -> None:
    """Answer SIP calls with a reference agent, or by a plan as the humans whom an agent calls, until interrupted.

    The agents `pipecat` and `livekit` post each call to Tuner.

    Where: TUNER_API_KEY, TUNER_WORKSPACE_ID, TUNER_AGENT_ID, TUNER_BASE_URL.

    With --plan, --calls, --out, --pcap or --json there is a result.

    Exit code 0: all calls passed. 1: one did not, or did not come. 2: bad usage or file. 3: could not run.
    """
    logging.basicConfig(level=logging.INFO if verbose else logging.WARNING)
    if (username is None) != (password is None):
        _refuse("--username and --password go together")
    if (agent is None) == (plan is None):
        _refuse("give either --agent or --plan")
    if follow_transfers and plan is None:
        _refuse("--follow-transfers goes with --plan: an agent that is hosted here places no calls")
    with errors_as_exit_codes():
        check_writable(out, pcap)
        rules = AnsweringPlan.load(plan) if plan is not None else None
        login = (username, password) if username is not None else None
        if rules is not None:
            login = login or credentials_of(rules)
            allow = allow or rules.settings.allow
        terms = extensions_of(
            terms_of(rules),
            interval_s=session_interval,
            refresher=refresher,
            least_s=min_se,
            reliable=reliable,
        )
        tls = TlsSettings(ca_file=tls_ca, certificate=tls_cert, key=tls_key)
        answerer = partial(
            Answerer,
            host=host,
            port=(5061 if transport is TransportName.tls else 5060) if port is None else port,
            transport=transport.value,
            tls=tls,
            public_address=public_address,
            username=login[0] if login is not None else None,
            password=login[1] if login is not None else None,
            pick=pick.value,
            srtp=srtp.value,
            codecs=spoken(codec) or BUILT_IN,
            allow=AllowList.of(allow) if allow is not None else None,
            extensions=terms,
        )
        if rules is None and agent is not None and (calls or out or pcap or as_json):
            rules = plan_for_agent(agent.value, pick.value)
        if rules is not None:
            follows = follow_transfers or rules.settings.transfers == "follow"
            transfers = (
                Transfers(tls=tls, public_address=public_address, extensions=terms) if follows else None
            )
            course = Course(calls, for_s, out, tuner, link_wait, as_json, pcap, fault, transfers)
            answer_plan(rules, answerer, course, _interrupted)
        elif agent is not None:
            asyncio.run(_answer(agent, fault, answerer, for_s))


def _refuse(problem: str) -> NoReturn:
    typer.echo(f"error: {problem}", err=True)
    raise typer.Exit(USAGE)


async def _answer(
    name: AgentName, fault: Fault | None, answerer_of: Callable[[Serve], Answerer], for_s: float | None
) -> None:
    agent = await load_agent(name.value, fault=fault)
    async with answerer_of(agent) as answerer:
        typer.echo(f"Answering as {name.value} at {answerer.uri}")
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(for_s):
                await _interrupted()
        if answerer.refused:
            typer.echo(turned_away(answerer.refused))


async def _interrupted() -> None:
    """Wait for SIGINT or SIGTERM."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        with contextlib.suppress(NotImplementedError):  # Windows: KeyboardInterrupt ends the run instead
            loop.add_signal_handler(number, stop.set)
    await stop.wait()
