"""How long the signalling took, from the trace alone. All times are moments at our SIP port, in seconds."""

from __future__ import annotations

from dataclasses import dataclass

from tuner_sipbridge.trace import Trace, TraceEvent


@dataclass(frozen=True, slots=True)
class Signalling:
    """Times of one call's signalling; None where the call did not get so far.

    Attributes:
        post_dial_delay_s: first INVITE to the first 180 or 183.
        ring_time_s: the first 180 or 183 to the 200.
        setup_time_s: first INVITE to the 200; holds the round trip of a 401 or 407.
        call_duration_s: the 200 to the end of the call.
        teardown_s: our BYE to its final response; None when the far end hung up.
        challenges: how many 401 and 407 came.
        retransmissions: requests that we sent more than once, counted without the first.
    """

    post_dial_delay_s: float | None = None
    ring_time_s: float | None = None
    setup_time_s: float | None = None
    call_duration_s: float | None = None
    teardown_s: float | None = None
    challenges: int = 0
    retransmissions: int = 0


def signalling_of(trace: Trace) -> Signalling:
    """The signalling times of one trace."""
    dialled = _sent(trace, "INVITE ") or trace.first("call.dialled", "call.received")
    ringing, answered = trace.first("call.ringing"), trace.first("call.answered")
    ended = trace.first("call.ended")
    bye = _sent(trace, "BYE ")
    return Signalling(
        post_dial_delay_s=_between(dialled, ringing),
        ring_time_s=_between(ringing, answered),
        setup_time_s=_between(dialled, answered),
        call_duration_s=_between(answered, ended),
        teardown_s=_between(bye, _final_response(trace, bye)),
        challenges=sum(_status(event) in {401, 407} for event in trace.of("sip.received")),
        retransmissions=_retransmissions(trace),
    )


def _between(start: TraceEvent | None, end: TraceEvent | None) -> float | None:
    return None if start is None or end is None else max(0.0, end.at - start.at)


def _sent(trace: Trace, method: str) -> TraceEvent | None:
    return next((event for event in trace.of("sip.sent") if _summary(event).startswith(method)), None)


def _summary(event: TraceEvent) -> str:
    return str(event.fields.get("summary", ""))


def _status(event: TraceEvent) -> int:
    """Status code of a response, 0 for a request."""
    words = _summary(event).split(" ", 2)
    return int(words[1]) if words[0] == "SIP/2.0" and len(words) > 1 and words[1].isdigit() else 0


def _final_response(trace: Trace, request: TraceEvent | None) -> TraceEvent | None:
    if request is None:
        return None
    cseq = header(request, "CSeq")
    return next(
        (
            event
            for event in trace.of("sip.received")
            if event.at >= request.at and _status(event) >= 200 and header(event, "CSeq") == cseq
        ),
        None,
    )


def _retransmissions(trace: Trace) -> int:
    requests = [event.fields.get("message") for event in trace.of("sip.sent") if not _status(event)]
    return len(requests) - len(set(requests))


def header(event: TraceEvent, name: str) -> str:
    """First value of a header in a traced message, empty when it has none."""
    prefix = f"{name.lower()}:"
    for line in str(event.fields.get("message", "")).splitlines():
        if line.lower().startswith(prefix):
            return line[len(prefix) :].strip()
    return ""
