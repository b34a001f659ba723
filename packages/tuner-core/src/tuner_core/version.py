"""The package's version."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version


def _installed() -> str:
    try:
        return version("tuner-core")
    except PackageNotFoundError:  # a source tree on the path, never installed
        return "0"


VERSION = __version__ = _installed()
