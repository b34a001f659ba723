"""The waterfall of a call's spans."""

from tuner_core.local.pages.spans import MOST_SPANS, WIDTH_PX, waterfall
from tuner_core.local.traces import TracedSpan


def span(span_id: str, parent: str, started_at: float, ended_at: float) -> TracedSpan:
    return TracedSpan("c-81", "t", span_id, parent, span_id, "lib", started_at, ended_at, "ok", {})


def test_children_stand_below_their_parents_at_their_times() -> None:
    rows = waterfall(
        [span("call", "elsewhere", 100, 110), span("llm", "call", 102, 104), span("turn", "call", 105, 110)],
        call_started_at=99,
    ).rows
    assert [(row.span.name, row.depth, row.start_ms, row.ms) for row in rows] == [
        ("call", 0, 1000, 10_000),
        ("llm", 1, 3000, 2000),
        ("turn", 1, 6000, 5000),
    ]
    assert [(row.x, row.width) for row in rows] == [
        (0.0, WIDTH_PX),
        (WIDTH_PX / 5, WIDTH_PX / 5),
        (WIDTH_PX / 2, WIDTH_PX / 2),
    ]


def test_spans_that_are_each_others_parents_are_shown_once() -> None:
    rows = waterfall([span("a", "b", 1, 2), span("b", "a", 1, 2), span("c", "c", 1, 1)], 1).rows
    assert sorted(row.span.name for row in rows) == ["a", "b", "c"]


def test_more_than_can_be_looked_at_are_counted() -> None:
    many = waterfall([span(str(number), "", 1, 2) for number in range(MOST_SPANS + 7)], 1)
    assert (len(many.rows), many.left_out) == (MOST_SPANS, 7)
    assert waterfall([], 1).rows == ()
