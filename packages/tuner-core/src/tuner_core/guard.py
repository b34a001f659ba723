"""Keeps a plugin's own failures away from the call: logged once, counted, told to whoever asked."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any


class Guard:
    """Runs a plugin's code so that none of its exceptions reaches the framework.

    Frameworks do not forgive: LiveKit's event emitter lets a listener's `TypeError` through to whoever emitted the
    event, and Pipecat tells an observer that raised once of no further frame.

    Args:
        logger: where the first failure is noted.
        on_error: told every exception; what it raises itself is dropped.
        strict: raise instead, for tests.

    Attributes:
        failures: how many exceptions were kept away so far.
    """

    def __init__(
        self, logger: logging.Logger, *, on_error: Callable[[Exception], None] | None, strict: bool
    ) -> None:
        self.failures = 0
        self._logger = logger
        self._on_error = on_error
        self._strict = strict

    def listener(self, function: Callable[..., None]) -> Callable[..., None]:
        """`function` as a listener of an event emitter that cannot fail."""

        def listen(*arguments: Any) -> None:
            try:
                function(*arguments)
            except Exception as error:
                self.failed(error, function.__name__)

        return listen

    def failed(self, error: Exception, where: str) -> None:
        """Note an exception that was caught at `where`.

        Raises:
            Exception: `error` itself, when strict.
        """
        self.failures += 1
        if self.failures == 1:
            # Neither the message nor the traceback: both may quote what was said in the call.
            self._logger.error(
                "%s in %s: the call goes on, its record may be incomplete; later failures are only counted",
                type(error).__name__,
                where,
            )
        if self._on_error is not None:
            try:
                self._on_error(error)
            except Exception as second:
                self._logger.error("%s in on_error", type(second).__name__)
        if self._strict:
            raise error
