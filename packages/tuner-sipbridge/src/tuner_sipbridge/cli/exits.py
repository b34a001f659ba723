"""Exit codes, and the one place where an error becomes a line on the terminal."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager

import typer

from tuner_sipbridge.errors import FileError, LocalProtocolError, SipBridgeError

PASSED = 0
"""Every call passed."""
FAILED = 1
"""A call failed or was not linked."""
USAGE = 2
"""Wrong usage, or a wrong file: file, line and field are named."""
COULD_NOT_RUN = 3
"""Nothing is known about the agent: a port, a voice, a model or the local Tuner is missing."""


@contextmanager
def errors_as_exit_codes() -> Generator[None]:
    """Print an error of ours as one line on standard error and leave with its exit code."""
    try:
        yield
    except (FileError, LocalProtocolError) as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(USAGE) from None
    except SipBridgeError as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(COULD_NOT_RUN) from None
    except BaseExceptionGroup as group:
        raise _first(group) from group


def _first(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """Leave by the first error of ours in a task group, so that it is told in its own words."""
    ours = group.subgroup(SipBridgeError)
    leaf: BaseException = ours if ours is not None else group
    while isinstance(leaf, BaseExceptionGroup):
        leaf = leaf.exceptions[0]
    if isinstance(leaf, SipBridgeError):
        typer.echo(f"error: {leaf}", err=True)
        return typer.Exit(USAGE if isinstance(leaf, FileError | LocalProtocolError) else COULD_NOT_RUN)
    return leaf
