"""`tuner outbox status` and `list`: the account, and the rows without their content."""

from __future__ import annotations

import json
import time
from dataclasses import asdict
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Column, Table

from tuner_core.cli.outbox.opening import JsonOption, PathOption, account_line, moment, opened, without_call
from tuner_core.outbox.parcels import OpenCall, OutboxEntry, RowState
from tuner_core.outbox.uploads import UploadEntry

_COLUMNS = ("call", "state", "stored", "tries", "bytes", "agent", "detail")


def status(path: PathOption = None, as_json: JsonOption = False) -> None:
    """Print the account: accepted = delivered + pending + refused + dropped."""
    file, box = opened(path, as_json=as_json)
    account, calls, uploads = box.status(), box.calls.listed(now=time.time()), box.uploads.counts()
    box.close()
    abandoned = sum(call.abandoned for call in calls)
    if as_json:
        document = {"path": str(file), **asdict(account), "abandoned_calls": abandoned, "uploads": uploads}
        typer.echo(json.dumps(document))
        return
    typer.echo(f"{file}\n{account_line(account)}")
    if account.oldest_pending_at is not None:
        typer.echo(
            f"pending: {account.sending} being sent at the moment, the oldest stored"
            f" {moment(account.oldest_pending_at)}; `tuner outbox drain` sends all"
        )
    if account.refused:
        typer.echo(
            "refused: `tuner outbox list --state refused` says why; `tuner outbox retry` when that is mended"
        )
    if len(calls) > abandoned:
        typer.echo(f"calls that still run: {len(calls) - abandoned}")
    if abandoned:
        typer.echo(f"calls cut short: {abandoned} of a process that is gone; `tuner outbox drain` sends them")
    if any(uploads.values()):
        counts = ", ".join(f"{state} {count}" for state, count in uploads.items() if count)
        typer.echo(f"recordings: {counts}")


def list_records(
    path: PathOption = None,
    state: Annotated[
        str, typer.Option(help="open, pending, delivered, refused, dropped, recordings or all.")
    ] = "all",
    limit: Annotated[int, typer.Option(min=1, help="At most so many, the newest first.")] = 50,
    as_json: JsonOption = False,
) -> None:
    """List records, calls that still run, and recordings that are to be uploaded or could not be, without content."""
    states: dict[str, RowState | None] = {
        "all": None,
        "open": None,
        "pending": "pending",
        "delivered": "delivered",
        "refused": "refused",
        "dropped": "dropped",
        "recordings": None,
    }
    if state not in states:
        raise typer.BadParameter(", ".join(states), param_hint="--state")
    _, box = opened(path, as_json=as_json)
    calls = box.calls.listed(now=time.time()) if state in {"all", "open"} else []
    entries = [] if state in {"open", "recordings"} else box.entries(state=states[state], limit=limit)
    uploads = box.uploads.entries(limit=limit) if state in {"all", "recordings"} else []
    if state == "all":
        uploads = [upload for upload in uploads if upload.state != "uploaded"]
    box.close()
    if as_json:
        typer.echo(json.dumps([*map(_open_call, calls), *map(asdict, entries), *map(_upload, uploads)]))
        return
    table = Table(*(Column(name, overflow="fold") for name in _COLUMNS))
    for row in [*map(_open_row, reversed(calls)), *map(_row, entries), *map(_upload_row, uploads)]:
        table.add_row(*row)
    Console().print(table)


def _row(entry: OutboxEntry) -> tuple[str, ...]:
    return (
        entry.call_id,
        entry.state,
        moment(entry.stored_at),
        str(entry.attempts),
        str(entry.size),
        entry.to.agent_id,
        without_call(entry.detail, entry.call_id),
    )


def _upload_row(upload: UploadEntry) -> tuple[str, ...]:
    state, stored_at = f"recording {upload.state}", moment(upload.stored_at)
    return (upload.call_id, state, stored_at, str(upload.attempts), "", upload.to.agent_id, upload.detail)


def _upload(upload: UploadEntry) -> dict[str, Any]:
    # Without its path: names of recordings often hold phone numbers.
    return {
        "call_id": upload.call_id,
        "state": f"recording {upload.state}",
        "to": asdict(upload.to),
        "stored_at": upload.stored_at,
        "settled_at": upload.settled_at,
        "attempts": upload.attempts,
        "detail": upload.detail,
    }


def _open_row(call: OpenCall) -> tuple[str, ...]:
    detail = "its process is gone" if call.abandoned else "still running"
    return (call.call_id, "open", moment(call.opened_at), "", "", call.to.agent_id, detail)


def _open_call(call: OpenCall) -> dict[str, Any]:
    return {
        "call_id": call.call_id,
        "state": "open",
        "to": asdict(call.to),
        "opened_at": call.opened_at,
        "seen_at": call.seen_at,
        "abandoned": call.abandoned,
    }
