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
        ours = group.subgroup(SipBridgeError)
        if ours is None:
            raise  # a bug: it is shown whole
        raise _exit(_first(ours)) from None


def _exit(error: SipBridgeError) -> typer.Exit:
    typer.echo(f"error: {error}", err=True)
    return typer.Exit(USAGE if isinstance(error, FileError | LocalProtocolError) else COULD_NOT_RUN)


def _first(group: ExceptionGroup[SipBridgeError]) -> SipBridgeError:
    error = group.exceptions[0]
    return error if isinstance(error, SipBridgeError) else _first(error)
