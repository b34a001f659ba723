"""Which names and values travel from the webhook to the websocket, and what leaves them out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from tuner_core.identity.forwarding.alphanumeric import MARKER, encode_alphanumeric
from tuner_core.identity.model import SipIdentity

SIP_CALL_ID = "SipCallId"
"""Name under which the Call-ID travels; the one that Twilio's own webhook uses."""

CORRELATION_ID = "X-Correlation-Id"

ALPHANUMERIC_NAMES = {SIP_CALL_ID: SIP_CALL_ID, CORRELATION_ID: "XCorrelationId"}
"""The same names where a provider allows letters and digits only."""

MAX_VALUE_CHARACTERS = 256
"""No SIP stack in use makes a longer Call-ID; a longer value is not forwarded."""


@dataclass(frozen=True, slots=True)
class Forwarded:
    """What the webhook answers, or what goes to the provider's API, so that the identity arrives.

    Attributes:
        body: the whole document.
        content_type: media type to answer with.
        left_out: names of values that did not fit the provider's limit; the call connects without them.
    """

    body: str = field(repr=False)
    content_type: str
    left_out: tuple[str, ...] = ()


def forwarded_parameters(identity: SipIdentity) -> dict[str, str]:
    """Name to value of all that links the call; empty when nothing is known.

    For building a provider's document with its own SDK: pass each pair as a custom parameter. A Call-ID goes as it
    is, but for one that a reader may take for escaped text: that goes encoded, and `resolve` decodes it.
    """
    return {name: _unmistakable(value) for name, value in linking_values(identity).items()}


def linking_values(identity: SipIdentity) -> dict[str, str]:
    """Name to value of all that links the call, as it is."""
    values = {SIP_CALL_ID: identity.sip_call_id, CORRELATION_ID: identity.correlation_id}
    return {name: value for name, value in values.items() if value and _can_travel(value)}


def fitting(
    parameters: Mapping[str, str], fits: Callable[[Mapping[str, str]], bool]
) -> tuple[dict[str, str], tuple[str, ...]]:
    """As many of `parameters` as fit, the Call-ID before the correlation id, and the names of the rest."""
    none: dict[str, str] = {}
    choices = [dict(parameters), *({name: value} for name, value in parameters.items())]
    kept = next((choice for choice in choices if fits(choice)), none)
    return kept, tuple(name for name in parameters if name not in kept)


def _unmistakable(value: str) -> str:
    mistakable = "%" in value or value.startswith(("{", "[", '"')) or value.lower().startswith(MARKER)
    return encode_alphanumeric(value) if mistakable else value


def _can_travel(value: str) -> bool:
    """True for visible characters without blanks, which is all a Call-ID may hold (RFC 3261 §25.1)."""
    return len(value) <= MAX_VALUE_CHARACTERS and value.isprintable() and " " not in value
