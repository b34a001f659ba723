"""`demo`: the whole loop on this machine, offline."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated

import typer

from tuner_sipbridge.cli.exits import FAILED, errors_as_exit_codes
from tuner_sipbridge.demo.loop import DemoFault, planned_calls, run_demo
from tuner_sipbridge.report.progress import BatchDisplay
from tuner_sipbridge.report.terminal import print_results, results_console


def demo(
    out: Annotated[Path, typer.Option(help="Directory for everything the run leaves.")] = Path("out/demo"),
    fault: Annotated[
        DemoFault | None, typer.Option(help="Break one thing on purpose, to see how it is told.")
    ] = None,
) -> None:
    """Call a Pipecat agent and a LiveKit agent on this machine, link what they post, and report.

    Needs no network, key or root. Exit code 0: every call was played and linked. 1: not. 3: could not run.
    """
    console = results_console()
    with errors_as_exit_codes():
        with BatchDisplay(console, calls=planned_calls(fault)) as display:
            result = asyncio.run(run_demo(out, fault=fault, say=display.say, on_progress=display))
        print_results(result, console)
        console.print(f"report: {out / 'report.html'}", markup=False, highlight=False)
        if not result.passed:
            raise typer.Exit(FAILED)
