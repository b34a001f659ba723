"""Where a call failed, out of its trace: how far it had come, and the hop that said no or that was last spoken to."""

from __future__ import annotations

from typing import Literal, TypeAlias

from tuner_sipbridge.call.causes import NO_FAILURE, Failure, failure_of
from tuner_sipbridge.errors import RemoteProtocolError
from tuner_sipbridge.sip.message import Message
from tuner_sipbridge.sip.parser import parse_datagram
from tuner_sipbridge.trace import Trace, TraceEvent

Stage: TypeAlias = Literal["registration", "set-up", "call"]
"""Before the INVITE, until the answer, or after it."""


def stage_of(trace: Trace) -> Stage:
    """How far a call had come."""
    if trace.first("call.registration_failed") is not None:
        return "registration"
    return "call" if trace.first("call.answered") is not None else "set-up"


def hop_of(trace: Trace, *, status: int = 0, method: str = "") -> str:
    """Who said no, else whom we spoke to last, as `198.51.100.7:5060 over UDP`; empty when nobody.

    Args:
        trace: of the call.
        status: of the response that says no, 0 when none does.
        method: of the request that does.
    """
    event = (
        said_no(trace, status=status, method=method) or trace.last("sip.sent") or trace.last("sip.received")
    )
    if event is None:
        return ""
    transport = str(event.fields.get("transport", ""))
    return f"{event.fields.get('peer', '')}{' over ' + transport.upper() if transport else ''}"


def said_no(trace: Trace, *, status: int = 0, method: str = "") -> TraceEvent | None:
    """The received message that ended the call, None when none did."""
    start = f"SIP/2.0 {status} " if status else f"{method} "
    if not status and not method:
        return None
    said = (
        event for event in trace.of("sip.received") if str(event.fields.get("summary", "")).startswith(start)
    )
    return next(reversed(list(said)), None)


def failure_in(trace: Trace, status: int) -> Failure:
    """What the last response of this status says of itself beyond it; nothing when there is none."""
    event = said_no(trace, status=status)
    message = None if event is None else _read(event)
    return NO_FAILURE if message is None else failure_of(message)


def _read(event: TraceEvent) -> Message | None:
    try:
        return parse_datagram(str(event.fields.get("message", "")).encode("utf-8", "surrogateescape"))
    except RemoteProtocolError:
        return None
