"""`answer`: host a reference agent behind SIP on this machine."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
from collections.abc import Callable
from enum import StrEnum
from functools import partial
from typing import Annotated

import typer

from tuner_sipbridge.agents.faults import Fault
from tuner_sipbridge.agents.reference import load_agent
from tuner_sipbridge.answerer import Answerer, Serve
from tuner_sipbridge.cli.exits import errors_as_exit_codes
from tuner_sipbridge.cli.session import CODEC_HELP, SRTP_HELP, Codec, SrtpChoice, spoken
from tuner_sipbridge.cli.transport_options import (
    AnswerTransport,
    PublicAddress,
    TlsCallersCa,
    TlsCert,
    TlsKey,
    TransportName,
)
from tuner_sipbridge.net.tls import TlsSettings


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
    agent: Annotated[AgentName, typer.Option(help="Who answers.")],
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
            envvar="TUNER_SIP_USERNAME", help="Ask callers for digest credentials with this user name."
        ),
    ] = None,
    password: Annotated[
        str | None,
        typer.Option(envvar="TUNER_SIP_PASSWORD", help="Password; better given by the environment."),
    ] = None,
    pick: Annotated[
        Pick, typer.Option(help="answer; busy: refuse with 486; ring: never pick up.")
    ] = Pick.answer,
    srtp: Annotated[SrtpChoice, typer.Option(help=SRTP_HELP)] = SrtpChoice.off,
    codec: Annotated[list[Codec] | None, typer.Option(help=CODEC_HELP)] = None,
    fault: Annotated[
        Fault | None, typer.Option(hidden=True, help="Break the agent's post, to see what Tuner makes of it.")
    ] = None,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Log at INFO.")] = False,
) -> None:
    """Answer SIP calls with a reference agent until interrupted.

    The agents `pipecat` and `livekit` post each call to Tuner as TUNER_API_KEY, TUNER_WORKSPACE_ID, TUNER_AGENT_ID
    and TUNER_BASE_URL say.
    """
    logging.basicConfig(level=logging.INFO if verbose else logging.WARNING)
    if (username is None) != (password is None):
        typer.echo("error: --username and --password go together", err=True)
        raise typer.Exit(2)
    with errors_as_exit_codes():
        answerer = partial(
            Answerer,
            host=host,
            port=(5061 if transport is TransportName.tls else 5060) if port is None else port,
            transport=transport.value,
            tls=TlsSettings(ca_file=tls_ca, certificate=tls_cert, key=tls_key),
            public_address=public_address,
            username=username,
            password=password,
            pick=pick.value,
            srtp=srtp.value,
            codecs=spoken(codec),
        )
        asyncio.run(_answer(agent, fault, answerer))


async def _answer(name: AgentName, fault: Fault | None, answerer_of: Callable[[Serve], Answerer]) -> None:
    agent = await load_agent(name.value, fault=fault)
    async with answerer_of(agent) as answerer:
        typer.echo(f"Answering as {name.value} at {answerer.uri}")
        await _interrupted()


async def _interrupted() -> None:
    """Wait for SIGINT or SIGTERM."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        with contextlib.suppress(NotImplementedError):  # Windows: KeyboardInterrupt ends the run instead
            loop.add_signal_handler(number, stop.set)
    await stop.wait()
