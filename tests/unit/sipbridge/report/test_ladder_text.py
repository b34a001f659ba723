from __future__ import annotations

from tuner_sipbridge.report.ladder_text import ladder_text
from tuner_sipbridge.trace import Trace


def note(trace: Trace, at: float, kind: str, line: str, cseq: str, peer: str = "192.0.2.1:5060") -> None:
    trace.note(kind, at=at, summary=line, message=f"{line}\r\nCSeq: {cseq}\r\n", peer=peer)


def test_a_call_is_a_line_a_message_with_time_way_and_what_it_answers() -> None:
    trace = Trace()
    trace.note("call.dialled", at=9.0, sip_call_id="c-1")
    note(trace, 10.0, "sip.sent", "INVITE sip:a@b SIP/2.0", "1 INVITE")
    note(trace, 10.5, "sip.sent", "INVITE sip:a@b SIP/2.0", "1 INVITE")
    note(trace, 10.6, "sip.received", "SIP/2.0 200 OK", "1 INVITE", peer="192.0.2.9:5060")
    trace.note("media.started", at=10.7, codec="PCMA", remote="192.0.2.1:4000", local="x")
    note(trace, 12.0, "sip.received", "BYE sip:a@b SIP/2.0", "2 BYE")
    trace.note("caller.gave_up", at=13.0, why="the agent said nothing for 8 s")
    assert ladder_text(trace).splitlines() == [
        "Call-ID c-1",
        "           caller                        192.0.2.1:5060",
        "   1.000 s ├─ INVITE ───────────────────────────────▶│",
        "   1.500 s ├─ INVITE ───────────────────────────────▶│  retransmission",
        "   1.600 s │◀─ 200 OK ───────────────────────────────┤  INVITE (192.0.2.9:5060)",
        "   1.700 s │══ RTP PCMA ═════════════════════════════│  ? packets out, ? in",
        "   3.000 s │◀─ BYE ──────────────────────────────────┤",
        "   4.000 s   the caller gave up: the agent said nothing for 8 s",
    ]


def test_an_empty_trace_says_so() -> None:
    assert ladder_text(Trace()) == "nothing happened in this call\n"
