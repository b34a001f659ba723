"""`tuner local`: a Tuner on this machine, in the foreground."""

from __future__ import annotations

import logging
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import platformdirs
import typer

if TYPE_CHECKING:
    from tuner_core.local.server import LocalTuner

_DEFAULT_PORT = 8765
_CHECKS = "What is checked"
_ELSEWHERE = "What happens beside"
_FAULT_HELP = (
    "Answer some posts badly, to test resilience: FAULT[=SECONDS]:PROBABILITY, separated by commas. "
    "FAULT is an HTTP status (429 and 503 with Retry-After, 1 s or =SECONDS), hang (until the client gives up, or "
    "=SECONDS), slow (the true answer, 5 s or =SECONDS late), reset (nothing stored), half (stored, the answer breaks "
    "off) or take-and-reset (stored, no answer). Example: 429=3:0.2,hang:0.05,half:0.05"
)


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
        str | None,
        typer.Option(
            help="The key that posts need. Default: tr_api_local, on loopback.", rich_help_panel=_CHECKS
        ),
    ] = None,
    workspace_id: Annotated[
        int, typer.Option(min=1, help="The workspace there is.", rich_help_panel=_CHECKS)
    ] = 1,
    agent: Annotated[
        list[str] | None,
        typer.Option(help="An agent id that exists; may be repeated. Default: any.", rich_help_panel=_CHECKS),
    ] = None,
    duplicates: Annotated[
        int,
        typer.Option(help="Status for a call_id that is there already: 200 or 409.", rich_help_panel=_CHECKS),
    ] = 200,
    lenient: Annotated[
        bool,
        typer.Option(
            "--lenient/--strict",
            help="Strict refuses what the API refuses. Lenient takes it where it can be read, and shows why not.",
            rich_help_panel=_CHECKS,
        ),
    ] = False,
    forward: Annotated[
        str | None,
        typer.Option(
            metavar="URL",
            help="Pass each post taken here on to the API at this base URL, with the agent's own key; its answer is "
            "the answer. What is refused here is not passed on.",
            rich_help_panel=_ELSEWHERE,
        ),
    ] = None,
    fault: Annotated[
        str | None, typer.Option(metavar="SPEC", help=_FAULT_HELP, rich_help_panel=_ELSEWHERE)
    ] = None,
    seed: Annotated[
        int | None,
        typer.Option(help="Seed of the faults: the same gives the same faults.", rich_help_panel=_ELSEWHERE),
    ] = None,
    export: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Write everything that is stored as JSON to this file (- for standard output), and end.",
            rich_help_panel=_ELSEWHERE,
        ),
    ] = None,
) -> None:
    """Run a Tuner on this machine: posts arrive, simulations link, pages to look at."""
    if duplicates not in (200, 409):
        raise typer.BadParameter("must be 200 or 409", param_hint="--duplicates")
    if seed is not None and fault is None:
        raise typer.BadParameter("has no meaning without --fault", param_hint="--seed")
    try:
        from tuner_core.local.faults import FaultSpecError
        from tuner_core.local.forward import ForwardError
        from tuner_core.local.server import LocalTuner
        from tuner_core.local.store import StoreError
    except ImportError as error:
        typer.echo(f"tuner local needs {error.name}: pip install 'tuner-core[local]'", err=True)
        raise typer.Exit(3) from None
    logging.basicConfig(level=logging.WARNING)
    file = default_db() if db is None else db
    try:
        if export is not None:
            _export(file, export)
            return
        tuner = LocalTuner(
            api_key=api_key,
            workspace_id=workspace_id,
            agents=agent or None,
            host=host,
            port=port,
            db=file,
            duplicate_status=409 if duplicates == 409 else 200,
            lenient=lenient,
            forward_to=forward,
            faults=fault,
            seed=seed,
        )
    except FaultSpecError as error:
        raise typer.BadParameter(str(error), param_hint="--fault") from None
    except ForwardError as error:
        raise typer.BadParameter(str(error), param_hint="--forward") from None
    except StoreError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(3) from None
    except OSError as error:
        typer.echo(f"cannot listen on {host} port {port}: {error.strerror or error}", err=True)
        raise typer.Exit(3) from None
    _serve(tuner, agent[0] if agent else "local-agent", lenient=lenient)


def announcement(base_url: str, environment: dict[str, str]) -> str:
    """Give the line that says where the local Tuner is and how an agent is pointed at it."""
    settings = " ".join(f"{name}={shlex.quote(value)}" for name, value in environment.items())
    return f"Local Tuner at {base_url}  export {settings}"


def default_db() -> Path:
    """Give the file that `tuner local` keeps its calls in."""
    return platformdirs.user_data_path("tuner") / "local.db"


def _serve(tuner: LocalTuner, agent: str, *, lenient: bool) -> None:
    typer.echo(announcement(tuner.base_url, tuner.environment(agent)))
    if tuner.forward_to is not None:
        typer.echo(
            f"Posts are passed on to {tuner.forward_to}, with the agent's own key, workspace and agent id"
        )
    if lenient:
        typer.echo("Lenient: takes what the API would refuse, and shows it on the page of the call")
    if tuner.faults:
        played = ", ".join(f"{fault.name} {fault.probability * 100:g} %" for fault in tuner.faults)
        typer.echo(f"Faults on purpose: {played}; the same again with --seed {tuner.seed}")
    try:
        tuner.serve_forever()
    except KeyboardInterrupt:
        return


def _export(db: str | Path, to: Path) -> None:
    from tuner_core.local.export import export_parts
    from tuner_core.local.store import Store
    from tuner_core.local.views import Views

    if str(db) == ":memory:" or not Path(db).is_file():
        raise typer.BadParameter(f"there is no file {db} to export; name it with --db", param_hint="--export")
    store = Store(db)
    try:
        parts = export_parts(Views(store))
        if str(to) == "-":
            sys.stdout.writelines(parts)
            return
        try:
            with to.open("w", encoding="utf-8") as file:
                file.writelines(parts)
        except OSError as error:
            raise typer.BadParameter(
                f"cannot write {to}: {error.strerror or error}", param_hint="--export"
            ) from None
    finally:
        store.close()
