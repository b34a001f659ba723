"""Keeps the plugin's own failures away from the call: logged once, counted, told to whoever asked."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

logger = logging.getLogger("tuner_livekit")


class Guard:
    """Runs the plugin's code so that none of its exceptions reaches the framework.

    LiveKit's event emitter lets a `TypeError` of a listener through to whoever emitted the event, and a
    failing shutdown callback cuts the others short.

    Attributes:
        failures: how many exceptions were kept away so far.

    Args:
        on_error: told every exception; what it raises itself is dropped.
        strict: raise instead, for tests.
    """

    def __init__(self, *, on_error: Callable[[Exception], None] | None, strict: bool) -> None:
        self.failures = 0
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
