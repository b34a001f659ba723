"""Options that several commands share."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryFile
from typing import Annotated

import typer

from tuner_sipbridge.cli.exits import USAGE
from tuner_sipbridge.errors import FileError
from tuner_sipbridge.report.pcap import PcapFile

CREDENTIALS = "Credentials and registration"
RESULTS = "Results"

Pcap = Annotated[
    Path | None,
    typer.Option(
        "--pcap",
        metavar="FILE",
        rich_help_panel=RESULTS,
        help="Write the SIP messages as a capture file for Wireshark or sngrep.",
    ),
]
ProviderName = Annotated[
    str | None,
    typer.Option(
        "--provider",
        metavar="NAME",
        help="Whose edge it is (see `providers`): its transport, port and headers where the URI names none.",
    ),
]
Username = Annotated[
    str | None,
    typer.Option(
        envvar="TUNER_SIP_USERNAME", rich_help_panel=CREDENTIALS, help="User name for digest authentication."
    ),
]
Password = Annotated[
    str | None,
    typer.Option(
        envvar="TUNER_SIP_PASSWORD",
        rich_help_panel=CREDENTIALS,
        help="Password; better given by the environment.",
    ),
]
FurtherHeaders = Annotated[
    list[str] | None,
    typer.Option("--header", metavar="NAME=VALUE", help="A further header of the INVITE; may be repeated."),
]
Out = Annotated[
    Path | None,
    typer.Option(
        metavar="DIRECTORY",
        rich_help_panel=RESULTS,
        help="Directory for traces, recordings, result.json and report.html.",
    ),
]
AsJson = Annotated[
    bool, typer.Option("--json", rich_help_panel=RESULTS, help="Print the result as JSON, nothing else.")
]
TunerUrl = Annotated[
    str | None,
    typer.Option(
        metavar="URL",
        envvar="TUNER_LOCAL_URL",
        rich_help_panel=RESULTS,
        help="A local Tuner to register the calls with and to ask for links.",
    ),
]
LinkWait = Annotated[
    float,
    typer.Option(
        min=0.0,
        metavar="SECONDS",
        rich_help_panel=RESULTS,
        help="How long to wait for the agent's posts after the last call, with --tuner.",
    ),
]
FromUser = Annotated[
    str,
    typer.Option(
        "--from",
        metavar="NUMBER",
        help="Who calls: the user of From. By default who is registered, else tuner; with --via livekit the trunk's"
        " number.",
    ),
]


def check_writable(out: Path | None, pcap: Path | None) -> None:
    """Make the directory, and begin the capture file, before anybody is called.

    Raises:
        FileError: one of them cannot be written.
    """
    if out is not None:
        try:
            out.mkdir(parents=True, exist_ok=True)
            with TemporaryFile(dir=out):
                pass
        except OSError as error:
            problem = f"cannot be written: {error.strerror or error}"
            raise FileError(problem, file=str(out), field="--out") from error
    if pcap is not None:
        PcapFile(pcap)


def pairs_of(option: str, given: list[str] | None) -> dict[str, str]:
    """What an option names as NAME=VALUE; something else ends the command with `USAGE`."""
    pairs: dict[str, str] = {}
    for item in given or []:
        name, equals, value = item.partition("=")
        if not equals or not name.strip():
            typer.echo(f"error: {option} {item!r} is not NAME=VALUE", err=True)
            raise typer.Exit(USAGE)
        pairs[name.strip()] = value.strip()
    return pairs
