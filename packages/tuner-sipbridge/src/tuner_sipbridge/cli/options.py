"""Options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tuner_sipbridge.cli.exits import USAGE

Pcap = Annotated[
    Path | None,
    typer.Option(
        "--pcap", metavar="FILE", help="Write the SIP messages as a capture file for Wireshark or sngrep."
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
    str | None, typer.Option(envvar="TUNER_SIP_USERNAME", help="User name for digest authentication.")
]
Password = Annotated[
    str | None, typer.Option(envvar="TUNER_SIP_PASSWORD", help="Password; better given by the environment.")
]
FurtherHeaders = Annotated[
    list[str] | None,
    typer.Option("--header", metavar="NAME=VALUE", help="A further header of the INVITE; may be repeated."),
]
Out = Annotated[
    Path | None, typer.Option(help="Directory for traces, recordings, result.json and report.html.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print the result as JSON, nothing else.")]
TunerUrl = Annotated[
    str | None,
    typer.Option(
        envvar="TUNER_LOCAL_URL", help="A local Tuner to register the calls with and to ask for links."
    ),
]
LinkWait = Annotated[
    float, typer.Option(min=0.0, help="Seconds to wait for the agent's posts after the last call.")
]


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
