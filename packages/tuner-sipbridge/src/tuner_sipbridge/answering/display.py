"""Answered calls as they go: a line a step."""

from __future__ import annotations

from rich.console import Console

from tuner_sipbridge.answering.results import Progress


class AnsweringDisplay:
    """Prints progress; pass it as `on_progress`."""

    def __init__(self, console: Console, *, calls: int | None = None) -> None:
        self._console, self._calls = console, calls

    def __call__(self, step: Progress) -> None:
        """Show one step."""
        of = f"/{self._calls}" if self._calls is not None else ""
        self._console.print(f"[{step.number}{of}] {step.rule}: {_words(step)}", markup=False, highlight=False)


def _words(step: Progress) -> str:
    if step.result is not None:
        result = step.result
        if result.outcome != "success":
            return f"{result.kind}: {result.detail}"
        # Who is not linked has passed on the line: the reason says what is missing.
        return result.reason if result.linked is False else result.detail
    words = {"came": "a call came", "registered": "calling a contact"}
    return words.get(step.stage, step.stage)
