"""Options of the extensions of SIP that a call speaks: session timer, reliable provisional responses, transfers."""

from __future__ import annotations

from dataclasses import replace
from enum import StrEnum
from typing import Annotated

import typer

from tuner_sipbridge.call.extensions import Extensions

_PANEL = "Extensions of SIP"


class Refresher(StrEnum):
    """Who refreshes a session (RFC 4028)."""

    us = "us"
    peer = "peer"


class ReliableChoice(StrEnum):
    """What to do about reliable provisional responses (RFC 3262)."""

    no = "no"
    supported = "supported"
    required = "required"


SessionInterval = Annotated[
    int | None,
    typer.Option(
        min=0,
        metavar="SECONDS",
        rich_help_panel=_PANEL,
        help="Session interval to ask for (RFC 4028), 90 or more; 0: none. The provider's, or 1800, by default.",
    ),
]
SessionRefresher = Annotated[
    Refresher | None,
    typer.Option(
        rich_help_panel=_PANEL,
        help="Who refreshes the session; us: even where the far end knows of no timer. The answering side chooses"
        " by default.",
    ),
]
MinSe = Annotated[
    int | None,
    typer.Option(
        "--min-se",
        min=0,
        metavar="SECONDS",
        rich_help_panel=_PANEL,
        help="Shortest session interval to agree to; shorter ones get 422. 90 by default.",
    ),
]
Reliable = Annotated[
    ReliableChoice | None,
    typer.Option(
        "--100rel",
        rich_help_panel=_PANEL,
        help="Reliable provisional responses (RFC 3262): no; supported: where the far end wants them (default);"
        " required: or no call.",
    ),
]
FollowTransfers = Annotated[
    bool,
    typer.Option(
        "--follow-transfers",
        rich_help_panel=_PANEL,
        help="When the agent transfers the caller (REFER), call the new party; else it is declined.",
    ),
]


def extensions_of(
    terms: Extensions,
    interval_s: int | None,
    refresher: Refresher | None,
    least_s: int | None,
    reliable: ReliableChoice | None,
) -> Extensions:
    """`terms` with what the options say; those that are None leave them as they are.

    Raises:
        LocalProtocolError: they do not go together.
    """
    least = terms.least_session_interval_s if least_s is None else least_s
    # An interval that nobody gave follows the least one.
    usual = terms.session_interval_s and max(terms.session_interval_s, least)
    interval = usual if interval_s is None else interval_s or None
    who = terms.refresher if interval is not None else None
    return replace(
        terms,
        session_interval_s=interval,
        least_session_interval_s=least,
        refresher=who if refresher is None else refresher.value,
        reliable=terms.reliable if reliable is None else reliable.value,
    )
