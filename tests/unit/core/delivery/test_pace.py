"""The pace of what no lane carries: alone while the API is in doubt, a few at once while it answers."""

from __future__ import annotations

from tuner_core.delivery.pace import LEFT_OVER, Pace
from tuner_core.errors import RateLimited, ServerError

DOWN = ServerError("503", status=503)
LIMITED = RateLimited("429", status=429, retry_after_s=3.0)


def test_the_first_goes_alone_and_each_answer_doubles_the_number_up_to_the_most():
    pace = Pace(at_most=4)
    counts = [pace.at_once]
    for _ in range(4):
        pace.answered()
        counts.append(pace.at_once)
    assert counts == [1, 2, 4, 4, 4]


def test_an_api_that_is_down_gets_one_at_a_time_after_growing_pauses():
    pace = Pace(at_most=4)
    assert [pace.failed(DOWN, chance=1.0) for _ in range(4)] == [2.0, 4.0, 8.0, 16.0]
    assert pace.at_once == 1
    pace.answered()
    pace.answered()
    assert [pace.failed(DOWN, chance=1.0) for _ in range(5)] == [0.0, 0.0, 0.0, 2.0, 4.0]


def test_one_that_fails_among_others_that_get_through_stops_nobody():
    pace = Pace(at_most=4)
    for _ in range(3):
        pace.answered()
    for _ in range(10):
        assert pace.failed(DOWN, chance=1.0) == 0.0
        pace.answered()
    assert pace.at_once == 4


def test_a_retry_after_holds_for_all():
    pace = Pace(at_most=4)
    pace.answered()
    assert pace.failed(LIMITED, chance=1.0) == 3.0
    assert pace.failed(LIMITED, chance=1.0) == 3.0 + LEFT_OVER.base_s
