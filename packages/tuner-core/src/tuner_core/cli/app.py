"""The command's parts put together: `tuner local`, `tuner outbox`, `tuner resolve`, `tuner validate`."""

from __future__ import annotations

import typer

from tuner_core.cli import outbox
from tuner_core.cli.resolve import resolve
from tuner_core.cli.validate import validate
from tuner_core.version import VERSION

app = typer.Typer(
    name="tuner", no_args_is_help=True, add_completion=False, pretty_exceptions_show_locals=False
)
app.add_typer(outbox.app, name="outbox")
app.command()(validate)
app.command()(resolve)

try:
    from tuner_core.local.cli import local
except ImportError:

    @app.command(name="local")
    def _local() -> None:
        """Run a local Tuner on loopback (needs the extra: pip install 'tuner-core[local]')."""
        typer.echo("tuner local needs more packages: pip install 'tuner-core[local]'", err=True)
        raise typer.Exit(3)
else:
    app.command(name="local")(local)


@app.callback(invoke_without_command=True)
def _options(version: bool = typer.Option(False, "--version", help="Print the version and exit.")) -> None:
    """Tuner for voice agents: post finished calls, look after what is still to be sent, test locally."""
    if version:
        typer.echo(f"tuner-core {VERSION}")
        raise typer.Exit


def main() -> None:
    """Run the command `tuner`."""
    app()
