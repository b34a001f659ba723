"""The timeline of one call as numbers."""

import itertools
from typing import Any

import pytest

from tuner_core.local.pages.render import clock, latency, span
from tuner_core.local.pages.timeline import draw
from tuner_core.local.validation import check_record


def drawing(*segments: dict[str, Any], length_s: int = 20):
    return draw(
        check_record(
            {
                "call_id": "c-81",
                "call_type": "phone_call",
                "transcript_with_tool_calls": list(segments),
                "start_timestamp": 1_760_000_000,
                "end_timestamp": 1_760_000_000 + length_s,
                "recording_url": "pending",
            }
        )
    )


def turn(role: str, start_ms: int, end_ms: int, **metadata: Any) -> dict[str, Any]:
    return {"role": role, "text": role, "start_ms": start_ms, "end_ms": end_ms, "metadata": metadata}


def test_bars_stand_where_their_times_are() -> None:
    result = drawing(turn("user", 0, 5000), turn("agent", 10_000, 20_000))
    assert [(bar.lane, bar.x / result.width, bar.width / result.width) for bar in result.bars] == [
        ("user", 0.0, pytest.approx(0.25)),
        ("agent", pytest.approx(0.5), pytest.approx(0.5)),
    ]


def test_a_turn_after_the_end_of_the_call_is_still_on_the_axis() -> None:
    result = drawing(turn("agent", 25_000, 30_000), length_s=20)
    assert result.length_ms == 30_000
    assert result.bars[0].x + result.bars[0].width <= result.width


def test_the_wait_is_the_posted_latency_else_the_distance_between_the_turns() -> None:
    result = drawing(
        turn("agent", 500, 1000),
        turn("user", 2000, 3000),
        turn("agent", 4000, 5000),
        turn("user", 6000, 7000),
        turn("agent", 8000, 9000, e2e_latency=1500),
        turn("agent", 9500, 9900),
    )
    assert [(gap.ms, gap.measured) for gap in result.gaps] == [(1000, False), (1500, True)]
    assert (result.typical_wait_ms, result.longest_wait_ms) == (1250, 1500)


def test_an_agent_that_spoke_over_the_user_kept_nobody_waiting() -> None:
    assert drawing(turn("user", 0, 3000), turn("agent", 2000, 4000)).gaps == ()


def test_tools_and_unplaced_segments() -> None:
    result = drawing(
        {"role": "agent_function", "tool": {"name": "look_up", "start_ms": 4000}},
        {"role": "agent_result", "start_ms": 5000, "tool": {"name": "look_up", "error": "no"}},
        {"role": "agent_function", "tool": {"name": "nowhere"}},
        {"role": "node_transition", "start_ms": 1, "end_ms": 2, "node": {"from": "a", "to": "b"}},
    )
    assert [(bar.lane, bar.number, bar.is_error) for bar in result.bars] == [
        ("tool", 1, False),
        ("tool", 2, True),
    ]


@pytest.mark.parametrize("length_s", [0, 1, 59, 3600, 86_400 * 365])
def test_the_axis_is_readable_at_any_length(length_s: int) -> None:
    result = drawing(turn("agent", 0, 100), length_s=length_s)
    marks = [tick.x for tick in result.ticks]
    assert 880 <= result.width <= 24_000
    assert all(later - earlier >= 69 for earlier, later in itertools.pairwise(marks))


def test_times_are_written_for_people() -> None:
    assert [clock(ms) for ms in (0, 65_349, -1200, None)] == ["0:00.0", "1:05.3", "-0:01.2", "–"]
    assert [span(seconds) for seconds in (0.84, 185, 7260, None)] == [
        "0.8 s",
        "3 min 05 s",
        "2 h 01 min",
        "–",
    ]
    assert [latency(ms) for ms in (840.4, 1120, "slow", True, 10**400)] == ["840 ms", "1.12 s", "", "", ""]
