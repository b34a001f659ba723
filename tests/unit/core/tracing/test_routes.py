"""Whose a span is: nearest binding wins, names beat contexts, nothing is guessed, nothing is kept."""

from __future__ import annotations

import pytest
from pydantic import SecretStr

from tuner_core.tracing.call_spans import MAX_WAITING, CallSpans
from tuner_core.tracing.routes import MAX_ENDED, Routes


def call(name: str) -> CallSpans:
    return CallSpans(name, "http://127.0.0.1/api/v1/traces", SecretStr("tr_api_x"))


@pytest.fixture
def routes() -> Routes:
    return Routes()


def test_a_span_started_in_a_bound_context_is_the_calls_and_so_are_its_children(routes: Routes) -> None:
    a = call("a")
    routes.start((1, 1), None, a)
    routes.start((1, 2), (1, 1), None)
    assert a.open == 2
    assert routes.end((1, 2)) is a
    assert routes.end((1, 1)) is a
    assert a.open == 0


def test_a_call_begun_inside_another_calls_span_has_its_own_spans(routes: Routes) -> None:
    a, b = call("a"), call("b")
    routes.start((1, 1), None, a)
    routes.start((1, 2), (1, 1), b)
    assert routes.end((1, 2)) is b
    assert routes.end((1, 1)) is a


def test_calls_under_one_shared_root_stay_apart_and_the_root_is_nobodys(routes: Routes) -> None:
    a, b = call("a"), call("b")
    routes.start((1, 1), None, None)
    routes.start((1, 2), (1, 1), a)
    routes.start((1, 3), (1, 1), b)
    routes.start((1, 4), (1, 1), None)
    assert [routes.end((1, n)) for n in (2, 3, 4, 1)] == [a, b, None, None]


def test_a_child_of_a_span_that_has_ended_is_still_the_calls(routes: Routes) -> None:
    a = call("a")
    routes.start((1, 1), None, a)
    routes.end((1, 1))
    routes.start((1, 2), (1, 1), None)
    assert routes.end((1, 2)) is a


def test_adopting_takes_what_descends_whatever_its_context_says(routes: Routes) -> None:
    a, b = call("a"), call("b")
    routes.start((1, 1), None, b)
    routes.start((1, 2), (1, 1), b)
    assert set(routes.adopt((1, 1), a)) == {(1, 1), (1, 2)}
    routes.start((1, 3), (1, 2), b)
    assert (a.open, b.open) == (3, 0)
    assert routes.end((1, 3)) is a


def test_what_a_call_adopted_no_other_takes_from_it(routes: Routes) -> None:
    a, b = call("a"), call("b")
    routes.start((1, 1), None, None)
    routes.start((1, 2), (1, 1), None)
    routes.adopt((1, 2), a)
    routes.adopt((1, 1), b)
    assert routes.adopt((1, 2), b) == {}
    assert routes.end((1, 2)) is a
    assert routes.end((1, 1)) is b


def test_a_span_from_before_anybody_looked_can_be_adopted(routes: Routes) -> None:
    a = call("a")
    routes.adopt((1, 1), a, is_open=True)
    assert a.open == 1
    routes.start((1, 2), (1, 1), None)
    assert routes.end((1, 2)) is a
    assert routes.end((1, 1)) is a
    assert a.open == 0


def test_a_remote_parent_is_not_waited_for(routes: Routes) -> None:
    a = call("a")
    routes.adopt((1, 1), a)
    assert a.open == 0


def test_nothing_is_kept_of_spans_that_are_no_calls(routes: Routes) -> None:
    for number in range(100):
        routes.start((1, number), None, None)
        routes.end((1, number))
    assert len(routes) == 0


def test_a_released_call_leaves_nothing_even_with_open_spans(routes: Routes) -> None:
    a, b = call("a"), call("b")
    routes.start((1, 1), None, a)
    routes.start((1, 2), (1, 1), a)
    routes.start((2, 1), None, b)
    routes.end((1, 2))
    routes.release(a)
    assert len(routes) == 1
    assert routes.end((1, 1)) is None
    routes.release(b)
    assert len(routes) == 0


def test_a_very_long_call_remembers_a_bounded_number_of_its_spans(routes: Routes) -> None:
    a = call("a")
    routes.start((1, 0), None, a)
    for number in range(1, MAX_ENDED * 2):
        routes.start((1, number), (1, 0), None)
        routes.end((1, number))
    assert len(routes) <= MAX_ENDED + 1
    assert routes.end((1, 0)) is a


def test_spans_beyond_the_bound_are_counted_not_kept() -> None:
    a = call("a")
    for number in range(MAX_WAITING + 5):
        a.put((1, number), object())
    assert len(a.waiting) == MAX_WAITING
    assert a.outcome.dropped == 5
    assert str(MAX_WAITING) in a.outcome.detail


def test_the_key_shows_in_no_representation() -> None:
    assert "tr_api_x" not in repr(call("a"))
