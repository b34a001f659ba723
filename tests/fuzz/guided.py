"""One target under atheris, in a process of its own: `python -m tests.fuzz.guided TARGET CORPUS… OPTION…`."""

from __future__ import annotations

import sys
from typing import Any

import atheris  # pyright: ignore[reportMissingImports]

guide: Any = atheris
# What is to be guided by must be watched from its import on.
with guide.instrument_imports(include=["tuner_sipbridge"]):
    from tests.fuzz.targets import TARGETS

guide.Setup([sys.argv[0], *sys.argv[2:]], TARGETS[sys.argv[1]])
guide.Fuzz()
