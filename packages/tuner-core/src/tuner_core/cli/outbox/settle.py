"""`tuner outbox retry` and `purge`: what to do with records that will not go by themselves."""

from __future__ import annotations

import json
import time
from typing import Annotated

import typer

from tuner_core.cli.outbox.opening import JsonOption, PathOption, account_line, opened
from tuner_core.outbox.parcels import RowState


def retry(
    call_id: Annotated[str | None, typer.Argument(help="One call; all refused ones when omitted.")] = None,
    path: PathOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make refused records pending again, after what was wrong has been mended.

    Exit code 0: done. 1: the call that was named is not refused.
    """
    _, box = opened(path, as_json=as_json)
    count = box.retry(call_id)
    box.close()
    if as_json:
        typer.echo(json.dumps({"pending_again": count}))
    elif count:
        typer.echo(f"{count} pending again; `tuner outbox drain` sends them now")
    elif call_id is None:
        typer.echo("no record is refused")
    if call_id is not None and not count:
        typer.echo(f"{call_id}: no refused record of this call; see `tuner outbox show {call_id}`", err=True)
        raise typer.Exit(1)


def purge(
    path: PathOption = None,
    delivered: Annotated[bool, typer.Option("--delivered", help="Rows of delivered calls.")] = False,
    dropped: Annotated[bool, typer.Option("--dropped", help="Rows of dropped calls.")] = False,
    refused: Annotated[bool, typer.Option("--refused", help="Refused records, with their bodies.")] = False,
    pending: Annotated[bool, typer.Option("--pending", help="Records not delivered yet.")] = False,
    older_than_days: Annotated[
        float, typer.Option(min=0.0, help="Only what was handed over before that.")
    ] = 0.0,
    yes: Annotated[bool, typer.Option("--yes", help="Lose what was not delivered.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Remove records: at least one kind, named. Undelivered ones are lost, counted as dropped, and need --yes.

    Records that are being sent stay. Exit code 0: done. 2: --yes is missing, or no kind was named.
    """
    kinds = {"delivered": delivered, "dropped": dropped, "refused": refused, "pending": pending}
    states: list[RowState] = [state for state in _STATES if kinds[state]]
    if not states:
        raise typer.BadParameter("name what to remove: --delivered, --dropped, --refused or --pending")
    _, box = opened(path, as_json=as_json)
    account = box.status()
    lost = (account.refused if refused else 0) + (account.pending if pending else 0)
    if lost and not yes:
        box.close()
        typer.echo(f"up to {lost} undelivered records would be lost: add --yes", err=True)
        raise typer.Exit(2)
    older_than_s = older_than_days * 86400
    removed = {state: box.purge(state, older_than_s=older_than_s, now=time.time()) for state in states}
    box.give_back_space()
    account = box.status()
    box.close()
    if as_json:
        typer.echo(json.dumps({"removed": removed}))
        return
    typer.echo("removed: " + ", ".join(f"{count} {state}" for state, count in removed.items()))
    typer.echo(account_line(account))


_STATES: tuple[RowState, ...] = ("delivered", "dropped", "refused", "pending")
