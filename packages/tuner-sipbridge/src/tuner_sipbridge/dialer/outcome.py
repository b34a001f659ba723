"""How a call went: a class that a machine can count and a sentence that a person understands."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from tuner_sipbridge.call import events as signalling
from tuner_sipbridge.call.causes import Failure
from tuner_sipbridge.dialer.provided import advised
from tuner_sipbridge.errors import (
    AuthenticationFailed,
    CallError,
    CallRejected,
    CallTimedOut,
    CallUnreachable,
    LocalProtocolError,
    NegotiationFailed,
    NetworkError,
    NotRegistered,
    SipBridgeError,
)
from tuner_sipbridge.providers import Provider
from tuner_sipbridge.sip.reason import in_plain_words

OutcomeClass: TypeAlias = Literal["success", "client_error", "upstream_error", "agent_error", "indeterminate"]

_AGENT_STATUSES = frozenset({480, 486, 600, 603, 607, 608})
"""The called party itself is busy, away or unwilling (RFC 3261 §21.4.18, §21.4.24, §21.6)."""

_AGENT_CAUSES = frozenset({17, 18, 19, 20, 21})
"""Busy, not responding, not answering, absent, rejecting (ITU-T Q.850)."""

_NETWORK_CAUSES = frozenset({3, 27, 34, 38, 41, 42, 44, 47, 102, 111, 127})
"""No route, out of order, no circuit, a failure or congestion of the network, interworking (ITU-T Q.850)."""

NO_FAILURE = Failure()


@dataclass(frozen=True, slots=True)
class Outcome:
    """How one call went.

    Attributes:
        kind: `success`: every step was played. `client_error`: what we were given is wrong (URI, credentials,
            codecs). `upstream_error`: the way to the agent is broken. `agent_error`: the agent was reached and
            did not do its part. `indeterminate`: our own side failed, nothing is known about the agent.
        detail: one sentence in plain words.
        status: SIP status code of the refusal, 0 without one.
        failure: Reason and Warning headers of the refusal, and who sent it.
    """

    kind: OutcomeClass
    detail: str
    status: int = 0
    failure: Failure = NO_FAILURE

    @property
    def passed(self) -> bool:
        """Whether the scenario was played to its end."""
        return self.kind == "success"


def outcome_of(
    closing: signalling.CallEvent | None,
    *,
    completed: bool,
    gave_up: str = "",
    provider: Provider | None = None,
) -> Outcome:
    """Classify a call by its closing event and by what became of its scenario.

    Args:
        closing: the closing event; None when the call was never settled.
        completed: every step of the scenario was played.
        gave_up: why the caller stopped waiting, in words; empty when it did not.
        provider: whose edge it was; what it means by a status is added to the words.
    """
    match closing:
        case signalling.Ended(by="network", reason=reason):
            return Outcome("upstream_error", reason or "the far end disappeared in mid-call")
        case signalling.Ended() if gave_up:
            return Outcome("agent_error", f"the caller gave up: {gave_up}")
        case signalling.Ended() if completed:
            return Outcome("success", "the scenario was played to its end")
        case signalling.Ended(by="agent", reason=reason):
            because = f" ({in_plain_words(reason)})" if reason else ""
            return Outcome("agent_error", f"the agent hung up before the scenario was over{because}")
        case signalling.Ended():
            return Outcome("indeterminate", "the call was ended from our side before the scenario was over")
        case signalling.Rejected() | signalling.AuthenticationRefused():
            return _refused(closing, provider)
        case signalling.NegotiationFailed(text=text):
            return Outcome("client_error", text)
        case signalling.Unreachable(text=text):
            return Outcome("upstream_error", text)
        case signalling.TimedOut(stage="ringing", text=text):
            return Outcome(
                "agent_error", text or "nobody picked up within the ring time-out; CANCEL was sent"
            )
        case signalling.TimedOut(text=text):
            return Outcome("upstream_error", text or "no response at all to the INVITE within 32 s (Timer B)")
        case signalling.Cancelled(why=why):
            return Outcome(
                "indeterminate", f"the call was cancelled from our side{': ' + why if why else ''}"
            )
        case _:
            return Outcome("indeterminate", "the call was never settled")


def error_of(
    closing: signalling.CallEvent, *, sip_call_id: str, provider: Provider | None = None
) -> CallError:
    """The exception that says the same as a closing event that came before the answer."""
    words = outcome_of(closing, completed=False, provider=provider).detail
    match closing:
        case signalling.AuthenticationRefused(status=status, reason=reason, realm=realm):
            return AuthenticationFailed(status, reason, realm=realm, message=words, sip_call_id=sip_call_id)
        case signalling.Rejected(status=status, reason=reason):
            return CallRejected(status, reason, message=words, sip_call_id=sip_call_id)
        case signalling.TimedOut(stage=stage):
            return CallTimedOut(stage, words, sip_call_id=sip_call_id)
        case signalling.Unreachable():
            return CallUnreachable(words, sip_call_id=sip_call_id)
        case signalling.NegotiationFailed():
            return NegotiationFailed(words, sip_call_id=sip_call_id)
        case _:
            return CallError(words, sip_call_id=sip_call_id)


def class_of_error(error: SipBridgeError) -> OutcomeClass:
    """Class of an error that came before the INVITE was sent."""
    if isinstance(error, NotRegistered):
        return "client_error" if error.credentials else "upstream_error"
    return "client_error" if isinstance(error, LocalProtocolError | NetworkError) else "indeterminate"


def _refused(
    closing: signalling.Rejected | signalling.AuthenticationRefused, provider: Provider | None
) -> Outcome:
    text, status = closing.text, closing.status
    if isinstance(closing, signalling.Rejected):
        kind = _class_of(status, closing.failure)
        return Outcome(kind, advised(text, status, provider), status, closing.failure)
    if closing.problem == "wrong credentials":
        text = advised(text, status, provider)
    return Outcome("client_error", text, status, closing.failure)


def _class_of(status: int, failure: Failure) -> OutcomeClass:
    """Class of a refusal. The cause of the telephone network, where it says more, goes before the status."""
    if status in (*_AGENT_STATUSES, 503, 500, 480) and failure.q850 is not None:
        if failure.q850 in _NETWORK_CAUSES:
            return "upstream_error"
        if failure.q850 in _AGENT_CAUSES:
            return "agent_error"
    if status in _AGENT_STATUSES:
        return "agent_error"
    if 500 <= status < 600 or status == 408:
        return "upstream_error"
    return "client_error"
