"""`tuner outbox show` and `export`: what lies in the outbox."""

from __future__ import annotations

import json
import os
import time
from contextlib import nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, TextIO

import typer

from tuner_core.cli.outbox.masking import masked
from tuner_core.cli.outbox.opening import JsonOption, PathOption, moment, opened
from tuner_core.outbox import Outbox
from tuner_core.outbox.parcels import RowState

_STATES: dict[str, RowState | None] = {"all": None, "pending": "pending", "refused": "refused"}


def show(
    call_id: Annotated[str, typer.Argument(help="The call's id.")],
    path: PathOption = None,
    full: Annotated[
        bool, typer.Option("--full", help="With its content: texts, tool values, numbers.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Show what the outbox holds of one call: state, tries, the API's words, repairs, and the record.

    Texts, tool values and phone numbers are replaced by their lengths unless --full is given. Exit code 0: shown. 1:
    the outbox does not know the call.
    """
    _, box = opened(path)
    found = _found(box, call_id, full=full)
    box.close()
    if not found:
        typer.echo(f"{call_id}: this outbox does not know the call", err=True)
        raise typer.Exit(1)
    if as_json:
        typer.echo(json.dumps(found))
        return
    for one in found:
        record = one.pop("record", None)
        for name, value in one.items():
            typer.echo(f"{name + ':':<12}{value}")
        if record is not None:
            typer.echo(json.dumps(record, indent=2, ensure_ascii=False))


def export(
    path: PathOption = None,
    state: Annotated[str, typer.Option(help="pending, refused or all.")] = "all",
    out: Annotated[str, typer.Option("--out", help="A new file, made for its owner only; - prints.")] = "-",
) -> None:
    """Write the bodies of undelivered records as JSON Lines, complete, one call a line.

    Delivered and dropped records have no body any more. Exit code 3: the file exists or cannot be made.
    """
    if state not in _STATES:
        raise typer.BadParameter(", ".join(_STATES), param_hint="--state")
    _, box = opened(path)
    count = 0
    try:
        with nullcontext() if out == "-" else _new_file(out) as stream:
            for record in box.ledger.records(state=_STATES[state]):
                typer.echo(record.body.decode("utf-8"), file=stream)
                count += 1
    except OSError as error:
        typer.echo(f"{out}: {error.strerror}", err=True)
        raise typer.Exit(3) from None
    finally:
        box.close()
    typer.echo(f"{count} records written", err=True)


def _new_file(out: str) -> TextIO:
    descriptor = os.open(Path(out).expanduser(), os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    return open(descriptor, "w", encoding="utf-8")


def _found(box: Outbox, call_id: str, *, full: bool) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for call in box.calls.listed(now=time.time()):
        if call.call_id == call_id:
            found.append(
                {
                    "call": call_id,
                    "state": "open",
                    "to": _place(asdict(call.to)),
                    "opened": moment(call.opened_at),
                    "last news": moment(call.seen_at),
                    "events": box.calls.length(call.to, call_id),
                    "process": "gone" if call.abandoned else "lives",
                }
            )
    records = {record.to: record for record in box.ledger.records(call_id=call_id)}
    for entry in box.ledger.entries(call_id=call_id):
        shown: dict[str, Any] = {
            "call": call_id,
            "state": entry.state,
            "to": _place(asdict(entry.to)),
            "stored": moment(entry.stored_at),
            "tries": entry.attempts,
        }
        if entry.settled_at is not None:
            shown["settled"] = moment(entry.settled_at)
        if entry.detail:
            shown["detail"] = entry.detail
        record = records.get(entry.to)
        if record is not None:
            body: dict[str, Any] = json.loads(record.body)
            shown |= {
                "bytes": entry.size,
                "cut short": record.cut_short,
                "repairs": "; ".join(record.repairs),
            }
            shown["record"] = body if full else masked(body)
        found.append(shown)
    return found


def _place(to: dict[str, Any]) -> str:
    return f"{to['base_url']} workspace {to['workspace_id']} agent {to['agent_id']}"
