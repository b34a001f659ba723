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
    except SipBridgeError as error:
        raise _exit(error) from None
    except ExceptionGroup as group:
        ours = _first_of_ours(group)
        if ours is None:
            raise
        raise _exit(ours) from None


def _exit(error: SipBridgeError) -> typer.Exit:
    typer.echo(f"error: {error}", err=True)
    return typer.Exit(USAGE if isinstance(error, FileError | LocalProtocolError) else COULD_NOT_RUN)


def _first_of_ours(group: ExceptionGroup[Exception]) -> SipBridgeError | None:
    """The first error of ours in a task group, None when it holds only others: those are bugs and are shown."""
    for error in group.exceptions:
        if isinstance(error, SipBridgeError):
            return error
        if isinstance(error, ExceptionGroup):
            return _first_of_ours(error)
    return None
