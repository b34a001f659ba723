"""A run as a table in the terminal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from tuner_sipbridge.measure.summary import Distribution
from tuner_sipbridge.report.json_values import object_of
from tuner_sipbridge.report.result import CallResult, RunResult


def results_table(result: RunResult) -> Table:
    """One row a call: whether it passed and was linked, and its figures in ms; fits 80 columns."""
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
    table.add_column("", min_width=1, no_wrap=True)
    for heading in ("agent", "scenario", "linked"):
        table.add_column(heading, no_wrap=True)
    for heading in ("set-up", "greeting", "reply", "slowest", "stop", "lost"):
        table.add_column(heading, justify="right", no_wrap=True)
    for call in result.calls:
        table.add_row(*_row(call))
    return table


def results_console() -> Console:
    """A console for results: the terminal's own width, 120 columns where the output goes elsewhere."""
    console = Console()
    return console if console.is_terminal else Console(width=120)


def print_results(result: RunResult, console: Console) -> None:
    """Print the table, below it each call that failed with the reason, and the run in one sentence."""
    console.print(results_table(result))
    for call in result.calls:
        if not call.passed:
            console.print(_failure(call))
    console.print(_sentence(result))


def _row(call: CallResult) -> list[Text]:
    measures = call.measures
    latency = _part(measures, "response_latency_ms")
    transport = _part(measures, "media")
    mark = Text("✓", "bold green") if call.passed else Text("✗", "bold red")
    return [
        mark,
        Text(call.agent),
        Text(call.scenario),
        _linked(call.linked),
        Text(_figure(_part(measures, "signalling").get("setup_time_ms"))),
        Text(_figure(measures.get("greeting_latency_ms"))),
        Text(_figure(latency.get("p50"))),
        Text(_figure(latency.get("max"))),
        Text(_figure(_part(measures, "stop_time_ms").get("p50"))),
        Text(str(transport.get("lost", "–")) if transport.get("received") else "–"),
    ]


def _failure(call: CallResult) -> Text:
    """One line on why, and where a hop is known one on where."""
    reason = (call.reason or call.detail).removeprefix("not linked: ")
    text = Text.assemble(
        ("✗ ", "bold red"), f"{call.agent} / {call.scenario}: ", (call.kind, "red"), f": {reason}"
    )
    failure = call.failure
    if failure is not None and failure.where:
        text.append(f"\n  {failure.when}, at {failure.where}", "dim")
    return text


def _linked(linked: bool | None) -> Text:
    if linked is None:
        return Text("–", "dim")
    return Text("yes", "green") if linked else Text("no", "bold red")


def _part(measures: dict[str, Any], name: str) -> dict[str, Any]:
    return object_of(measures.get(name))


def _figure(milliseconds: float | None) -> str:
    return "–" if milliseconds is None else f"{milliseconds:.0f}"


def _sentence(result: RunResult) -> Text:
    calls, passed = len(result.calls), sum(call.passed for call in result.calls)
    text = Text.assemble(
        (f"{passed} of {calls} calls passed", "bold green" if result.passed else "bold red"),
    )
    if result.failed:
        text.append(f" ({', '.join(f'{count} {kind}' for kind, count in result.failed.items())})")
    asked = [call for call in result.calls if call.linked is not None]
    if asked:
        text.append(f", {sum(call.linked is True for call in asked)} of {len(asked)} linked")
    text.append(_told("response latency", result.response_latency()))
    text.append(_told("barge-in stop time", result.stop_time()))
    text.append("; times in ms, as heard at the caller's RTP port")
    if result.not_made:
        text.append(f"\ninterrupted: {result.not_made} more were not made", "bold red")
    if result.refused:
        text.append(f"\n{turned_away(result.refused)}")
    return text


def turned_away(refused: Mapping[str, int]) -> str:
    """What an answering side turned away, in one line."""
    return f"turned away: {', '.join(f'{count} {reason}' for reason, count in sorted(refused.items()))}"


def _told(name: str, values: Distribution) -> str:
    if values.p50 is None or values.maximum is None:
        return ""
    return f"; {name} p50 {values.p50 * 1000:.0f}, max {values.maximum * 1000:.0f} ({values.count})"
