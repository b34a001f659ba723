"""A batch as it goes: a bar and the calls in progress on a terminal, a line a call elsewhere."""

from __future__ import annotations

from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TaskID, TextColumn
from rich.progress import TimeElapsedColumn as Elapsed

from tuner_sipbridge import batch
from tuner_sipbridge.caller.plan import PlannedCall


class BatchDisplay:
    """Shows the progress of a batch; pass it as `on_progress`. A context manager."""

    def __init__(self, console: Console, *, calls: int) -> None:
        self._console = console
        self._live = console.is_terminal
        columns = (
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            Elapsed(),
        )
        self._progress = Progress(*columns, console=console, disable=not self._live, transient=True)
        self._calls = calls
        self._done = 0
        self._whole: TaskID | None = None
        self._standing: dict[int, TaskID] = {}

    def __enter__(self) -> Self:
        """Begin to show."""
        self._progress.start()
        self._whole = self._progress.add_task("calls", total=self._calls)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Take the display away."""
        self._progress.stop()

    def __call__(self, step: batch.Progress) -> None:
        """Show one step."""
        call = step.call
        if call is None:
            self.say(
                {"rendering": "rendering the callers' speech", "linking": "waiting for posts"}[step.stage]
            )
        elif step.stage == "dialling":
            self._standing[call.number] = self._progress.add_task(_name(call), total=None)
            self.say(f"{_name(call)}: dialling")
        elif step.stage == "ended":
            self._ended(call, step)

    def _ended(self, call: PlannedCall, step: batch.Progress) -> None:
        self._done += 1
        task = self._standing.pop(call.number, None)
        if task is not None:
            self._progress.remove_task(task)
        if self._whole is not None:
            self._progress.advance(self._whole)
        if step.run is not None:
            outcome = step.run.outcome
            kind = "" if outcome.passed else f"{outcome.kind.replace('_', ' ')}: "
            self.say(f"{_name(call)}: {kind}{outcome.detail} [{self._done}/{self._calls}]")

    def say(self, text: str) -> None:
        """Show what is being done."""
        if self._live and self._whole is not None:
            self._progress.update(self._whole, description=text)
        else:
            self._console.print(text, markup=False, highlight=False)


def _name(call: PlannedCall) -> str:
    repeat = f" #{call.repeat}" if call.repeat > 1 else ""
    return f"{call.target.agent} / {call.scenario.name}{repeat}"
