from __future__ import annotations

from tuner_sipbridge.call.load import Gate, Load


def knock(
    gate: Gate, source: str = "192.0.2.1", *, calls: int = 0, new_call: bool = True, now: float = 0.0
) -> str:
    reply = gate.objection(source, calls=calls, new_call=new_call, now=now)
    return "in" if reply is None else f"{reply.status} {dict(reply.headers)['Retry-After']}"


def test_one_call_too_many_is_told_when_to_come_again():
    gate = Gate(Load(calls=2, retry_after_s=7))
    assert knock(gate, calls=1) == "in"
    assert knock(gate, calls=2) == "503 7"
    assert knock(gate, calls=2, new_call=False) == "in"
    assert gate.refused == {"calls": 1}


def test_a_source_that_asks_too_often_waits_and_others_do_not():
    gate = Gate(Load(requests_per_s=0.1, burst=2))
    assert [knock(gate) for _ in range(3)] == ["in", "in", "503 10"]
    assert knock(gate, "192.0.2.2") == "in"
    assert knock(gate, now=5.0) == "503 5"
    assert knock(gate, now=10.0) == "in"
    assert knock(gate, now=10.0) == "503 10"
    assert gate.refused == {"rate": 3}


def test_a_burst_is_allowed_again_after_a_pause():
    gate = Gate(Load(requests_per_s=10, burst=3))
    assert [knock(gate) for _ in range(4)] == ["in", "in", "in", "503 1"]
    assert [knock(gate, now=1000.0) for _ in range(4)] == ["in", "in", "in", "503 1"]


def test_a_flood_of_forged_sources_takes_no_more_memory_than_a_bound():
    gate = Gate(Load())
    for number in range(9000):
        knock(gate, f"source-{number}")
    assert len(gate._buckets) == 8192


def test_time_that_goes_back_opens_nothing():
    gate = Gate(Load(requests_per_s=1, burst=1))
    assert knock(gate, now=100.0) == "in"
    assert knock(gate, now=50.0) == "503 1"
