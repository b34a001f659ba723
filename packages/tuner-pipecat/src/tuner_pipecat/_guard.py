"""Keeps the observer's own failures away from the call."""

from __future__ import annotations

import logging
from collections.abc import Callable

logger = logging.getLogger("tuner_pipecat")


class Guard:
    """Notes the observer's exceptions: an observer that raises once is told of no further frame by Pipecat.

    Args:
        on_error: told every exception; what it raises itself is dropped.
        strict: raise instead, for tests.

    Attributes:
        failures: how many exceptions were kept away so far.
    """

    def __init__(self, *, on_error: Callable[[Exception], None] | None, strict: bool) -> None:
        self.failures = 0
        self._on_error = on_error
        self._strict = strict

    def failed(self, error: Exception, where: str) -> None:
        """Note an exception that was caught at `where`.

        Raises:
            Exception: `error` itself, when strict.
        """
        self.failures += 1
        if self.failures == 1:
            # Neither the message nor the traceback: both may quote what was said in the call.
            logger.error(
                "%s in %s: the call goes on, its record may be incomplete; later failures are only counted",
                type(error).__name__,
                where,
            )
        if self._on_error is not None:
            try:
                self._on_error(error)
            except Exception as second:
                logger.error("%s in on_error", type(second).__name__)
        if self._strict:
            raise error
