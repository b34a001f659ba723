"""`tuner outbox`: what is still to be sent, and sending it."""

from __future__ import annotations

import json
import os
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Column, Table

from tuner_core.config import TunerConfig, default_outbox_path
from tuner_core.delivery import Delivery
from tuner_core.errors import ConfigError, OutboxError
from tuner_core.outbox import Outbox
from tuner_core.outbox.parcels import OutboxStatus, RowState

app = typer.Typer(no_args_is_help=True, help="What is still to be sent, and sending it.")

_PathOption = Annotated[
    Path | None, typer.Option("--path", envvar="TUNER_OUTBOX", help="The outbox file.", show_envvar=True)
]
_COLUMNS = ("call", "state", "stored", "tries", "bytes", "agent", "detail")
_Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.command()
def status(path: _PathOption = None, as_json: _Json = False) -> None:
    """Print the account: accepted = delivered + pending + refused + dropped."""
    file, box = _opened(path)
    account = box.status()
    box.close()
    if as_json:
        typer.echo(json.dumps({"path": str(file), **asdict(account)}))
    else:
        typer.echo(f"{file}\n{_account(account)}")


@app.command(name="list")
def list_records(
    path: _PathOption = None,
    state: Annotated[str, typer.Option(help="pending, delivered, refused or all.")] = "all",
    limit: Annotated[int, typer.Option(help="At most so many, the newest first.")] = 50,
    as_json: _Json = False,
) -> None:
    """List records without their content."""
    states: dict[str, RowState | None] = {
        "all": None,
        "pending": "pending",
        "delivered": "delivered",
        "refused": "refused",
    }
    if state not in states:
        raise typer.BadParameter("pending, delivered, refused or all", param_hint="--state")
    _, box = _opened(path)
    entries = box.entries(state=states[state], limit=limit)
    box.close()
    if as_json:
        typer.echo(json.dumps([asdict(entry) for entry in entries]))
        return
    table = Table(*(Column(name, overflow="fold") for name in _COLUMNS))
    for entry in entries:
        table.add_row(
            entry.call_id,
            entry.state,
            _time(entry.stored_at),
            str(entry.attempts),
            str(entry.size),
            entry.to.agent_id,
            entry.detail,
        )
    Console().print(table)


@app.command()
def drain(
    path: _PathOption = None,
    deadline: Annotated[float, typer.Option(help="Seconds to keep trying.")] = 60.0,
) -> None:
    """Send everything pending now. Exit code 0: nothing is left. 1: something is. 3: could not run."""
    file, box = _opened(path)
    box.close()
    try:
        config = TunerConfig(outbox=file)
    except ConfigError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(3) from None
    try:
        with Delivery(config) as delivery:
            delivery.drain_sync(deadline_s=deadline)
    except OutboxError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(3) from None
    _, box = _opened(path)
    account = box.status()
    problems = {entry.detail for entry in box.entries(state="pending") if entry.detail}
    box.close()
    typer.echo(_account(account))
    for problem in sorted(problems):
        typer.echo(f"still pending: {problem}")
    if account.pending:
        raise typer.Exit(1)


@app.command()
def retry(
    call_id: Annotated[str | None, typer.Argument(help="One call; all refused ones when omitted.")] = None,
    path: _PathOption = None,
) -> None:
    """Make refused records pending again, after what was wrong has been mended."""
    _, box = _opened(path)
    count = box.retry(call_id)
    box.close()
    typer.echo(f"{count} pending again; `tuner outbox drain` sends them now")


def _opened(path: Path | None) -> tuple[Path, Outbox]:
    file = path.expanduser() if path else default_outbox_path()
    if not os.path.exists(file):
        typer.echo(f"{file}: no outbox yet, nothing was ever handed over here")
        raise typer.Exit(0)
    try:
        return file, Outbox(file)
    except OutboxError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(3) from None


def _account(account: OutboxStatus) -> str:
    oldest = f", the oldest since {_time(account.oldest_pending_at)}" if account.oldest_pending_at else ""
    return (
        f"accepted {account.accepted} = delivered {account.delivered} + pending {account.pending}"
        f" + refused {account.refused} + dropped {account.dropped}\n"
        f"being sent now: {account.sending}{oldest}"
    )


def _time(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
