"""The timeline of one call: what happened when, and where it stands in the picture."""

import itertools
from typing import Any

import pytest

from tuner_core.local.pages.drawing import FIT_PX, Drawing, draw, fitted, wrapped
from tuner_core.local.pages.render import clock, latency, span
from tuner_core.local.pages.timeline import Timeline, timeline_of
from tuner_core.local.validation import check_record


def timeline(*segments: dict[str, Any], length_s: int = 20) -> Timeline:
    return timeline_of(
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


def drawing(*segments: dict[str, Any], length_s: int = 20, zoom: int | None = 0) -> Drawing:
    return draw(timeline(*segments, length_s=length_s), zoom)


def turn(role: str, start_ms: int, end_ms: int, text: str = "hm", **metadata: Any) -> dict[str, Any]:
    return {"role": role, "text": text, "start_ms": start_ms, "end_ms": end_ms, "metadata": metadata}


def tool(role: str, start_ms: int | None, name: str = "look_up", **fields: Any) -> dict[str, Any]:
    return {"role": f"agent_{role}", "start_ms": start_ms, "tool": {"name": name, **fields}}


def test_bars_stand_where_their_times_are() -> None:
    result = drawing(turn("user", 0, 5000), turn("agent", 10_000, 20_000))
    assert [(bar.turn.speaker, bar.x, bar.width) for bar in result.turns] == [
        ("user", 0.0, pytest.approx(FIT_PX / 4, abs=0.1)),
        ("agent", FIT_PX / 2, FIT_PX / 2),
    ]


def test_a_turn_after_the_end_of_the_call_is_still_on_the_axis() -> None:
    result = drawing(turn("agent", 25_000, 30_000), length_s=20)
    assert result.timeline.length_ms == 30_000
    assert result.turns[0].x + result.turns[0].width <= result.width


def test_the_wait_is_the_posted_latency_else_the_distance_between_the_turns() -> None:
    result = timeline(
        turn("agent", 500, 1000),
        turn("user", 2000, 3000),
        turn("agent", 4000, 5000),
        turn("user", 6000, 7000),
        turn("agent", 8000, 9000, e2e_latency=1500),
        turn("agent", 9500, 9900),
    )
    assert [(wait.number, wait.start_ms, wait.ms, wait.measured) for wait in result.waits] == [
        (3, 3000, 1000, False),
        (5, 6500, 1500, True),
    ]
    assert result.typical_wait_ms == 1250
    assert result.longest_wait == result.waits[1]
    assert [wait.is_slow for wait in result.waits] == [False, True]


def test_a_wait_is_made_of_the_latencies_of_both_its_turns() -> None:
    result = drawing(
        turn("user", 0, 1000, stt_node_ttfb=100),
        turn("agent", 2000, 3000, e2e_latency=1000, tts_node_ttfb=200, llm_node_ttft=300.5, eou_delay=-1),
    )
    (gap,) = result.waits
    assert [(name, ms) for name, _, ms in gap.wait.parts] == [("stt", 100), ("llm", 300.5), ("tts", 200)]
    assert gap.parts[-1][1] + gap.parts[-1][2] == pytest.approx(gap.x + gap.width, abs=0.2)
    assert all(left >= gap.x for _, left, _ in gap.parts)


def test_an_agent_that_spoke_over_the_user_kept_nobody_waiting() -> None:
    assert timeline(turn("user", 0, 3000), turn("agent", 2000, 4000)).waits == ()


def test_a_tool_lasts_from_its_call_to_its_result() -> None:
    result = timeline(
        tool("function", 1000, request_id="r1"),
        tool("function", 1200, request_id="r2"),
        tool("result", 1500, request_id="r2"),
        tool("result", 4000, request_id="r1", error="no stock"),
        tool("function", 5000, "mail"),
        tool("result", 5600, "mail"),
        tool("function", 7000, "hangs"),
        tool("result", 8000, "orphan", is_error=True),
        tool("function", None, "nowhere"),
    )
    assert [
        (run.name, run.number, run.result, run.start_ms, run.ms, run.is_error) for run in result.tools
    ] == [
        ("look_up", 1, 4, 1000, 3000, True),
        ("look_up", 2, 3, 1200, 300, False),
        ("mail", 5, 6, 5000, 600, False),
        ("hangs", 7, None, 7000, 0, False),
        ("orphan", 8, 8, 8000, 0, True),
    ]
    assert result.tools[0].error == "no stock"


def test_tools_that_run_at_once_stand_below_each_other() -> None:
    result = drawing(tool("function", 1000, "a"), tool("result", 5000, "a"), tool("function", 2000, "b"))
    assert [bar.row for bar in result.tools] == [0, 1]
    assert result.y["axis"] > drawing(tool("function", 1000, "a")).y["axis"]


def test_nodes_follow_each_other_and_one_without_a_time_stands_after_what_was_before() -> None:
    result = timeline(
        turn("agent", 0, 2000),
        {"role": "node_transition", "node": {"from": "greeting", "to": "order", "reason": "asked"}},
        turn("user", 4000, 5000),
        {"role": "node_transition", "start_ms": 6000, "node": {"from": "order", "to": "goodbye"}},
    )
    assert [(step.name, step.start_ms, step.end_ms, step.number) for step in result.steps] == [
        ("greeting", 0, 2000, None),
        ("order", 2000, 6000, 2),
        ("goodbye", 6000, 20_000, 4),
    ]
    assert "node" in draw(result).y


def test_interruptions_words_and_keys() -> None:
    words = [
        {"word": "one", "start_ms": 1000, "end_ms": 1200},
        {"word": "two", "start_ms": 2000, "end_ms": 2300},
    ]
    result = drawing(
        turn("agent", 0, 900, interrupted=True),
        {"role": "user", "words": words},
        turn("user", 5000, 6000, "12", source="keypad"),
        zoom=2,
    )
    agent, user, keys = result.turns
    assert agent.turn.is_interrupted
    assert (user.turn.text, user.turn.start_ms, user.turn.end_ms) == ("one two", 1000, 2300)
    assert user.marks == (pytest.approx(2000 / result.ms_per_px, abs=0.1),)
    assert keys.turn.source == "keypad"


def test_the_share_of_each_speaker_counts_no_moment_twice() -> None:
    result = timeline(turn("user", 0, 4000), turn("user", 2000, 6000), turn("agent", 10_000, 12_000))
    assert (result.talked("user"), result.talked("agent")) == (pytest.approx(0.3), pytest.approx(0.1))


@pytest.mark.parametrize("length_s", [0, 1, 59, 3600, 86_400 * 365])
@pytest.mark.parametrize("zoom", [None, 0, 3, 99])
def test_the_axis_is_readable_at_any_length_and_zoom(length_s: int, zoom: int | None) -> None:
    result = drawing(turn("agent", 0, 100), length_s=length_s, zoom=zoom)
    marks = [tick.x for tick in result.ticks]
    assert FIT_PX <= result.width <= 300_000
    assert all(later - earlier >= 69 for earlier, later in itertools.pairwise(marks))


def test_a_long_call_opens_where_its_words_can_be_read() -> None:
    assert drawing(turn("agent", 0, 100), zoom=None).zoom == 0
    long = drawing(turn("agent", 0, 4000, "a sentence of some length"), length_s=1800, zoom=None)
    assert long.zoom >= 4
    assert long.turns[0].shown


def test_figures_over_waits_never_overlap() -> None:
    result = drawing(
        *itertools.chain.from_iterable(
            (turn("user", at, at + 200), turn("agent", at + 300, at + 500)) for at in range(0, 60_000, 600)
        ),
        length_s=60,
    )
    written = [gap.label_x for gap in result.waits if gap.label_x is not None]
    assert 5 < len(written) < len(result.waits)
    assert all(later - earlier > 40 for earlier, later in itertools.pairwise(written))


def test_the_longest_waits_have_their_figures_where_not_all_have_room() -> None:
    latencies = [500, 900, 4000, 700, 800, 2500, 600]
    result = drawing(
        *(turn("agent", 1000 * at + 900, 1000 * at + 950, e2e_latency=ms) for at, ms in enumerate(latencies)),
        length_s=300,
    )
    assert [gap.wait.ms for gap in result.waits if gap.label_x is not None] == [4000]


def test_names_of_tools_fill_the_room_until_the_next_one() -> None:
    result = drawing(
        tool("function", 1000, "look_up_the_order"),
        tool("result", 1100, "look_up_the_order"),
        tool("function", 3000, "mail"),
        tool("result", 3100, "mail"),
        length_s=20,
    )
    first, second = result.tools
    assert (first.row, second.row) == (0, 0)
    assert (first.shown, first.outside) == ("look_up_the_…", True)
    assert (second.shown, second.outside) == ("mail", True)


def test_texts_are_cut_to_their_room() -> None:
    assert fitted("hello", 100) == "hello"
    assert fitted("a long sentence", 60) == "a long s…"
    assert fitted("hello", 10) == ""
    assert wrapped("one two three four five", 80) == ("one two", "three four…")
    assert wrapped("hello", 80) == ("hello",)
    assert wrapped("  ", 80) == ()


def test_times_are_written_for_people() -> None:
    assert [clock(ms) for ms in (0, 65_349, -1200, None)] == ["0:00.0", "1:05.3", "-0:01.2", "–"]
    assert [span(seconds) for seconds in (0.84, 185, 7260, None)] == [
        "0.8 s",
        "3 min 05 s",
        "2 h 01 min",
        "–",
    ]
    assert [latency(ms) for ms in (840.4, 1120, "slow", True, 10**400)] == ["840 ms", "1.12 s", "", "", ""]
