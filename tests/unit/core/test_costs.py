import logging
import math
from decimal import Decimal
from typing import Any

import pytest

from tuner_core.costs import cost_of


@pytest.mark.parametrize(
    ("cost", "cents"),
    [
        (None, None),
        (12.5, 12.5),
        (0, 0.0),
        (Decimal("3.25"), 3.25),
        (lambda usage: usage["tokens"] / 100, 4.2),
        (lambda usage: None, None),
    ],
)
def test_a_cost_is_given_or_calculated(cost: Any, cents: float | None) -> None:
    assert cost_of(cost, {"tokens": 420}) == cents


async def _in_a_coroutine(usage: object) -> float:
    return 1.0


@pytest.mark.parametrize(
    "cost",
    [lambda usage: 1 / 0, lambda usage: "12", lambda usage: True, lambda usage: math.nan, math.inf, -1.0,
     _in_a_coroutine],
)  # fmt: skip
def test_what_is_no_amount_costs_the_amount_and_not_the_call(cost: Any) -> None:
    told: list[Exception] = []
    assert cost_of(cost, object(), on_error=told.append) is None
    assert len(told) == 1


def test_without_somebody_to_tell_the_log_names_the_kind_only(caplog: pytest.LogCaptureFixture) -> None:
    def calculator(usage: object) -> float:
        raise KeyError("customer 4711")

    with caplog.at_level(logging.DEBUG):
        assert cost_of(calculator, object()) is None
    assert "KeyError" in caplog.text
    assert "4711" not in caplog.text
