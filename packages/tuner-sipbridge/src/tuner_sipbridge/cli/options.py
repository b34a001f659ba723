"""Options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

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
