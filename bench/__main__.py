"""Run the bench: `python -m bench [--quick] [--calls 100 300] [--seconds 4] [--rounds 3] [--only tuner sipp core]`.

`--only signalling` is calls without media.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeElapsedColumn

from bench.core.figures import figures_of
from bench.core.page import section_of
from bench.core.run import QUICK, Measured, Sizes, WorkerFailed, measure
from bench.core.table import table_of as core_table_of
from bench.page import page_of
from bench.peers import PeerEnvironment
from bench.results import Conditions, Row, disturbance
from bench.run import ROOT, RunFailed, run_once
from bench.signalling import figures as signalling_figures
from bench.signalling import page as signalling_page
from bench.signalling import run as signalling_run
from bench.subjects import all_subjects
from bench.table import table_of

BUDGET_S = 280.0
"""No round begins that would not be over by then."""

CORE = "core"
"""The key of all figures of tuner-core."""
SIGNALLING = "signalling"
"""The key of all figures of calls without media."""


@dataclass(slots=True)
class _Sections:
    """What was measured besides the rows; None where it was not asked for or failed, and why it failed."""

    core: Measured | None = None
    signalling: signalling_run.Measured | None = None
    failures: list[str] = field(default_factory=list[str])


def main() -> int:
    options = _options()
    if not sys.platform.startswith("linux"):
        print("bench: reads /proc and the kernel's arrival times: Linux only", file=sys.stderr)
        return 3
    console = Console(width=None if sys.stdout.isatty() else 120)
    counts = sorted(options.calls or ([100] if options.quick else [100, 300]))
    seconds = options.seconds or (2.0 if options.quick else 4.0)
    only = options.only or []
    with tempfile.TemporaryDirectory(prefix="tuner-bench-peers-") as folder, _Display(console) as display:
        media = [key for key in only if key not in (CORE, SIGNALLING)]
        rows: list[Row] = []
        rounds, sections = 0, _Sections()
        if media or not only:
            display.say("installing the peers into a throwaway environment")
            subjects = all_subjects(counts, PeerEnvironment(Path(folder) / "venv"), only=media)
            rows = [Row(subject, failure=subject.absent) for subject in subjects]
            rounds = _measure(rows, display, options, seconds)
        if CORE in only or not only:
            _measure_core(sections, Path(folder), display, options)
        if SIGNALLING in only or not only:
            _measure_signalling(sections, Path(folder), display, options)
    conditions = Conditions.of_this_machine(rounds=rounds, seconds=seconds, pinned=options.pin)
    _print(console, rows, conditions, sections)
    _write(rows, conditions, sections, options.out)
    console.print(
        f"\n{options.out}/bench.html shows it as a picture, {options.out}/bench.json holds every run."
    )
    return 1 if sections.failures or not all(row.runs for row in rows if row.subject.ours) else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m bench", description="What calls cost: our dialer, our core, and their peers."
    )
    parser.add_argument("--calls", type=int, nargs="+", help="calls at once, smallest for all (100 300)")
    parser.add_argument("--seconds", type=float, help="length of the measured middle of a run (4)")
    parser.add_argument("--rounds", type=int, default=3, help="how often each is run (%(default)s)")
    parser.add_argument(
        "--only",
        nargs="+",
        help="keys of rows: tuner, tuner-busy, agent-transport, aiosipua, sipp, …; core: tuner-core; signalling",
    )
    parser.add_argument("--pin", action="store_true", help="far end on the last core, dialer on the others")
    parser.add_argument("--quick", action="store_true", help="100 calls, one round of 2 s")
    parser.add_argument("--out", type=Path, default=Path("out/bench"), help="where to write (%(default)s)")
    return parser.parse_args()


def _measure(rows: Sequence[Row], display: _Display, options: argparse.Namespace, seconds: float) -> int:
    """Run everything in turn, several times over; gives how many rounds there were."""
    rounds = 1 if options.quick else options.rounds
    display.total(rounds * len(rows))
    begin = time.monotonic()
    for done in range(rounds):
        spent = time.monotonic() - begin
        if done and spent + spent / done > BUDGET_S:
            return done
        for row in rows:
            if not row.failure:
                display.say(f"{row.subject.name}, {row.subject.calls} calls, round {done + 1} of {rounds}")
                try:
                    row.runs.append(run_once(row.subject, seconds=seconds, pinned=options.pin))
                except RunFailed as error:
                    row.failure = str(error)
                    display.say(f"{row.subject.name}: {error}")
            display.advance()
    return rounds


def _measure_core(sections: _Sections, folder: Path, display: _Display, options: argparse.Namespace) -> None:
    """What the core costs, or why that is not known."""
    sizes, rounds = (QUICK, 1) if options.quick else (Sizes(), options.rounds)
    try:
        sections.core = measure(folder, sizes=sizes, rounds=rounds, say=display.say)
    except WorkerFailed as error:
        sections.failures.append(f"core: {error}")


def _measure_signalling(
    sections: _Sections, folder: Path, display: _Display, options: argparse.Namespace
) -> None:
    """What calls without media cost, or why that is not known."""
    quick = options.quick
    sizes, rounds = (signalling_run.QUICK, 1) if quick else (signalling_run.Sizes(), options.rounds)
    try:
        sections.signalling = signalling_run.measure(folder, sizes=sizes, rounds=rounds, say=display.say)
    except WorkerFailed as error:
        sections.failures.append(f"signalling: {error}")


def _print(console: Console, rows: Sequence[Row], conditions: Conditions, sections: _Sections) -> None:
    if rows:
        console.print(table_of(rows, conditions))
    if sections.core is not None:
        console.print(core_table_of(figures_of(sections.core), sections.core, conditions.where))
    if sections.signalling is not None:
        console.print(signalling_page.table_of(sections.signalling, conditions.where))
    for failure in sections.failures:
        console.print(failure, markup=False)


def _write(rows: Sequence[Row], conditions: Conditions, sections: _Sections, out: Path) -> None:
    folder = ROOT / out
    folder.mkdir(parents=True, exist_ok=True)
    result: dict[str, object] = {
        "conditions": {**asdict(conditions), "others_share": round(disturbance(rows), 3)},
        "rows": [row.to_json() for row in rows],
    }
    drawn: list[dict[str, Any]] = []
    if (core := sections.core) is not None:
        figures = figures_of(core)
        result["core"] = {
            "rounds": core.rounds,
            "others_share": round(core.others, 3),
            "published_absent": core.peer.absent,
            "figures": [figure.to_json() for figure in figures],
            "runs": {"ours": core.ours.said, "published": core.peer.said},
        }
        drawn.append(section_of(figures, core, conditions.where))
    if sections.signalling is not None:
        result["signalling"] = signalling_figures.to_json(sections.signalling)
        drawn.append(signalling_page.section_of(sections.signalling, conditions.where))
    (folder / "bench.json").write_text(json.dumps(result, indent=2) + "\n")
    (folder / "bench.html").write_text(page_of(rows, conditions, drawn))


class _Display:
    """A bar on a terminal, a line a step elsewhere. It draws seldom: the machine is being measured."""

    def __init__(self, console: Console) -> None:
        self._console = console
        columns = ("{task.description}", BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        self._progress = Progress(
            *columns, console=console, transient=True, refresh_per_second=2, disable=not console.is_terminal
        )
        self._task = self._progress.add_task("", total=None)

    def __enter__(self) -> _Display:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def say(self, text: str) -> None:
        """Show what is being done."""
        self._progress.update(self._task, description=text)
        if not self._console.is_terminal:
            self._console.print(f"bench: {text}", markup=False, highlight=False)

    def total(self, steps: int) -> None:
        """Say how many steps there will be."""
        self._progress.update(self._task, total=steps)

    def advance(self) -> None:
        """One step is done."""
        self._progress.advance(self._task)


if __name__ == "__main__":
    sys.exit(main())
