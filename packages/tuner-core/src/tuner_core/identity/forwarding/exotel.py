"""Custom parameters in the query of the websocket's URL: Exotel's Stream and Voicebot applets.

An applet whose URL is an HTTPS address asks it for the websocket's URL, call by call. That URL may carry three
pairs and 256 characters of them (developer.exotel.com, Stream and Voicebot applet); they arrive as
`start.custom_parameters`. Values travel in letters and digits, so that it does not matter who unescapes them.
"""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import urlsplit, urlunsplit

from tuner_core.identity.forwarding.alphanumeric import encode_alphanumeric
from tuner_core.identity.forwarding.parameters import ALPHANUMERIC_NAMES, fitting, linking_values
from tuner_core.identity.model import SipIdentity

MAX_PAIRS = 3
MAX_CHARACTERS = 256

_APPLET_OPTIONS = ("sample-rate",)
"""Pairs that the applet itself reads, which are no custom parameters."""


def stream_url(identity: SipIdentity, url: str) -> tuple[str, tuple[str, ...]]:
    """`url` with the identity in its query, and the names of what did not fit."""
    parts = urlsplit(url)
    own = [pair for pair in parts.query.split("&") if pair]
    counted = [pair for pair in own if pair.partition("=")[0] not in _APPLET_OPTIONS]

    def fits(chosen: Mapping[str, str]) -> bool:
        pairs = [*counted, *_pairs(chosen)]
        return len(pairs) <= MAX_PAIRS and len("&".join(pairs)) <= MAX_CHARACTERS

    kept, left_out = fitting(linking_values(identity), fits)
    query = "&".join([*own, *_pairs(kept)])
    return urlunsplit(parts._replace(query=query)), left_out


def _pairs(parameters: Mapping[str, str]) -> list[str]:
    return [f"{ALPHANUMERIC_NAMES[name]}={encode_alphanumeric(value)}" for name, value in parameters.items()]
