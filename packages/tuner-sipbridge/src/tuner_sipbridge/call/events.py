"""What happens to a call, as values. Both halves of a call speak these, the UAC and the UAS.

A call gives exactly one closing event: `Rejected`, `AuthenticationRefused`, `Cancelled`, `TimedOut`,
`NegotiationFailed` or `Ended`. It is given at the moment the outcome is settled: `hang_up` gives `Ended`
when the BYE is handed out; what becomes of that BYE is told by `Parted`. The machine may have messages to send for a
while after that; it says `finished` when it has none left.

`by` names a party: `caller` is the UAC side of the call, `agent` the UAS side, whichever of the two we are.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from tuner_sipbridge.call.causes import NO_FAILURE, Failure
from tuner_sipbridge.call.parties import Parties
from tuner_sipbridge.sdp.negotiation import Negotiated
from tuner_sipbridge.sdp.session import SessionDescription

Party: TypeAlias = Literal["caller", "agent", "network"]
Stage: TypeAlias = Literal["no response", "ringing"]
Problem: TypeAlias = Literal["no digest", "no credentials", "unknown algorithm", "wrong credentials", "stale"]
"""What stands against answering a challenge: it is none of digest, there are no credentials for it, its hash is
not known, the credentials were tried and refused, or each nonce is called stale."""


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
    """The session changed in mid-call, from either side: hold, resume, another address (RFC 3261 §14)."""

    negotiated: Negotiated


@dataclass(frozen=True, slots=True)
class ChangeRefused:
    """A change of ours was not taken; the session stays as it was.

    Attributes:
        status: SIP status code, 0 when it was given up after several tries.
        text: the cause in plain words.
    """

    status: int
    text: str


@dataclass(frozen=True, slots=True)
class Redirected:
    """A 3xx sent the call elsewhere, and it went there (RFC 3261 §8.1.3.4).

    Attributes:
        status: SIP status code.
        target: the URI that is called next.
    """

    status: int
    target: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class TransferRequested:
    """The far end asks us to call somebody else (REFER, RFC 3515); the answer was sent.

    Attributes:
        target: URI to call, without its headers.
        headers: headers to put on that INVITE: Replaces (RFC 3891), Referred-By and what the URI named.
        reports: whether the far end wants to know what becomes of it: give each status to `report_transfer`.
    """

    target: str = field(repr=False)
    headers: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    reports: bool = True


@dataclass(frozen=True, slots=True)
class TransferProgress:
    """What became of a REFER of ours so far.

    Attributes:
        status: of the call to the new party as the far end reports it, 100 when it was only accepted; of the
            REFER itself when that was refused, 0 when it was not answered.
        text: reason phrase.
        final: nothing more will be reported.
    """

    status: int
    text: str
    final: bool


@dataclass(frozen=True, slots=True)
class DigitByInfo:
    """A DTMF digit came in an INFO request.

    Attributes:
        digit: one of `0-9 * # A-D`, or `!` for a hook flash.
        duration_ms: how long it was pressed, None when the far end does not say.
    """

    digit: str
    duration_ms: int | None = None


@dataclass(frozen=True, slots=True)
class PartiesNamed:
    """The far end named parties of the call beyond From and To; see `call.parties`."""

    parties: Parties


@dataclass(frozen=True, slots=True)
class Rejected:
    """Closing: a final response of 300 or above.

    Attributes:
        status: SIP status code.
        reason: reason phrase as on the wire.
        text: the cause in plain words.
        failure: Reason and Warning headers and who sent them.
    """

    status: int
    reason: str
    text: str
    failure: Failure = field(default=NO_FAILURE, compare=False)


@dataclass(frozen=True, slots=True)
class AuthenticationRefused:
    """Closing: challenged, and the credentials are missing, not accepted, or of no known scheme.

    Attributes:
        status: 401 or 407.
        realm: realm of the challenge.
        text: the cause in plain words.
        reason: reason phrase as on the wire.
        problem: which of the ways to fail: credentials that are wrong are another matter than none at all.
        failure: Reason and Warning headers and who sent them.
    """

    status: int
    realm: str
    text: str
    reason: str = ""
    problem: Problem = field(default="wrong credentials", compare=False)
    failure: Failure = field(default=NO_FAILURE, compare=False)


@dataclass(frozen=True, slots=True)
class Cancelled:
    """Closing: the caller gave up before the answer. On the UAS side, a CANCEL came, or the INVITE expired."""

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
        status: of the response that ended the call, 0 when it was none. With `by` the far end it has ended the call,
            and its BYE did not reach us (RFC 5057 §5.1).
        failure: Reason and Warning headers of the BYE or of that response, and who sent them.
    """

    by: Party
    reason: str = ""
    status: int = field(default=0, compare=False)
    failure: Failure = field(default=NO_FAILURE, compare=False)


@dataclass(frozen=True, slots=True)
class Parted:
    """Our BYE has its final response, or none is to be had; comes after `Ended` (RFC 3261 §15.1.1).

    Attributes:
        status: of the response; 0 when none came before Timer F, or the BYE could not be sent.
    """

    status: int


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
    | ChangeRefused
    | Redirected
    | TransferRequested
    | TransferProgress
    | DigitByInfo
    | PartiesNamed
    | Rejected
    | AuthenticationRefused
    | Cancelled
    | TimedOut
    | Unreachable
    | NegotiationFailed
    | Ended
    | Parted
    | Incoming
)

CLOSING_EVENTS = (Rejected, AuthenticationRefused, Cancelled, TimedOut, Unreachable, NegotiationFailed, Ended)
"""The kinds of event of which every call gives exactly one."""
