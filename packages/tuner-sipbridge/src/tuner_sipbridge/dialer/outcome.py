"""How a call went: a class that a machine can count and a sentence that a person understands."""

from __future__ import annotations

from dataclasses import dataclass, replace

from tuner_sipbridge.call import events as signalling
from tuner_sipbridge.call.causes import NO_FAILURE, Failure
from tuner_sipbridge.dialer.failed_at import Stage, failure_in, hop_of, stage_of
from tuner_sipbridge.dialer.outcome_class import (
    OutcomeClass,
    class_of_challenge,
    class_of_end,
    class_of_error,
    class_of_refusal,
)
from tuner_sipbridge.dialer.provided import advised
from tuner_sipbridge.errors import (
    AuthenticationFailed,
    CallError,
    CallRejected,
    CallTimedOut,
    CallUnreachable,
    NegotiationFailed,
    NotRegistered,
    SipBridgeError,
)
from tuner_sipbridge.measure.media import media_of
from tuner_sipbridge.providers import Provider
from tuner_sipbridge.sip.reason import in_plain_words
from tuner_sipbridge.trace import Trace

LEAST_SENT = 10
"""Packets that we sent, 0.2 s of them, before it means something that none came."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How one call went.

    Attributes:
        kind: `success`: every step was played. `client_error`: what we were given is wrong (URI, credentials,
            codecs). `upstream_error`: the way to the agent is broken. `agent_error`: the agent was reached and
            did not do its part. `indeterminate`: our own side failed, nothing is known about the agent.
        detail: one sentence in plain words.
        status: SIP status code of the response that ended the call, 0 without one.
        failure: Reason and Warning headers of that response or of the agent's BYE, and who sent it.
        phrase: reason phrase of that response.
        stage: how far the call had come; None when it passed.
        hop: who said no, else whom we spoke to last: address, port, transport. Empty when the call passed.
    """

    kind: OutcomeClass
    detail: str
    status: int = 0
    failure: Failure = NO_FAILURE
    phrase: str = ""
    stage: Stage | None = None
    hop: str = ""

    @property
    def passed(self) -> bool:
        """Whether the scenario was played to its end."""
        return self.kind == "success"


STOPPED = Outcome("indeterminate", "the run was stopped before this call's INVITE", stage="set-up")
"""Of a call that was to be made when the run was stopped."""


def outcome_of(
    closing: signalling.CallEvent | None, trace: Trace, *, completed: bool, provider: Provider | None = None
) -> Outcome:
    """Classify a call by its closing event, by its trace, and by what became of its scenario.

    Args:
        closing: the closing event; None when the call was never settled.
        trace: what happened in the call; with the report of its media when it is over.
        completed: every step of the scenario was played.
        provider: whose edge it was; what it means by a status is added to the words.
    """
    if isinstance(closing, signalling.Ended):
        outcome = _of_an_end(closing, trace, completed=completed)
    else:
        outcome = _of_no_call(closing, provider)
    return located(outcome, trace, method=_method_of(closing))


def located(outcome: Outcome, trace: Trace, *, method: str = "") -> Outcome:
    """The outcome with where it came about; `method`: of the request that ended the call, where one did."""
    if outcome.passed:
        return outcome
    hop = hop_of(trace, status=outcome.status, method=method)
    return replace(outcome, stage=stage_of(trace), hop=hop)


def error_of(
    closing: signalling.CallEvent, *, sip_call_id: str, provider: Provider | None = None
) -> CallError:
    """The exception that says the same as a closing event that came before the answer."""
    words = outcome_of(closing, Trace(), completed=False, provider=provider).detail
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


def outcome_of_error(error: SipBridgeError, trace: Trace) -> Outcome:
    """The outcome of a call whose INVITE was never sent."""
    status = error.status if isinstance(error, NotRegistered) else 0
    failure = failure_in(trace, status) if status else NO_FAILURE
    return located(Outcome(class_of_error(error), str(error), status, failure), trace)


def _of_an_end(closing: signalling.Ended, trace: Trace, *, completed: bool) -> Outcome:
    """The outcome of a call that stood."""
    gave_up, status, failure = trace.last("caller.gave_up"), closing.status, closing.failure
    if closing.by == "network":
        why = closing.reason or "the far end disappeared in mid-call"
        return Outcome("upstream_error", why, status, failure)
    if gave_up is not None:
        why, ours = f"the caller gave up: {gave_up.fields['why']}", bool(gave_up.fields.get("own_fault"))
        unheard = "" if ours else _unheard(trace)
        if unheard:
            return Outcome("upstream_error", f"{unheard}; {why}")
        return Outcome("indeterminate" if ours else "agent_error", why)
    if completed:
        return Outcome("success", "the scenario was played to its end")
    if closing.by == "agent" and status:
        text = f"the call was over at the agent's end before the scenario was: {closing.reason}"
        return Outcome("agent_error", text, status, failure)
    if closing.by == "agent":
        said = [in_plain_words(closing.reason)] if closing.reason else []
        said += [unheard] if (unheard := _unheard(trace)) else []
        because = f" ({'; '.join(said)})" if said else ""
        text = f"the agent hung up before the scenario was over{because}"
        return Outcome(class_of_end(failure), text, failure=failure)
    if closing.reason:
        return Outcome("agent_error", closing.reason)  # we hang up by ourselves on what cannot be spoken with
    return Outcome("indeterminate", "the call was ended from our side before the scenario was over")


def _of_no_call(closing: signalling.CallEvent | None, provider: Provider | None) -> Outcome:
    """The outcome of a call that was not answered, or not as it could be."""
    match closing:
        case signalling.Rejected(status=status, text=text, failure=failure, reason=phrase):
            kind = class_of_refusal(status, failure)
            return Outcome(kind, advised(text, status, provider), status, failure, phrase)
        case signalling.AuthenticationRefused(status=status, text=text, failure=failure, reason=phrase):
            if closing.problem == "wrong credentials":
                text = advised(text, status, provider)
            return Outcome(class_of_challenge(closing.problem), text, status, failure, phrase)
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
            because = f": {why}" if why else ""
            return Outcome("indeterminate", f"the call was cancelled from our side{because}")
        case _:
            return Outcome("indeterminate", "the call was never settled")


def _method_of(closing: signalling.CallEvent | None) -> str:
    """The request of the far end that ended the call."""
    match closing:
        case signalling.Ended(by="agent", status=0):
            return "BYE"
        case signalling.Cancelled():
            return "CANCEL"
        case _:
            return ""


def _unheard(trace: Trace) -> str:
    """That no media came at all, in words; empty when some did, or when none ran."""
    started, media = trace.first("media.started"), media_of(trace)
    if started is None or media.sent < LEAST_SENT or media.received:
        return ""
    remote = started.fields.get("remote", "the far end")
    return (
        f"no audio came: not one RTP packet from {remote}, its address in the SDP, or from elsewhere; look for a"
        " firewall or NAT on the way, or a wrong address in its SDP"
    )
