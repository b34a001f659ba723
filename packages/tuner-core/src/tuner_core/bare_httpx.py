"""`httpx` without its command line, which takes longer to load than all the rest of it.

httpx imports its own command line whenever click, rich and pygments are there, as they are beside `tuner`. A process
that delivers calls has no use for it. It is left out of the first import of httpx only, where that is this one, and
`httpx.main` loads it when it is called.
"""

from __future__ import annotations

import sys
from importlib import import_module
from types import ModuleType
from typing import Any

_COMMAND_LINE = "httpx._main"


def _main(*arguments: Any, **options: Any) -> Any:
    """The command line of httpx."""
    return import_module(_COMMAND_LINE).main(*arguments, **options)


def _without_command_line() -> ModuleType:
    if "httpx" in sys.modules or _COMMAND_LINE in sys.modules:
        return import_module("httpx")
    stand_in = ModuleType(_COMMAND_LINE)
    setattr(stand_in, "main", _main)  # noqa: B010 - a module has no such attribute by its type
    sys.modules[_COMMAND_LINE] = stand_in
    try:
        return import_module("httpx")
    finally:
        sys.modules.pop(_COMMAND_LINE, None)


_without_command_line()

import httpx  # noqa: E402

__all__ = ["httpx"]
