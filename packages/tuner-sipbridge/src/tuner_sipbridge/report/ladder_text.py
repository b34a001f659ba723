"""The ladder of one call as lines of text, for terminals, logs and bug reports."""

from __future__ import annotations

from tuner_sipbridge.report.ladder import Rung, rungs_of
from tuner_sipbridge.trace import Trace

_WIDTH = 42
_TIME = 11


def ladder_text(trace: Trace) -> str:
    """The SIP messages of a trace, a line each: seconds since the first, an arrow, what it was.

    Beside the arrow stands what the message answers, or that it is a retransmission, and the far end where it is
    another than at the top.
    """
    rungs = rungs_of(trace)
    if not rungs:
        return "nothing happened in this call\n"
    peer = next((rung.peer for rung in rungs if rung.way in {"in", "out"}), "")
    named = trace.of("call.dialled", "call.received", "call.identified")
    call_ids = (str(event.fields.get("sip_call_id", "")) for event in named)
    call_id = next((one for one in call_ids if one), "")
    head = [f"Call-ID {call_id}"] if call_id else []
    head.append(f"{'':{_TIME}}{'caller':<{_WIDTH - len(peer) + 2}}{peer}")
    return "".join(line.rstrip() + "\n" for line in [*head, *(_line(rung, peer) for rung in rungs)])


def _line(rung: Rung, peer: str) -> str:
    time = f"{rung.after_s:8.3f} s "
    beside = rung.about
    if rung.way in {"in", "out"} and rung.peer != peer:
        beside = f"{beside} ({rung.peer})".strip()
    match rung.way:
        case "out":
            arrow = f"├─ {rung.label} ".ljust(_WIDTH - 1, "─") + "▶│"
        case "in":
            arrow = f"│◀─ {rung.label} ".ljust(_WIDTH, "─") + "┤"
        case "rtp":
            arrow = f"│══ {rung.label} ".ljust(_WIDTH, "═") + "│"
        case _:
            return f"{time}  {rung.label}{f': {beside}' if beside else ''}"
    return f"{time}{arrow}  {beside}"
