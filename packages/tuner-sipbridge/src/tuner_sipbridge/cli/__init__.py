"""`tuner-sipbridge`: the command line."""

from __future__ import annotations

import typer

from tuner_sipbridge.cli.answer import answer
from tuner_sipbridge.cli.calls import dial, run
from tuner_sipbridge.cli.demo import demo
from tuner_sipbridge.cli.providers import providers
from tuner_sipbridge.cli.trace import trace
from tuner_sipbridge.cli.verify import verify

app = typer.Typer(
    name="tuner-sipbridge",
    help="Simulated callers that test a voice agent by calling it over SIP.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_show_locals=False,
)
for command in (verify, dial, run, answer, trace, providers, demo):
    app.command()(command)


def main() -> None:
    """Entry point of the command."""
    app()
