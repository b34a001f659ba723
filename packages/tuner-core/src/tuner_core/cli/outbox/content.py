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
from tuner_core.cli.outbox.opening import JsonOption, PathOption, moment, opened, without_call
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
    _, box = opened(path, as_json=as_json)
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
            if value not in (None, "", []):
                typer.echo("{:<12}{}".format(*_in_words(name, value)))
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
                    "call_id": call_id,
                    "state": "open",
                    "to": asdict(call.to),
                    "opened_at": call.opened_at,
                    "seen_at": call.seen_at,
                    "events": box.calls.length(call.to, call_id),
                    "abandoned": call.abandoned,
                }
            )
    records = {record.to: record for record in box.ledger.records(call_id=call_id)}
    for entry in box.ledger.entries(call_id=call_id):
        shown: dict[str, Any] = {
            **asdict(entry),
            "detail": without_call(entry.detail, call_id),
        }
        record = records.get(entry.to)
        if record is not None:
            body: dict[str, Any] = json.loads(record.body)
            shown |= {
                "cut_short": record.cut_short,
                "repairs": list(record.repairs),
                "record": body if full else masked(body),
            }
        found.append(shown)
    return found


def _in_words(name: str, value: Any) -> tuple[str, Any]:
    title = f"{name.replace('_', ' ')}:"
    match name:
        case "to":
            return title, f"{value['base_url']} workspace {value['workspace_id']} agent {value['agent_id']}"
        case "repairs":
            return title, "; ".join(value)
        case "abandoned":
            return "process:", "gone" if value else "lives"
        case "cut_short":
            return title, "yes" if value else "no"
        case _ if name.endswith("_at"):
            return title, moment(value)
        case _:
            return title, value
