from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from tuner_sipbridge.measure.measures import measures_of
from tuner_sipbridge.measure.summary import Distribution
from tuner_sipbridge.trace import Trace

Make = Callable[..., Any]


def message(line: str, cseq: str) -> dict[str, str]:
    return {"summary": line, "message": f"{line}\r\nCSeq: {cseq}\r\n\r\n", "peer": "192.0.2.1:5060"}


@pytest.fixture
def trace() -> Trace:
    trace = Trace()
    trace.note("call.dialled", at=99.9)
    trace.note("sip.sent", at=100.0, **message("INVITE sip:a@b SIP/2.0", "1 INVITE"))
    trace.note("sip.sent", at=100.5, **message("INVITE sip:a@b SIP/2.0", "1 INVITE"))
    trace.note("sip.received", at=100.6, **message("SIP/2.0 407 Proxy Authentication Required", "1 INVITE"))
    trace.note("sip.sent", at=100.61, **message("INVITE sip:a@b SIP/2.0", "2 INVITE"))
    trace.note("call.ringing", at=100.7, status=180)
    trace.note("call.ringing", at=100.9, status=183)
    trace.note("sip.received", at=101.7, **message("SIP/2.0 200 OK", "2 INVITE"))
    trace.note("call.answered", at=101.7, status=200)
    trace.note("call.ended", at=121.7, by="caller", reason="")
    trace.note("sip.sent", at=121.7, **message("BYE sip:a@b SIP/2.0", "3 BYE"))
    trace.note("sip.received", at=121.72, **message("SIP/2.0 200 OK", "3 BYE"))
    return trace


def test_signalling_times_run_from_the_first_invite(trace: Trace) -> None:
    signalling = measures_of(trace, None).signalling
    assert signalling.post_dial_delay_s == pytest.approx(0.7)
    assert signalling.ring_time_s == pytest.approx(1.0)
    assert signalling.setup_time_s == pytest.approx(1.7)
    assert signalling.call_duration_s == pytest.approx(20.0)
    assert signalling.teardown_s == pytest.approx(0.02)
    assert (signalling.challenges, signalling.retransmissions) == (1, 1)


def test_a_call_that_was_refused_has_no_times_of_an_answered_one() -> None:
    trace = Trace()
    trace.note("call.dialled", at=1.0)
    trace.note("call.rejected", at=1.1, status=486, reason="Busy Here")
    measures = measures_of(trace, None)
    assert measures.signalling.setup_time_s is None
    assert measures.greeting_latency_s is None
    assert measures.response_latency.p50 is None
    assert measures.to_json()["turns"] == []


def test_packet_figures_come_from_the_last_report(trace: Trace) -> None:
    trace.note("media.started", at=101.7, codec="PCMA", local="a", remote="b")
    trace.note("media.first_packet", at=101.75, source="b")
    trace.note("media.report", at=110.0, sent=1, received=1, expected=1, lost=0)
    trace.note(
        "media.report",
        at=121.8,
        sent=1000,
        received=980,
        expected=1000,
        lost=20,
        jitter_s=0.004,
        send_late_p99_s=0.0003,
    )
    media = measures_of(trace, None).media
    assert (media.codec, media.sent, media.lost, media.loss_ratio) == ("PCMA", 1000, 20, 0.02)
    assert media.first_packet_s == pytest.approx(0.05)
    assert media.jitter_s == 0.004


def test_the_floor_tells_overlap_and_dead_air(painted_call: Make) -> None:
    call = painted_call(12.0)
    call.note("call.answered", 0.0, status=200)
    call.note("call.ended", 12.0, by="caller", reason="")
    call.says(1.0, 3.0)
    call.sound("agent", 2.5, 4.0)
    call.sound("agent", 8.0, 9.0)
    floor = call.measures().floor
    assert floor.caller_speech_s == pytest.approx(2.0, abs=0.01)
    assert floor.agent_speech_s == pytest.approx(2.5, abs=0.01)
    assert floor.overlap_s == pytest.approx(0.5, abs=0.01)
    assert floor.dead_airs == 2
    assert floor.dead_air_s == pytest.approx(4.0 + 3.0, abs=0.01)
    assert floor.longest_silence_s == pytest.approx(4.0, abs=0.01)


def test_json_is_plain_and_in_ms_from_the_recordings_first_sample(painted_call: Make) -> None:
    call = painted_call(5.0)
    call.says(1.0, 2.0)
    call.sound("agent", 2.7, 4.0)
    written = json.loads(json.dumps(call.measures().to_json()))
    assert written["recording_started_at"] == call.started_at
    [turn] = written["turns"]
    assert turn["ended_ms"] == pytest.approx(2000, abs=3)
    assert turn["reply_ms"] == pytest.approx(2700, abs=3)
    assert turn["response_latency_ms"] == pytest.approx(700, abs=6)
    assert written["response_latency_ms"]["count"] == 1
    assert written["media"]["loss_ratio"] is None
    assert not [
        name for part in ("signalling", "media", "floor") for name in written[part] if name.endswith("_s")
    ]


def test_the_same_trace_and_recording_give_the_same_measures(painted_call: Make) -> None:
    call = painted_call(5.0, noise=20.0)
    call.says(1.0, 2.0)
    call.sound("agent", 2.7, 4.0)
    assert call.measures() == call.measures()


def test_a_silent_or_empty_recording_is_measured_without_complaint(painted_call: Make) -> None:
    assert painted_call(3.0).measures().agent_speech == ()
    assert painted_call(0.0).measures().turns == ()


def test_percentiles_are_linear_and_leave_out_what_is_not_known() -> None:
    spread = Distribution.of([0.1, None, 0.2, 0.3, 0.4])
    assert (spread.count, spread.mean, spread.p50, spread.maximum) == (4, 0.25, 0.25, 0.4)
    assert spread.p90 == pytest.approx(0.37)
    assert Distribution.of([]).to_json() == {
        "count": 0,
        "mean": None,
        "p50": None,
        "p90": None,
        "p95": None,
        "max": None,
    }
