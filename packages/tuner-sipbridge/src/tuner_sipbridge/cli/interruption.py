"""SIGINT and SIGTERM while calls stand: they are hung up, and what is known of them is kept."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import Generator

import typer

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interruption:
    """Set by the first SIGINT or SIGTERM; the second one ends the process as it does without us.

    Attributes:
        stop: set once one has come.
        number: which one, 0 before.
    """

    def __init__(self) -> None:
        self.stop = asyncio.Event()
        self.number = 0

    @property
    def exit_code(self) -> int:
        """What shells expect of a command that a signal ended."""
        return 128 + self.number

    @contextlib.contextmanager
    def watched(self) -> Generator[None]:
        """Take the signals, in the running loop."""
        loop = asyncio.get_running_loop()
        # Neither on Windows, where KeyboardInterrupt ends the run instead, nor in a thread beside the main one.
        with contextlib.suppress(NotImplementedError, RuntimeError):
            for number in _SIGNALS:
                loop.add_signal_handler(number, self._on_signal, number)
        try:
            yield
        finally:
            self._leave(loop)

    def _on_signal(self, number: int) -> None:
        self.number = number
        self.stop.set()
        typer.echo("interrupted: hanging up what stands", err=True)
        self._leave(asyncio.get_running_loop())

    def _leave(self, loop: asyncio.AbstractEventLoop) -> None:
        for number in _SIGNALS:
            with contextlib.suppress(NotImplementedError):
                loop.remove_signal_handler(number)
