from __future__ import annotations

from tuner_pipecat._clock import FrameClock


def test_the_least_delayed_sight_gives_the_offset() -> None:
    clock = FrameClock()
    assert clock.unix(1_000_000_000, now=101.5) == 101.5
    assert clock.unix(2_000_000_000, now=102.0) == 102.0
    assert clock.unix(3_000_000_000, now=103.8) == 103.0


def test_before_the_pipelines_clock_runs_the_time_is_now() -> None:
    assert FrameClock().unix(0, now=50.0) == 50.0
