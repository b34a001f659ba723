"""Options of `dial --via livekit`, and which others go with it."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from tuner_sipbridge.errors import LocalProtocolError, SipBridgeError
from tuner_sipbridge.via_livekit.account import LiveKitAccount
from tuner_sipbridge.via_livekit.callee import callee_of
from tuner_sipbridge.via_livekit.terms import TrunkTerms

if TYPE_CHECKING:
    from tuner_sipbridge.via_livekit.dialer import LiveKitDialer


_PANEL = "With --via livekit"


class Way(StrEnum):
    """Who makes the call."""

    sip = "sip"
    livekit = "livekit"


Via = Annotated[
    Way,
    typer.Option(
        "--via",
        help="sip: this machine calls. livekit: a LiveKit project does (LIVEKIT_URL, LIVEKIT_API_KEY,"
        " LIVEKIT_API_SECRET), and the caller speaks in a room of it.",
    ),
]
TrunkId = Annotated[
    str, typer.Option("--trunk-id", metavar="ST_…", rich_help_panel=_PANEL, help="The outbound trunk to use.")
]
RoomName = Annotated[
    str,
    typer.Option(
        "--room", metavar="NAME", rich_help_panel=_PANEL, help="Room to speak in; by default one is made."
    ),
]
AnswerDigits = Annotated[
    str,
    typer.Option(
        "--dtmf", metavar="DIGITS", rich_help_panel=_PANEL, help="Sent after the answer; w waits 0.5 s."
    ),
]
Attributes = Annotated[
    list[str] | None,
    typer.Option(
        "--attribute",
        metavar="NAME=VALUE",
        rich_help_panel=_PANEL,
        help="Of the callee's participant; may be repeated.",
    ),
]
MaxCall = Annotated[
    float | None,
    typer.Option(
        "--max-call",
        min=1.0,
        metavar="SECONDS",
        rich_help_panel=_PANEL,
        help="LiveKit ends the call after so long.",
    ),
]
WaitUntilAnswered = Annotated[
    bool,
    typer.Option(
        "--wait-until-answered/--no-wait-until-answered",
        rich_help_panel=_PANEL,
        help="Keep the request open until the answer, so that a refusal has its SIP status.",
    ),
]

LIVEKIT_ONLY = (
    "trunk_id",
    "room",
    "answer_dtmf",
    "attribute",
    "max_call",
    "wait_until_answered",
)
"""What shapes the call that LiveKit makes, and no other."""
_SIP_ONLY = (
    "call_id",
    "register",
    "registrar",
    "provider",
    "transport",
    "tls_ca",
    "tls_cert",
    "tls_key",
    "tls_pin",
    "insecure",
    "public_address",
    "dns",
    "trunk",
    "next_target_after",
    "codec",
    "late_offer",
    "session_interval",
    "refresher",
    "min_se",
    "reliable",
    "follow_transfers",
    "pcap",
)
"""LiveKit makes the INVITE and everything below it."""


def check_options(via: Way, context: typer.Context) -> None:
    """Refuse what was given on the command line and does not go with the way of the call.

    Raises:
        LocalProtocolError: names the option.
    """
    if via is Way.livekit:
        for option in _given(context, _SIP_ONLY):
            raise LocalProtocolError(f"{option} does not go with --via livekit: LiveKit makes the SIP call")
    else:
        for option in _given(context, LIVEKIT_ONLY):
            raise LocalProtocolError(f"{option} is for --via livekit")


def livekit_dialer(target: str, terms: TrunkTerms) -> LiveKitDialer:
    """The dialer that calls `target` through the LiveKit project of the environment.

    Raises:
        LocalProtocolError: a variable is not set, or LiveKit cannot call that target on these terms.
        SipBridgeError: the extra is not installed.
    """
    callee_of(target, terms)
    try:
        from tuner_sipbridge.via_livekit.dialer import LiveKitDialer
    except ImportError as error:
        raise SipBridgeError(
            f"--via livekit needs {error.name}: pip install 'tuner-sipbridge[livekit]'"
        ) from error
    account = LiveKitAccount.from_environ(os.environ)
    # Its library tells each failed attempt to join on its own; the result says it once, in words.
    logging.getLogger("livekit").setLevel(logging.CRITICAL)
    return LiveKitDialer(account, terms)


def _given(context: typer.Context, names: Iterable[str]) -> list[str]:
    options = {parameter.name: parameter.opts[0] for parameter in context.command.params}
    sources = {name: context.get_parameter_source(name) for name in names}
    return [
        options[name]
        for name, source in sources.items()
        if source is not None and source.name == "COMMANDLINE"
    ]
