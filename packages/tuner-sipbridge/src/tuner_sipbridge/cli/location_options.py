"""Options of the commands that call out: name server, trunks, patience with a silent target."""

from __future__ import annotations

from typing import Annotated

import typer

from tuner_sipbridge.net.driver import NEXT_TARGET_AFTER_S
from tuner_sipbridge.sip.targets import Trunk

_PANEL = "Finding the far end"

NameServer = Annotated[
    str | None,
    typer.Option(
        "--dns",
        metavar="ADDRESS[:PORT]",
        help="Name server to ask in place of the system's.",
        rich_help_panel=_PANEL,
    ),
]
TrunkTexts = Annotated[
    list[str] | None,
    typer.Option(
        "--trunk",
        metavar="URI[,PRIORITY[,WEIGHT]]",
        help="Way out for the calls; may be repeated. The lowest priority is tried first, weights share the calls.",
        rich_help_panel=_PANEL,
    ),
]
NextTargetAfter = Annotated[
    float,
    typer.Option(
        min=0.5,
        metavar="SECONDS",
        help="Without any response for so long, the next address, registrar or trunk is tried.",
        rich_help_panel=_PANEL,
    ),
]
DEFAULT_NEXT_TARGET_AFTER_S = NEXT_TARGET_AFTER_S


def trunks_of(texts: list[str] | None) -> list[Trunk]:
    """The trunks that the options name.

    Raises:
        LocalProtocolError: one of them is none.
    """
    return [Trunk.parse(text) for text in texts or []]
