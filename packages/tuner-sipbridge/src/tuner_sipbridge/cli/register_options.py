"""Options of the commands that register before they call."""

from __future__ import annotations

from typing import Annotated

import typer

from tuner_sipbridge.cli.options import CREDENTIALS

Register = Annotated[
    bool,
    typer.Option(
        "--register",
        rich_help_panel=CREDENTIALS,
        help="Register the user name at the target's host before the calls, and withdraw it after them.",
    ),
]
RegistrarUri = Annotated[
    str | None,
    typer.Option(
        "--registrar",
        metavar="SIP-URI",
        rich_help_panel=CREDENTIALS,
        help="Register here; includes --register.",
    ),
]


def registering(register: bool, registrar: str | None) -> bool | str:
    """What the options say, as `Dialer` takes it."""
    return registrar or register
