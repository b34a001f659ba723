"""What the commands share: the options, opening the file, words for times and counts."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, TypeAlias

import typer

from tuner_core.config import absolute_path, default_outbox_path
from tuner_core.errors import OutboxError
from tuner_core.outbox import Outbox
from tuner_core.outbox.parcels import OutboxStatus

PathOption: TypeAlias = Annotated[
    Path | None, typer.Option("--path", envvar="TUNER_OUTBOX", help="The outbox file.", show_envvar=True)
]
JsonOption: TypeAlias = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def opened(path: Path | None, *, make: bool = False, as_json: bool = False) -> tuple[Path, Outbox]:
    """The outbox and its place; ends the command when there is none (0) or it cannot be opened (3).

    Args:
        path: as given; None for the user's own.
        make: make it when there is none.
        as_json: where there is none, show one that is empty.
    """
    file = absolute_path(path) if path else default_outbox_path()
    if not make and not os.path.exists(file):
        typer.echo(f"{file}: no outbox yet, nothing was ever handed over here", err=as_json)
        if as_json:
            return file, Outbox(None)
        raise typer.Exit(0)
    try:
        return file, Outbox(file)
    except OutboxError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(3) from None


def account_line(account: OutboxStatus) -> str:
    """The account in one line."""
    return (
        f"accepted {account.accepted} = delivered {account.delivered} + pending {account.pending}"
        f" + refused {account.refused} + dropped {account.dropped}"
    )


def without_call(detail: str, call_id: str) -> str:
    """A detail where the call is named beside it."""
    return detail.removeprefix(f"call {call_id}: ")


def moment(at: float) -> str:
    """A Unix time in words."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
