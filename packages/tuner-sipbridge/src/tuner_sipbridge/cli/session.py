"""Options of the media session that `dial`, `run`, `verify` and `answer` share."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import Annotated

import typer

MEDIA = "Media"
CODEC_NAMES = "PCMU|PCMA|G722|opus"
CODEC_HELP = "Codec to speak, best first; may be repeated. By default the provider's, else PCMU and PCMA."
CODEC_HELP_ANSWERING = "Codec to accept, best first; may be repeated. PCMU and PCMA by default."
SRTP_HELP = "SRTP: off; optional: where the far end can; required: or no call."


class Codec(StrEnum):
    """Codecs by their names of RFC 3551 and RFC 7587; the last two need an extra each."""

    pcmu = "PCMU"
    pcma = "PCMA"
    g722 = "G722"
    opus = "opus"


class SrtpChoice(StrEnum):
    """What to do about SRTP."""

    off = "off"
    optional = "optional"
    required = "required"


Srtp = Annotated[SrtpChoice, typer.Option("--srtp", rich_help_panel=MEDIA, help=SRTP_HELP)]
Codecs = Annotated[
    list[Codec] | None,
    typer.Option("--codec", metavar=CODEC_NAMES, rich_help_panel=MEDIA, help=CODEC_HELP),
]
LateOffer = Annotated[
    bool,
    typer.Option(
        "--late-offer",
        rich_help_panel=MEDIA,
        help="INVITE without SDP: the far end offers, our ACK answers.",
    ),
]


def spoken(given: Sequence[Codec] | None) -> tuple[str, ...] | None:
    """The codecs to speak, in the order given; None when none is."""
    return tuple(codec.value for codec in given) if given else None
