"""`tuner outbox drain`: send what is pending, once or as a sidecar."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict
from types import FrameType
from typing import Annotated

import typer
from rich.console import Console
from rich.status import Status

from tuner_core.cli.outbox.opening import JsonOption, PathOption, account_line, opened
from tuner_core.config import TunerConfig
from tuner_core.delivery import Delivery
from tuner_core.errors import ConfigError, OutboxError
from tuner_core.outbox import Outbox
from tuner_core.outbox.parcels import OutboxStatus

_LOOK_AGAIN_S = 5.0


def drain(
    path: PathOption = None,
    deadline: Annotated[float, typer.Option(min=0.0, help="Seconds to keep trying.")] = 60.0,
    watch: Annotated[bool, typer.Option("--watch", help="Run until stopped: a sidecar.")] = False,
    every: Annotated[
        float, typer.Option(min=0.1, help="Seconds between progress lines, with --watch.")
    ] = 60.0,
    as_json: JsonOption = False,
) -> None:
    """Send everything pending now, recordings too, and make records of calls whose process was killed.

    Needs TUNER_API_KEY and TUNER_WORKSPACE_ID; records of other workspaces stay for a drain with their key. With
    --watch it goes on, also with what comes in later, until SIGTERM or SIGINT.

    Exit code 0: nothing is left, or --watch was stopped. 1: something is left. 3: could not run.
    """
    file, box = opened(path, make=watch, as_json=as_json)
    if not box.durable:  # there is none, and draining makes none
        _report(box, as_json=True)
        return
    try:
        # The agent is named by each record.
        config = TunerConfig(outbox=file, agent_id=os.environ.get("TUNER_AGENT_ID") or "-")
        with Delivery(config) as delivery:
            if watch:
                _watch(delivery, box, every, as_json=as_json)
                return
            _drain(delivery, box, deadline)
        left = _report(box, as_json=as_json)
        if not as_json:
            _report_others(box, config)
    except (ConfigError, OutboxError) as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(3) from None
    finally:
        box.close()
    if left:
        raise typer.Exit(1)


def _drain(delivery: Delivery, box: Outbox, deadline_s: float) -> None:
    give_up_at = time.monotonic() + deadline_s
    terminal = Console(stderr=True)
    progress: AbstractContextManager[Status | None] = (
        terminal.status("sending") if terminal.is_terminal else nullcontext()
    )
    with progress as line:
        while (left_s := give_up_at - time.monotonic()) > 0:
            if delivery.drain_sync(deadline_s=min(left_s, 0.5)) is not None:
                return
            if line is not None:
                line.update(account_line(box.status()))


def _watch(delivery: Delivery, box: Outbox, every_s: float, *, as_json: bool) -> None:
    stop = threading.Event()

    def end(number: int, frame: FrameType | None) -> None:
        del number, frame
        stop.set()

    for name in (signal.SIGTERM, signal.SIGINT):
        signal.signal(name, end)
    say = _json_line if as_json else _plain_line
    delivery.start()
    last: OutboxStatus | None = None
    while True:
        stopped = stop.wait(every_s if last is not None else 0.0)
        try:
            account = box.status()
        except OutboxError as error:  # it may pass: a sidecar stays
            typer.echo(str(error), err=True)
            if stopped:
                return
            stop.wait(_LOOK_AGAIN_S)
            continue
        if account != last or stopped:
            say(account)
        last = account
        if stopped:
            return


def _json_line(account: OutboxStatus) -> None:
    typer.echo(json.dumps({"at": time.time(), **asdict(account)}))


def _plain_line(account: OutboxStatus) -> None:
    running = f", {account.open_calls} calls run" if account.open_calls else ""
    typer.echo(f"{time.strftime('%Y-%m-%dT%H:%M:%S%z')} {account_line(account)}{running}")


def _report(box: Outbox, *, as_json: bool) -> int:
    """Say what is left and why; how many records and recordings that are."""
    account, waiting = box.status(), box.uploads.counts()["waiting"]
    if as_json:
        typer.echo(json.dumps({**asdict(account), "uploads_waiting": waiting}))
        return account.pending + waiting
    typer.echo(account_line(account))
    for upload in box.uploads.entries(state="waiting"):
        typer.echo(f"recording of call {upload.call_id} waits: {upload.detail or 'not tried yet'}")
    for problem in sorted({entry.detail for entry in box.entries(state="pending") if entry.detail}):
        typer.echo(f"still pending: {problem}")
    return account.pending + waiting


def _report_others(box: Outbox, config: TunerConfig) -> None:
    """Say whose keys would send what is left."""
    for backlog in box.ledger.backlogs():
        if (backlog.base_url, backlog.workspace_id) != (config.base_url, config.workspace_id):
            typer.echo(
                f"still pending: {backlog.pending} of workspace {backlog.workspace_id} at {backlog.base_url}: drain"
                " with that workspace's key (TUNER_API_KEY, TUNER_WORKSPACE_ID, TUNER_BASE_URL)"
            )
