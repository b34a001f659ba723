"""`tuner validate FILE`: would the API take this record, and what would be changed first."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from tuner_core.errors import InvalidRecord
from tuner_core.repair import conform


def validate(
    file: Annotated[Path, typer.Argument(help="A Create Call body as JSON; - reads standard input.")],
    show: Annotated[bool, typer.Option("--show", help="Print the body as it would be sent.")] = False,
) -> None:
    """Check a Create Call body: what would be repaired before it is sent.

    Exit code 0: it would be accepted, with the repairs listed. 1: it would not. 2: the file cannot be read.
    """
    record = _read(file)
    try:
        conformed = conform(record)
    except InvalidRecord as error:
        typer.echo(f"refused: {error}", err=True)
        raise typer.Exit(1) from None
    if show:
        typer.echo(json.dumps(conformed.payload, indent=2, ensure_ascii=False))
    for repair in conformed.repairs:
        typer.echo(f"repaired: {repair}", err=show)
    rows = len(conformed.payload["transcript_with_tool_calls"])
    link = conformed.payload.get("sip_call_id") or "none, so no simulation will be linked by it"
    typer.echo(f"accepted: call {conformed.call_id}, {rows} rows, sip_call_id {link}", err=show)


def _read(file: Path) -> dict[str, Any]:
    try:
        text = sys.stdin.read() if str(file) == "-" else file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8 text"
        typer.echo(f"{file}: {reason}", err=True)
        raise typer.Exit(2) from None
    try:
        record: Any = json.loads(text)
    except (ValueError, RecursionError) as error:
        typer.echo(f"{file}: not JSON: {error}", err=True)
        raise typer.Exit(2) from None
    if not isinstance(record, dict):
        typer.echo(f"{file}: a Create Call body is a JSON object", err=True)
        raise typer.Exit(2)
    return record  # pyright: ignore[reportUnknownVariableType]
