"""`tuner resolve FILE`: what a provider's payload would link the call by, and what to configure when nothing."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.text import Text

from tuner_core.errors import ConfigError
from tuner_core.identity import Resolution, resolution
from tuner_core.identity.reading import read_text

_WIDEST_LABEL = len("correlation_id")


def resolve(
    file: Annotated[
        Path,
        typer.Argument(help="JSON, a form body, SIP headers, lines of variables; - reads standard input."),
    ],
    provider: Annotated[
        str, typer.Option("--provider", help="Whose payload it is; auto tells from its shape.")
    ] = "auto",
    as_json: Annotated[bool, typer.Option("--json", help="Print the fields of SipIdentity as JSON.")] = False,
) -> None:
    """Show the SIP identity in a webhook, an event, a start message or an INVITE. Nothing else of it is printed.

    Exit code 0: there is a Call-ID to send. 1: there is none. 2: the file cannot be read.
    """
    text = _text_of(file)
    try:
        found = resolution(text, provider)
    except ConfigError as error:
        raise typer.BadParameter(str(error), param_hint="--provider") from None
    if as_json:
        typer.echo(json.dumps(asdict(found.identity), ensure_ascii=False))
    else:
        _show(found, Console(highlight=False))
    raise typer.Exit(0 if found.identity.sip_call_id else 1)


def _text_of(file: Path) -> str:
    """The file's text; exit code 2 when there is none, or when it is of no form that can hold a payload."""
    try:
        data = sys.stdin.buffer.read() if str(file) == "-" else file.read_bytes()
        text = data.decode("utf-8")
    except OSError as error:
        raise _unreadable(file, error.strerror or "cannot be read") from None
    except UnicodeDecodeError:
        raise _unreadable(file, "not UTF-8 text") from None
    if not text.strip():
        raise _unreadable(file, "empty")
    if read_text(text).data is None:
        raise _unreadable(
            file,
            "neither JSON nor a form body (a=b&c=d) nor lines of headers (Name: value) or variables (name=value)",
        )
    return text


def _unreadable(file: Path, reason: str) -> typer.Exit:
    typer.echo(f"{'standard input' if str(file) == '-' else file}: {reason}", err=True)
    return typer.Exit(2)


def _show(found: Resolution, console: Console) -> None:
    identity = found.identity
    whose = f"{identity.provider}, {found.shape}" if found.shape else identity.provider
    console.print(Text.assemble((whose, "bold"), f" (read as {found.format or 'text'})"), soft_wrap=True)
    rows = (
        ("sip_call_id", identity.sip_call_id, "green"),
        ("correlation_id", identity.correlation_id, "green"),
    )
    for name, value, style in rows:
        shown = (
            Text.assemble((value, style), f"  at {identity.found_at[name]}") if value else Text("none", "red")
        )
        console.print(Text(f"  {name:<{_WIDEST_LABEL}}  ").append_text(shown), soft_wrap=True)
    if identity.provider_call_id:
        own = f"  {'not sent':<{_WIDEST_LABEL}}  {identity.provider_call_id}"
        where = identity.found_at["provider_call_id"]
        console.print(Text(f"{own}  at {where}, the provider's own id", "dim"), soft_wrap=True)
    for warning in identity.warnings:
        said = warning.removesuffix(f": {found.fix}") if found.fix else warning
        console.print(Text.assemble(("warning  ", "yellow"), said), soft_wrap=True)
    if found.fix:
        console.print(Text.assemble(("fix      ", "bold cyan"), found.fix), soft_wrap=True)
