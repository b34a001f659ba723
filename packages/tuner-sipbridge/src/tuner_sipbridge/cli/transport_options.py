"""Options of the commands that speak SIP: transport, certificates, address behind NAT."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from tuner_sipbridge.net.tls import TlsSettings


class TransportName(StrEnum):
    """What carries SIP."""

    udp = "udp"
    tcp = "tcp"
    tls = "tls"


DialTransport = Annotated[
    TransportName, typer.Option("--transport", help="What carries SIP to URIs that name no transport.")
]
AnswerTransport = Annotated[
    TransportName,
    typer.Option("--transport", help="What to listen for: udp is UDP and TCP; tls needs --tls-cert."),
]
_PANEL = "TLS and NAT"


def _file(name: str, says: str) -> Any:
    return typer.Option(name, metavar="FILE", exists=True, dir_okay=False, rich_help_panel=_PANEL, help=says)


TlsCa = Annotated[Path | None, _file("--tls-ca", "CAs to trust (PEM), in place of the system's.")]
TlsCallersCa = Annotated[
    Path | None, _file("--tls-ca", "Ask callers for a certificate that one of these CAs (PEM) has signed.")
]
TlsCert = Annotated[Path | None, _file("--tls-cert", "Our certificate and its chain (PEM).")]
TlsKey = Annotated[
    Path | None, _file("--tls-key", "The certificate's private key (PEM), when it is in a file of its own.")
]
TlsPin = Annotated[
    str | None,
    typer.Option(
        "--tls-pin",
        metavar="SHA256",
        help="Trust exactly the certificate with this fingerprint.",
        rich_help_panel=_PANEL,
    ),
]
Insecure = Annotated[
    bool,
    typer.Option(
        "--insecure",
        help="Do not check the far end's certificate: for tests on a network that you own.",
        rich_help_panel=_PANEL,
    ),
]
PublicAddress = Annotated[
    str | None,
    typer.Option(
        metavar="HOST[:PORT]|stun:SERVER",
        help="What a NAT shows for this machine, or whom to ask: stands in Via, Contact and SDP.",
        rich_help_panel=_PANEL,
    ),
]


def tls_settings(
    ca: Path | None, certificate: Path | None, key: Path | None, pin: str | None, *, insecure: bool
) -> TlsSettings:
    """The settings that the options say; what is not safe in them is said on standard error.

    Raises:
        LocalProtocolError: the options contradict each other.
    """
    settings = TlsSettings(ca_file=ca, certificate=certificate, key=key, pin=pin, insecure=insecure)
    if insecure:
        typer.secho(
            "WARNING: --insecure: certificates are NOT checked. Anyone on the way can read and change these calls "
            "and the credentials in them.",
            fg=typer.colors.RED,
            bold=True,
            err=True,
        )
    return settings
