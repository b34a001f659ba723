"""What `verify` prints for people: a line a verdict, as soon as it is known, and a sentence at the end."""

from __future__ import annotations

import asyncio
import textwrap
import time

from rich.console import Console
from rich.status import Status
from rich.text import Text

from tuner_sipbridge.sip.uri import without_password
from tuner_sipbridge.verify.facts import STEPS, Step, StepName, Verdict
from tuner_sipbridge.verify.run import Access, Verification, verify

TITLES: dict[StepName, str] = {
    "uri": "URI",
    "dns": "DNS",
    "connection": "connection",
    "options": "OPTIONS",
    "registration": "REGISTER",
    "invite": "INVITE",
    "challenge": "challenge",
    "credentials": "credentials",
    "answer": "answer",
    "sdp": "SDP",
    "media_in": "audio in",
    "media_out": "audio out",
    "dtmf": "DTMF",
    "bye": "BYE",
    "packets": "packets",
}
_MARKS: dict[Verdict, tuple[str, str]] = {
    "ok": ("✓", "bold green"),
    "warning": ("!", "bold yellow"),
    "failed": ("✗", "bold red"),
    "not reached": ("–", "dim"),
}
_WIDEST = 100
_INDENT = 14


def shown(uri: str, access: Access) -> Verification:
    """Walk the steps of a URI, and print each verdict when it is known; progress shows on a terminal only.

    Raises:
        SipBridgeError: as `verify`.
    """
    console = Console()
    console.width = min(console.width, _WIDEST)
    console.print(Text(without_password(uri), "bold"), soft_wrap=True)
    with console.status(_Waiting(0)) as status:
        result = asyncio.run(verify(uri, access, on_step=_Printer(console, status)))
    unreached = [TITLES[step.name] for step in result.steps if step.verdict == "not reached"]
    if unreached:
        console.print(_line("not reached", "not reached", ", ".join(unreached), "", width=console.width))
    console.print(_sentence(result))
    return result


class _Printer:
    """Prints verdicts as they come, and names the step that is waited for."""

    def __init__(self, console: Console, status: Status) -> None:
        self._console, self._status = console, status

    def __call__(self, step: Step) -> None:
        """Print one."""
        if step.verdict in _MARKS and step.verdict != "not reached":
            width = self._console.width
            line = _line(step.verdict, TITLES[step.name], step.detail, step.change, width=width)
            self._console.print(line, highlight=False, soft_wrap=True)
        self._status.update(_Waiting(STEPS.index(step.name) + 1))


class _Waiting:
    """The step that is waited for, and since when: drawn anew while it takes."""

    def __init__(self, step: int) -> None:
        self._title = TITLES[STEPS[step]] if step < len(STEPS) else ""
        self._since = time.monotonic()

    def __rich__(self) -> Text:
        """As it is drawn now."""
        waited = time.monotonic() - self._since
        return Text(f"{self._title} … {f'{waited:.0f} s' if waited >= 1 else ''}")


def _line(verdict: Verdict, title: str, detail: str, change: str, *, width: int) -> Text:
    """One verdict, with what follows the title indented below its first line."""
    room = width - _INDENT
    lines = textwrap.wrap(detail, room) or [""]
    changes = textwrap.wrap(f"→ {change}", room, subsequent_indent="  ") if change else []
    mark, style = _MARKS[verdict]
    faint = "dim" if verdict == "not reached" else ""
    text = Text.assemble((mark, style), " ", (title.ljust(_INDENT - 2), faint))
    below = "\n" + " " * _INDENT
    return text.append(below.join(lines), faint).append("".join(below + line for line in changes), "cyan")


def _sentence(result: Verification) -> Text:
    failed = [TITLES[step.name] for step in result.steps if step.verdict == "failed"]
    warned = [TITLES[step.name] for step in result.steps if step.verdict == "warning"]
    also = f"; look at: {', '.join(warned)}" if warned else ""
    if failed:
        return Text.assemble((f"failed: {', '.join(failed)}", "bold red"), also)
    return Text.assemble(("this URI can be called", "bold green"), also)
