"""`tuner local`: a Tuner on this machine, in the foreground."""

from __future__ import annotations

import logging
import shlex
from pathlib import Path
from typing import Annotated

import platformdirs
import typer

_DEFAULT_PORT = 8765


def local(
    *,
    host: Annotated[
        str, typer.Option(help="Address to listen on; others than loopback show transcripts to the network.")
    ] = "127.0.0.1",
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="TCP port; 0 takes a free one.")
    ] = _DEFAULT_PORT,
    db: Annotated[
        str | None, typer.Option(help="SQLite file, or :memory:. Default: a file among your user data.")
    ] = None,
    api_key: Annotated[
        str | None, typer.Option(help="The key that posts need. Default: tr_api_local, on loopback.")
    ] = None,
    workspace_id: Annotated[int, typer.Option(min=1, help="The workspace there is.")] = 1,
    agent: Annotated[
        list[str] | None, typer.Option(help="An agent id that exists; may be repeated. Default: any.")
    ] = None,
    duplicates: Annotated[
        int, typer.Option(help="Status for a call_id that is there already: 200 or 409.")
    ] = 200,
) -> None:
    """Run a Tuner on this machine: posts arrive, simulations link, pages to look at."""
    if duplicates not in (200, 409):
        raise typer.BadParameter("must be 200 or 409", param_hint="--duplicates")
    try:
        from tuner_core.local.server import LocalTuner
        from tuner_core.local.store import StoreError
    except ImportError as error:
        typer.echo(f"tuner local needs {error.name}: pip install 'tuner-core[local]'", err=True)
        raise typer.Exit(3) from None
    logging.basicConfig(level=logging.WARNING)
    try:
        tuner = LocalTuner(
            api_key=api_key,
            workspace_id=workspace_id,
            agents=agent or None,
            host=host,
            port=port,
            db=default_db() if db is None else db,
            duplicate_status=409 if duplicates == 409 else 200,
        )
    except StoreError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(3) from None
    except OSError as error:
        typer.echo(f"cannot listen on {host} port {port}: {error.strerror or error}", err=True)
        raise typer.Exit(3) from None
    typer.echo(announcement(tuner.base_url, tuner.environment(agent[0] if agent else "local-agent")))
    try:
        tuner.serve_forever()
    except KeyboardInterrupt:
        return


def announcement(base_url: str, environment: dict[str, str]) -> str:
    """Give the line that says where the local Tuner is and how an agent is pointed at it."""
    settings = " ".join(f"{name}={shlex.quote(value)}" for name, value in environment.items())
    return f"Local Tuner at {base_url}  export {settings}"


def default_db() -> Path:
    """Give the file that `tuner local` keeps its calls in."""
    return platformdirs.user_data_path("tuner") / "local.db"
