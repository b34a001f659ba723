"""`verify`: calls a SIP URI once and says of each step whether it works, and if not, what to change."""

from __future__ import annotations

import asyncio
import json
import textwrap
from typing import Annotated

import typer
from rich.console import Console
from rich.status import Status
from rich.text import Text

from tuner_sipbridge.cli.exits import FAILED, USAGE, errors_as_exit_codes
from tuner_sipbridge.cli.location_options import NameServer
from tuner_sipbridge.cli.options import Pcap, ProviderName
from tuner_sipbridge.cli.trace import write_pcap
from tuner_sipbridge.cli.transport_options import (
    DialTransport,
    Insecure,
    PublicAddress,
    TlsCa,
    TlsCert,
    TlsKey,
    TlsPin,
    TransportName,
    tls_settings,
)
from tuner_sipbridge.providers import find_provider
from tuner_sipbridge.verify.facts import STEPS, Step, StepName, Verdict
from tuner_sipbridge.verify.run import Access, Verification
from tuner_sipbridge.verify.run import verify as walk

_TITLES: dict[StepName, str] = {
    "uri": "URI",
    "dns": "DNS",
    "connection": "connection",
    "options": "OPTIONS",
    "invite": "INVITE",
    "challenge": "challenge",
    "credentials": "credentials",
    "answer": "answer",
    "sdp": "SDP",
    "media_in": "audio in",
    "media_out": "audio out",
    "dtmf": "DTMF",
    "bye": "BYE",
}
_MARKS: dict[Verdict, tuple[str, str]] = {
    "ok": ("✓", "bold green"),
    "warning": ("!", "bold yellow"),
    "failed": ("✗", "bold red"),
    "not reached": ("–", "dim"),
}
_WIDEST = 100
_INDENT = 14


def verify(
    uri: Annotated[
        str, typer.Argument(metavar="SIP-URI", help="Whom to call, for example sip:agent@edge.example.")
    ],
    provider: ProviderName = None,
    username: Annotated[
        str | None, typer.Option(envvar="TUNER_SIP_USERNAME", help="User name for digest authentication.")
    ] = None,
    password: Annotated[
        str | None,
        typer.Option(envvar="TUNER_SIP_PASSWORD", help="Password; better given by the environment."),
    ] = None,
    ring_timeout: Annotated[
        float, typer.Option(min=1.0, help="CANCEL after so many seconds without answer.")
    ] = 30.0,
    transport: DialTransport = TransportName.udp,
    tls_ca: TlsCa = None,
    tls_cert: TlsCert = None,
    tls_key: TlsKey = None,
    tls_pin: TlsPin = None,
    insecure: Insecure = False,
    public_address: PublicAddress = None,
    dns: NameServer = None,
    pcap: Pcap = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the verdicts as JSON, nothing else.")
    ] = False,
) -> None:
    """Call a SIP URI once and judge each step: what works, what fails, why, and what to change where.

    Exit code 0: no step failed. 1: one did. 2: bad usage, or no SIP URI. 3: could not run.
    """
    with errors_as_exit_codes():
        access = Access(
            provider=None if provider is None else find_provider(provider),
            username=username,
            password=password,
            transport=transport.value,
            tls=tls_settings(tls_ca, tls_cert, tls_key, tls_pin, insecure=insecure),
            public_address=public_address,
            ring_timeout_s=ring_timeout,
            name_server=dns,
        )
        result = asyncio.run(walk(uri, access)) if as_json else _shown(uri, access)
        if pcap is not None:
            write_pcap(pcap, [result.facts.inquiry, result.facts.call])
    if as_json:
        typer.echo(json.dumps(result.to_json(), indent=2, ensure_ascii=False))
    if not result.passed:
        raise typer.Exit(USAGE if result.facts.uri is None else FAILED)


def _shown(uri: str, access: Access) -> Verification:
    """Walk, and print each verdict when it is known."""
    console = Console()
    console.width = min(console.width, _WIDEST)
    console.print(Text(uri, "bold"), soft_wrap=True)
    with console.status(_waiting_for(0)) as status:
        result = asyncio.run(walk(uri, access, on_step=_Printer(console, status)))
    unreached = [_TITLES[step.name] for step in result.steps if step.verdict == "not reached"]
    if unreached:
        console.print(_line("not reached", "not reached", ", ".join(unreached), "", width=console.width))
    console.print(_sentence(result))
    return result


class _Printer:
    """Prints verdicts as they come, and names the step that is waited for."""

    def __init__(self, console: Console, status: Status) -> None:
        self._console, self._status = console, status

    def __call__(self, step: Step) -> None:
        """Print one."""
        if step.verdict != "not reached":
            width = self._console.width
            line = _line(step.verdict, _TITLES[step.name], step.detail, step.change, width=width)
            self._console.print(line, highlight=False, soft_wrap=True)
        self._status.update(_waiting_for(STEPS.index(step.name) + 1))


def _line(verdict: Verdict, title: str, detail: str, change: str, *, width: int) -> Text:
    """One verdict, with what follows the title indented below its first line."""
    room = width - _INDENT
    lines = textwrap.wrap(detail, room) or [""]
    changes = textwrap.wrap(f"→ {change}", room, subsequent_indent="  ") if change else []
    mark, style = _MARKS[verdict]
    faint = "dim" if verdict == "not reached" else ""
    text = Text.assemble((mark, style), " ", (title.ljust(_INDENT - 2), faint))
    below = "\n" + " " * _INDENT
    return text.append(below.join(lines), faint).append("".join(below + line for line in changes), "cyan")


def _waiting_for(step: int) -> str:
    return f"{_TITLES[STEPS[step]]} …" if step < len(STEPS) else "…"


def _sentence(result: Verification) -> Text:
    failed = [_TITLES[step.name] for step in result.steps if step.verdict == "failed"]
    warned = [_TITLES[step.name] for step in result.steps if step.verdict == "warning"]
    also = f"; look at: {', '.join(warned)}" if warned else ""
    if failed:
        return Text.assemble((f"failed: {', '.join(failed)}", "bold red"), also)
    return Text.assemble(("this URI can be called", "bold green"), also)
