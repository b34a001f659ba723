"""What happens to a call, as values. Both halves of a call speak these, the UAC and the UAS.

A call gives exactly one closing event: `Rejected`, `AuthenticationRefused`, `Cancelled`, `TimedOut`,
`NegotiationFailed` or `Ended`. It is given at the moment the outcome is settled: `hang_up` gives `Ended`
when the BYE is handed out, not when it is answered. The machine may have messages to send for a while after
that; it says `finished` when it has none left.

`by` names a party: `caller` is the UAC side of the call, `agent` the UAS side, whichever of the two we are.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from tuner_sipbridge.sdp.negotiation import Negotiated
from tuner_sipbridge.sdp.session import SessionDescription

Party: TypeAlias = Literal["caller", "agent", "network"]
Stage: TypeAlias = Literal["no response", "ringing"]


@dataclass(frozen=True, slots=True)
class Ringing:
    """A provisional response above 100 came (RFC 3261 §13.2.2.1); given once for each status in a row."""

    status: int


@dataclass(frozen=True, slots=True)
class EarlyMedia:
    """A provisional response carried an answer: the far end may send audio before it picks up."""

    status: int
    negotiated: Negotiated


@dataclass(frozen=True, slots=True)
class Answered:
    """The call stands: a 2xx came (UAC) or was sent (UAS), and offer and answer agree.

    A UAS that was invited without an offer gives this when the ACK has brought the answer.
    """

    negotiated: Negotiated
    status: int = 200


@dataclass(frozen=True, slots=True)
class Renegotiated:
    """The far end changed the session in mid-call: hold, resume, another address (RFC 3261 §14.2)."""

    negotiated: Negotiated


@dataclass(frozen=True, slots=True)
class Rejected:
    """Closing: a final response of 300 or above.

    Attributes:
        status: SIP status code.
        reason: reason phrase as on the wire.
        text: the cause in plain words.
    """

    status: int
    reason: str
    text: str


@dataclass(frozen=True, slots=True)
class AuthenticationRefused:
    """Closing: challenged, and the credentials are missing, not accepted, or of no known scheme.

    Attributes:
        status: 401 or 407.
        realm: realm of the challenge.
        text: the cause in plain words.
        reason: reason phrase as on the wire.
    """

    status: int
    realm: str
    text: str
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Cancelled:
    """Closing: the caller gave up before the answer. On the UAS side, a CANCEL came."""

    why: str = ""


@dataclass(frozen=True, slots=True)
class TimedOut:
    """Closing: nobody answered in time.

    Attributes:
        stage: `no response` (not even a provisional one) or `ringing` (the caller's ring time-out).
        text: the cause in plain words.
    """

    stage: Stage
    text: str = ""


@dataclass(frozen=True, slots=True)
class Unreachable:
    """Closing: the INVITE could not be delivered: no connection, no name, a certificate that is not trusted."""

    text: str


@dataclass(frozen=True, slots=True)
class NegotiationFailed:
    """Closing: offer and answer have no codec, address or transport in common."""

    text: str


@dataclass(frozen=True, slots=True)
class Ended:
    """Closing: a call that stood is over.

    Attributes:
        by: who hung up; `network` when the far end is gone without a BYE.
        reason: plain words, the far end's Reason header (RFC 3326) where it gave one.
    """

    by: Party
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Incoming:
    """A UAS has an INVITE to decide on; with a challenger, only once the credentials are verified.

    Attributes:
        caller: user part of the From URI, or its host when there is none.
        called: user part of the Request-URI, or its host when there is none.
        offer: the INVITE's session description; None when we are asked to make the offer.
    """

    caller: str = field(repr=False)
    called: str = field(repr=False)
    offer: SessionDescription | None = field(repr=False)


CallEvent: TypeAlias = (
    Ringing
    | EarlyMedia
    | Answered
    | Renegotiated
    | Rejected
    | AuthenticationRefused
    | Cancelled
    | TimedOut
    | Unreachable
    | NegotiationFailed
    | Ended
    | Incoming
)

CLOSING_EVENTS = (Rejected, AuthenticationRefused, Cancelled, TimedOut, Unreachable, NegotiationFailed, Ended)
"""The kinds of event of which every call gives exactly one."""
