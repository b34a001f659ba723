"""What happened in one call, as timestamped facts: the contract between running a call and measuring it.

Running a call writes a trace; measures, link and report only read it, so they can be run again on last
month's calls. On disk a trace is JSON Lines: one object an event, `at` and `kind` first.

| kind | fields beside `at` |
|---|---|
| `call.dialled` | target, sip_call_id, correlation_id, scenario, agent |
| `call.received` | the same, of a call that the agent placed: target is whom it called; local: where it came in |
| `call.behind_nat` | contact, source: the caller is sent requests where it came from, not where its Contact says |
| `call.registered` | registrar, expires_s (as granted last); the call was free to begin |
| `call.registration_failed` | registrar, status (0: no answer), cause |
| `call.target_failed` | target, why, next (the target that is tried now, empty when there is none) |
| `call.ringing` | status |
| `call.answered` | status |
| `call.renegotiated` | send, receive, codec |
| `call.change_refused` | status (0: given up), why |
| `call.bye_unanswered` | none: no final response to our BYE came, or it could not be sent |
| `call.redirected` | status, target |
| `call.transfer_requested` | target, attended |
| `call.transfer_progress` | status, text, final: of a transfer in either direction |
| `call.transferred` | target, sip_call_id: the new call that media and scenario go on in |
| `call.parties` | asserted, privacy, diversions, history, user_to_user: those that were named |
| `call.rejected` | status, reason, cause; where the far end said so: q850, reasons, warnings, hop, retry_after_s |
| `call.cancelled` | why |
| `call.timed_out` | stage, why |
| `call.unreachable` | why |
| `call.ended` | by (`caller`, `agent`, `network`), reason (plain words), status of a response that ended it; as above |
| `call.identified` | sip_call_id: of an INVITE that somebody else sent for us, once it is known |
| `call.not_known` | what, why: what a call that somebody else makes for us cannot tell |
| `sip.sent`, `sip.received` | summary (start line), message (whole, credentials removed), peer, transport |
| `livekit.sent`, `livekit.received` | method, summary, message (JSON, credentials removed), peer, transport |
| `livekit.placed` | livekit_call_id: LiveKit's own id of the call |
| `room.joined` | room |
| `room.callee` | attributes: of the callee's participant, those that came or changed |
| `room.status` | status: its `sip.callStatus` |
| `room.callee_left`, `room.lost` | reason: LiveKit's name of it; the callee, or the caller, is out of the room |
| `room.audio` | (none; the callee's first sound or silence arrived) |
| `media.started` | local, remote, codec, srtp (crypto suite, empty in the clear), mapped (local by STUN, or empty) |
| `media.srtp_mismatch` | packets (refused so far, and none taken) |
| `media.first_packet` | source |
| `media.report` | the fields of `MediaStatistics` |
| `caller.speech_started` | step, text, barge_in |
| `caller.speech_ended` | step, speech_ended_at (last voiced sample left the port), interrupted |
| `caller.digits` | step, digits |
| `caller.gave_up` | step, waited_s, why; own_fault where our own audio did not go out |
| `agent.speech_started`, `agent.speech_stopped` | (none; `at` is the kernel's arrival time) |
| `agent.digit` | digit, duration_s; by `INFO` for one that came in no RTP packet |
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tuner_sipbridge.errors import FileError


@dataclass(frozen=True, slots=True)
class TraceEvent:
    """One fact of a call.

    Attributes:
        at: Unix time in seconds.
        kind: dotted name out of the module's table.
        fields: JSON values; which ones is fixed by the kind.
    """

    at: float
    kind: str
    fields: dict[str, Any] = field(default_factory=dict[str, Any])

    def to_json(self) -> str:
        """The event as one line of JSON."""
        return json.dumps({"at": round(self.at, 6), "kind": self.kind, **self.fields}, ensure_ascii=False)


@dataclass(slots=True)
class Trace:
    """The events of one call in the order in which they were noted."""

    events: list[TraceEvent] = field(default_factory=list[TraceEvent])

    def note(self, kind: str, *, at: float, **fields: Any) -> None:
        """Append one event; `at` is Unix time in seconds."""
        self.events.append(TraceEvent(at, kind, fields))

    def of(self, *kinds: str) -> Iterator[TraceEvent]:
        """The events of the given kinds, in order."""
        return (event for event in self.events if event.kind in kinds)

    def first(self, *kinds: str) -> TraceEvent | None:
        """The first event of one of the given kinds, or None."""
        return next(self.of(*kinds), None)

    def last(self, *kinds: str) -> TraceEvent | None:
        """The last event of one of the given kinds, or None."""
        return next((event for event in reversed(self.events) if event.kind in kinds), None)

    def write(self, path: Path) -> None:
        """Write the trace to `path` as JSON Lines, sorted by time."""
        ordered = sorted(self.events, key=lambda event: event.at)
        path.write_text("".join(event.to_json() + "\n" for event in ordered), encoding="utf-8")

    @classmethod
    def read(cls, path: Path) -> Trace:
        """Read a trace back.

        Raises:
            FileError: it cannot be read, or a line is not an object with `at` and `kind`.
        """
        try:
            text = path.read_text(encoding="utf-8")
        except OSError as error:
            raise FileError(f"cannot be read: {error.strerror or error}", file=str(path)) from error
        except UnicodeDecodeError as error:
            raise FileError("not a trace: its text is not UTF-8", file=str(path)) from error
        return cls(list(_parse(text.splitlines(), file=str(path))))


def _parse(lines: Iterable[str], *, file: str) -> Iterator[TraceEvent]:
    for number, line in enumerate(lines, start=1):
        try:
            fields = json.loads(line)
            yield TraceEvent(float(fields.pop("at")), str(fields.pop("kind")), fields)
        except (ValueError, KeyError, AttributeError, TypeError, RecursionError) as error:
            raise FileError(f"not a trace event: {error}", file=file, line=number) from error
