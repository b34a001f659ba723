"""The SIP messages of one call as rows of a ladder, with what the media did between them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from tuner_sipbridge.measure.signalling import header
from tuner_sipbridge.trace import Trace, TraceEvent


@dataclass(frozen=True, slots=True)
class Rung:
    """One row of the ladder.

    Attributes:
        way: `out` from the caller, `in` to the caller, `rtp` for media both ways, `note` for the rest.
        after_s: seconds since the first row.
        label: method, or status and reason phrase.
        about: method that a response answers, `retransmission`, or what the media was.
        tone: `request`, `provisional`, `success`, `challenge`, `failure`, `media` or `note`.
        peer: far end of the message, and what carried it.
        message: the whole message with credentials removed, empty when there is none.
    """

    way: Literal["out", "in", "rtp", "note"]
    after_s: float
    label: str
    about: str = ""
    tone: str = "note"
    peer: str = ""
    message: str = ""


def rungs_of(trace: Trace) -> list[Rung]:
    """The ladder of one trace, in order of time."""
    events = sorted(trace.events, key=lambda event: event.at)
    if not events:
        return []
    start, seen = events[0].at, set[str]()
    rungs: list[Rung] = []
    for event in events:
        after_s = event.at - start
        rung = _rung(event, after_s, seen) or _made_by_others(event, after_s)
        if rung is not None:
            rungs.append(rung)
    media = _media(trace, start)
    if media is not None:
        rungs.append(media)
    return sorted(rungs, key=lambda rung: rung.after_s)


def _rung(event: TraceEvent, after_s: float, seen: set[str]) -> Rung | None:
    fields = event.fields
    match event.kind:
        case "sip.sent" | "sip.received":
            return _message(event, after_s, seen)
        case "call.cancelled":
            return Rung("note", after_s, "cancelled", str(fields.get("why", "")))
        case "call.timed_out":
            return Rung("note", after_s, "timed out", str(fields.get("stage", "")), tone="failure")
        case "call.unreachable":
            return Rung("note", after_s, "unreachable", str(fields.get("why", "")), tone="failure")
        case "call.registration_failed":
            return Rung("note", after_s, "not registered", str(fields.get("cause", "")), tone="failure")
        case "call.renegotiated":
            return Rung("note", after_s, "session changed", _flow_of(event))
        case "call.change_refused":
            return Rung("note", after_s, "change refused", str(fields.get("why", "")), tone="failure")
        case "call.redirected":
            return Rung("note", after_s, "redirected", str(fields.get("target", "")))
        case "call.transfer_requested" | "call.transferred":
            label = "transferred" if event.kind == "call.transferred" else "transfer asked for"
            return Rung("note", after_s, label, str(fields.get("target", "")))
        case "call.transfer_progress":
            about = f"{fields.get('status', '')} {fields.get('text', '')}".strip()
            return Rung("note", after_s, "transfer", about)
        case "caller.gave_up":
            return Rung("note", after_s, "the caller gave up", str(fields.get("why", "")), tone="failure")
        case _:
            return None


def _made_by_others(event: TraceEvent, after_s: float) -> Rung | None:
    """A row of a call that LiveKit makes for us: requests to its API, and what the room shows."""
    fields = event.fields
    match event.kind:
        case "livekit.sent" | "livekit.received":
            return _exchange(event, after_s)
        case "room.joined":
            return Rung("note", after_s, "room joined", str(fields.get("room", "")))
        case "room.status":
            return Rung("note", after_s, "sip.callStatus", str(fields.get("status", "")))
        case "room.audio":
            return Rung("rtp", after_s, "room audio", "the agent's track", "media")
        case "room.callee_left":
            return Rung("note", after_s, "the agent left the room", str(fields.get("reason", "")))
        case "room.lost":
            return Rung("note", after_s, "room lost", str(fields.get("reason", "")), tone="failure")
        case "call.not_known":
            return Rung("note", after_s, f"not known: {fields.get('what', '')}", str(fields.get("why", "")))
        case _:
            return None


def _exchange(event: TraceEvent, after_s: float) -> Rung:
    """A request to LiveKit's API (Twirp over HTTP), or the answer to it."""
    summary, method = str(event.fields.get("summary", "")), str(event.fields.get("method", ""))
    text = str(event.fields.get("message", ""))
    if event.kind == "livekit.sent":
        return Rung("out", after_s, summary, "LiveKit's API", "request", _peer(event), text)
    tone = "success" if summary.startswith("2") else "failure"
    return Rung("in", after_s, summary, method, tone, _peer(event), text)


def _flow_of(event: TraceEvent) -> str:
    """Who may speak after a change of the session."""
    send, receive = bool(event.fields.get("send")), bool(event.fields.get("receive"))
    if send and receive:
        return "both may speak"
    if not send and not receive:
        return "nobody may speak"
    return "only the caller may speak" if send else "only the agent may speak: the caller is on hold"


def _message(event: TraceEvent, after_s: float, seen: set[str]) -> Rung:
    summary, text = str(event.fields.get("summary", "")), str(event.fields.get("message", ""))
    way: Literal["out", "in"] = "out" if event.kind == "sip.sent" else "in"
    again = f"{way} {text}" in seen
    seen.add(f"{way} {text}")
    words = summary.split(" ", 2)
    if words[0] == "SIP/2.0" and len(words) > 1:
        label, about = " ".join(words[1:]), header(event, "CSeq").partition(" ")[2]
        tone = _tone(words[1])
    else:
        label, about, tone = words[0], "", "request"
    about = "retransmission" if again else about
    return Rung(way, after_s, label, about, tone, _peer(event), text)


def _peer(event: TraceEvent) -> str:
    """The far end and the transport to it; traces of old runs name none."""
    transport = str(event.fields.get("transport", ""))
    return f"{event.fields.get('peer', '')}{' over ' + transport.upper() if transport else ''}"


def _tone(status: str) -> str:
    if status in {"401", "407"}:
        return "challenge"
    return {"1": "provisional", "2": "success"}.get(status[:1], "failure")


def _media(trace: Trace, start: float) -> Rung | None:
    began = trace.first("media.first_packet", "media.started")
    opened, report = trace.first("media.started"), trace.last("media.report")
    if began is None or opened is None:
        return None
    counts: dict[str, Any] = {} if report is None else report.fields
    packets = f"{counts.get('sent', '?')} packets out, {counts.get('received', '?')} in"
    label = f"RTP {opened.fields.get('codec', '')}".strip()
    after = max(began.at, opened.at) - start
    return Rung("rtp", after, label, packets, "media", str(opened.fields.get("remote", "")))
