"""Trace files that somebody else wrote."""

from __future__ import annotations

from pathlib import Path

import pytest

from tuner_sipbridge.errors import FileError
from tuner_sipbridge.trace import Trace


@pytest.mark.parametrize(
    "line", ["[" * 100_000, '{"at": ' + "1" * 10_000 + "}", "7"], ids=["deep", "digits", "number"]
)
def test_a_line_that_is_no_event_is_named(tmp_path: Path, line: str):
    path = tmp_path / "trace.jsonl"
    path.write_text(line)
    with pytest.raises(FileError, match="not a trace event"):
        Trace.read(path)
