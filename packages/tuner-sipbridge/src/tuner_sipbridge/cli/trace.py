"""`trace`: the SIP ladder of calls that were made before."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tuner_sipbridge.cli.exits import errors_as_exit_codes
from tuner_sipbridge.cli.options import Pcap
from tuner_sipbridge.errors import FileError
from tuner_sipbridge.report.ladder_text import ladder_text
from tuner_sipbridge.report.pcap import pcap_of
from tuner_sipbridge.trace import Trace


def trace(
    paths: Annotated[
        list[Path],
        typer.Argument(metavar="PATH…", help="trace.jsonl of a call, or a directory to look for them in."),
    ],
    pcap: Pcap = None,
) -> None:
    """Print the SIP ladder of calls from their traces, and write them as a capture file with --pcap.

    Exit code 0: printed. 2: there is no trace, or a file is none.
    """
    with errors_as_exit_codes():
        files = _files(paths)
        traces = [Trace.read(file) for file in files]
        for number, (file, one) in enumerate(zip(files, traces, strict=True)):
            if len(files) > 1:
                typer.echo(f"{chr(10) if number else ''}{file}")
            typer.echo(ladder_text(one), nl=False)
        if pcap is not None:
            write_pcap(pcap, traces)


def write_pcap(path: Path, traces: list[Trace]) -> None:
    """Write a capture file.

    Raises:
        FileError: it cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(pcap_of(traces))
    except OSError as error:
        raise FileError(f"cannot be written: {error.strerror or error}", file=str(path)) from error


def _files(paths: list[Path]) -> list[Path]:
    files: list[Path] = []
    for path in paths:
        found = sorted(path.rglob("trace.jsonl")) if path.is_dir() else [path]
        if not found:
            raise FileError("no trace.jsonl in it or below", file=str(path))
        if not found[0].is_file():
            raise FileError("there is no such file", file=str(path))
        files.extend(found)
    return files
