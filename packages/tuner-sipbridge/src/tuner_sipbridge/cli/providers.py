"""`providers`: what is known of each provider's SIP edge."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.console import Console
from rich.padding import Padding
from rich.table import Table

from tuner_sipbridge.cli.exits import errors_as_exit_codes
from tuner_sipbridge.providers import Provider, find_provider, known_providers


def providers(
    name: Annotated[
        str | None, typer.Argument(help="One provider, told in full; all in a table without.")
    ] = None,
) -> None:
    """Show how each provider's edge is reached: URI, transport, codecs, who is let in, and what to know.

    Exit code 0: shown. 2: there is no such provider.
    """
    with errors_as_exit_codes():
        console = Console()
        if name is None:
            console.print(_table())
        else:
            _tell(find_provider(name), console)


def _table() -> Table:
    table = Table(box=None, pad_edge=False)
    for heading in ("name", "", "transports", "codecs", "lets in by"):
        table.add_column(heading, no_wrap=heading == "name", overflow="fold")
    for provider in known_providers():
        table.add_row(provider.name, provider.title, *_facts(provider))
    return table


def _facts(provider: Provider) -> tuple[str, str, str]:
    transports = ", ".join(
        f"{name} {provider.ports[name]}" if name in provider.ports else name
        for name in provider.transports or ()
    )
    unknown = "not documented" if provider.hosts else "as configured"
    return transports or unknown, ", ".join(provider.codecs) or unknown, provider.admission or unknown


def _timer(provider: Provider) -> str:
    timer = provider.session_timer
    if timer is None:
        return ""
    if timer.interval_s is None:
        return f"none ({timer.source})"
    by = "" if timer.refresher is None else f", refreshed by {timer.refresher}"
    return f"{timer.interval_s} s{by} ({timer.source})"


def _tell(provider: Provider, console: Console) -> None:
    transports, codecs, admission = _facts(provider)
    console.print(f"[bold]{provider.title}[/bold]  {provider.documentation}", highlight=False, soft_wrap=True)
    for label, value, fact in (
        ("URI", provider.uri, "hosts"),
        ("transports", transports, "transports"),
        ("codecs", codecs, "codecs"),
        ("lets in by", admission, "admission"),
        ("timer", _timer(provider), ""),
        ("100rel", provider.reliable or "", "reliable"),
        ("media", provider.media, "media"),
        ("headers", ", ".join(f"{name}: {value}" for name, value in provider.headers.items()), "headers"),
    ):
        if value:
            source = f" ({provider.sources[fact]})" if fact in provider.sources else ""
            console.print(f"{label:<12}{value}{source}", highlight=False, markup=False, soft_wrap=True)
    for quirk in provider.quirks:
        console.print(Padding(f"- {quirk.text}", (0, 0, 0, 2)), highlight=False, markup=False)
        console.print(f"    {quirk.source}", style="dim", highlight=False, soft_wrap=True)
    for status, meaning in sorted(provider.meanings.items()):
        concluded = "" if meaning.documented else " (concluded; the page names no status)"
        text = f"{status}: {meaning.means}; {meaning.change}{concluded}"
        console.print(Padding(text, (0, 0, 0, 2)), highlight=False, markup=False)
        console.print(f"    {meaning.source}", style="dim", highlight=False, soft_wrap=True)
