"""Pipecat's log, which goes to standard error line by line, through `logging` instead. Import before Pipecat.

The logger there is `pipecat`, at ERROR unless the application set a level.
"""

from __future__ import annotations

import contextlib
import logging
from typing import Any

from loguru import logger

_target = logging.getLogger("pipecat")


def _forward(message: Any) -> None:
    record = message.record
    _target.log(record["level"].no, "%s", record["message"])


def _install() -> None:
    if _target.level == logging.NOTSET:
        _target.setLevel(logging.ERROR)
    with contextlib.suppress(ValueError):
        # The handler that loguru starts with; an application that configured loguru has removed it already.
        logger.remove(0)
    logger.add(_forward, level="DEBUG", filter="pipecat", format="{message}")


_install()
