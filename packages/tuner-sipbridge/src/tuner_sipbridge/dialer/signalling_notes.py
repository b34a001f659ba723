"""What happened to the signalling of a call, as rows of its trace."""

from __future__ import annotations

from typing import Any

from tuner_sipbridge.call import events as signalling
from tuner_sipbridge.call.causes import Failure
from tuner_sipbridge.call.events import CLOSING_EVENTS
from tuner_sipbridge.sip.reason import in_plain_words
from tuner_sipbridge.sip.uri import without_password
from tuner_sipbridge.trace import Trace


def is_closing(event: signalling.CallEvent) -> bool:
    """Whether the event is the one that settles a call."""
    return isinstance(event, CLOSING_EVENTS)


def note(trace: Trace, event: signalling.CallEvent, *, at: float) -> None:
    """Append the row of an event, if it has one."""
    row = _row(event) or _closing_row(event)
    if row is not None:
        kind, fields = row
        trace.note(kind, at=at, **fields)


def _row(event: signalling.CallEvent) -> tuple[str, dict[str, Any]] | None:
    match event:
        case signalling.Ringing(status=status):
            return "call.ringing", {"status": status}
        case signalling.Answered(status=status):
            return "call.answered", {"status": status}
        case signalling.Renegotiated(negotiated=negotiated):
            return "call.renegotiated", {
                "send": negotiated.send,
                "receive": negotiated.receive,
                "codec": negotiated.codec,
            }
        case signalling.ChangeRefused(status=status, text=text):
            return "call.change_refused", {"status": status, "why": text}
        case signalling.Redirected(status=status, target=target):
            return "call.redirected", {"status": status, "target": without_password(target)}
        case signalling.TransferRequested(target=target, headers=headers):
            attended = any(name.lower() == "replaces" for name, _ in headers)
            return "call.transfer_requested", {"target": without_password(target), "attended": attended}
        case signalling.TransferProgress(status=status, text=text, final=final):
            return "call.transfer_progress", {"status": status, "text": text, "final": final}
        case signalling.DigitByInfo(digit=digit, duration_ms=duration_ms):
            duration_s = duration_ms / 1000 if duration_ms is not None else None
            return "agent.digit", {"digit": digit, "duration_s": duration_s, "by": "INFO"}
        case signalling.PartiesNamed(parties=parties):
            return "call.parties", parties.to_fields()
        case signalling.Parted(status=0):
            return "call.bye_unanswered", {}
        case _:
            return None


def _closing_row(event: signalling.CallEvent) -> tuple[str, dict[str, Any]] | None:
    match event:
        case signalling.Rejected() | signalling.AuthenticationRefused():
            fields = {"status": event.status, "reason": event.reason, "cause": event.text}
            return "call.rejected", {**fields, **failure_fields(event.failure)}
        case signalling.Cancelled(why=why):
            return "call.cancelled", {"why": in_plain_words(why)}
        case signalling.TimedOut(stage=stage, text=text):
            return "call.timed_out", {"stage": stage, "why": text}
        case signalling.Unreachable(text=text):
            return "call.unreachable", {"why": text}
        case signalling.NegotiationFailed(text=text):
            return "call.ended", {"by": "network", "reason": text}
        case signalling.Ended(by=by, reason=reason, status=status, failure=failure):
            fields = {"by": by, "reason": in_plain_words(reason), **({"status": status} if status else {})}
            return "call.ended", {**fields, **failure_fields(failure)}
        case _:
            return None


def failure_fields(failure: Failure) -> dict[str, Any]:
    """What a refusal says of itself, as fields of a trace; what it does not say is left out."""
    fields: dict[str, Any] = {
        "q850": failure.q850,
        "reasons": [str(one) for one in failure.reasons],
        "warnings": [f"{one.code} {one.agent} {one.text}" for one in failure.warnings],
        "hop": failure.said_by,
        "retry_after_s": failure.retry_after_s,
    }
    return {name: value for name, value in fields.items() if value not in (None, [], "")}
