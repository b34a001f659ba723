from __future__ import annotations

from typing import Any

from tuner_sipbridge.report.ladder import rungs_of
from tuner_sipbridge.trace import Trace


def note(trace: Trace, at: float, kind: str, line: str, cseq: str = "1 INVITE") -> None:
    trace.note(kind, at=at, summary=line, message=f"{line}\r\nCSeq: {cseq}\r\n", peer="192.0.2.1:5060")


def ladder(trace: Trace) -> list[tuple[Any, ...]]:
    return [(rung.way, rung.label, rung.about, rung.tone) for rung in rungs_of(trace)]


def test_requests_and_responses_go_their_way_with_what_they_answer() -> None:
    trace = Trace()
    note(trace, 1.0, "sip.sent", "INVITE sip:a@b SIP/2.0")
    note(trace, 1.1, "sip.received", "SIP/2.0 180 Ringing")
    note(trace, 1.2, "sip.received", "SIP/2.0 486 Busy Here")
    assert ladder(trace) == [
        ("out", "INVITE", "", "request"),
        ("in", "180 Ringing", "INVITE", "provisional"),
        ("in", "486 Busy Here", "INVITE", "failure"),
    ]


def test_a_message_sent_again_is_called_a_retransmission() -> None:
    trace = Trace()
    note(trace, 1.0, "sip.sent", "INVITE sip:a@b SIP/2.0")
    note(trace, 1.5, "sip.sent", "INVITE sip:a@b SIP/2.0")
    assert [about for _, _, about, _ in ladder(trace)] == ["", "retransmission"]


def test_media_stands_between_the_messages_with_its_packets() -> None:
    trace = Trace()
    note(trace, 1.0, "sip.sent", "INVITE sip:a@b SIP/2.0")
    trace.note("media.started", at=1.4, codec="PCMA", remote="192.0.2.1:4000", local="x")
    trace.note("media.first_packet", at=1.5, source="192.0.2.1:4000")
    note(trace, 9.0, "sip.sent", "BYE sip:a@b SIP/2.0", "2 BYE")
    trace.note("media.report", at=9.1, sent=380, received=375)
    assert ladder(trace)[1] == ("rtp", "RTP PCMA", "380 packets out, 375 in", "media")


def test_what_no_message_says_is_noted() -> None:
    trace = Trace()
    trace.note("caller.gave_up", at=9.0, step=1, waited_s=8, why="the agent said nothing for 8 s")
    trace.note("call.timed_out", at=10.0, stage="ringing")
    assert [(label, about) for _, label, about, _ in ladder(trace)] == [
        ("the caller gave up", "the agent said nothing for 8 s"),
        ("timed out", "ringing"),
    ]


def test_a_call_without_events_has_no_ladder() -> None:
    assert rungs_of(Trace()) == []
