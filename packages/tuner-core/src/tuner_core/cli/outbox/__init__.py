"""`tuner outbox`: what is still to be sent, and sending it."""

from __future__ import annotations

import typer

from tuner_core.cli.outbox.account import list_records, status
from tuner_core.cli.outbox.content import export, show
from tuner_core.cli.outbox.drain import drain
from tuner_core.cli.outbox.settle import purge, retry

__all__ = ["app"]

app = typer.Typer(no_args_is_help=True, help="What is still to be sent, and sending it.")
app.command()(status)
app.command(name="list")(list_records)
app.command()(show)
app.command()(retry)
app.command()(drain)
app.command()(export)
app.command()(purge)
