"""What a call cost, as the application says: a number, or a function of the call's usage that may fail."""

from __future__ import annotations

import inspect
import logging
import math
from collections.abc import Callable
from decimal import Decimal
from numbers import Real
from typing import Any, TypeAlias, TypeVar

logger = logging.getLogger("tuner_core.costs")

Usage = TypeVar("Usage")
Cents: TypeAlias = float | Decimal
"""125 means $1.25, as Create Call's `call_cost` wants it."""


def cost_of(
    cost: Cents | Callable[[Usage], Cents | None] | None,
    usage: Usage,
    *,
    on_error: Callable[[Exception], None] | None = None,
) -> float | None:
    """The call's cost in cents, or None when there is none to send.

    Nothing that a calculator does costs the call: when it raises, or gives what is no amount of cents (text, NaN,
    less than 0, a coroutine), the record goes without `call_cost` and the reason is told once.

    Args:
        cost: cents, a function of `usage` that gives them, or None.
        usage: what the function gets.
        on_error: told why there is no cost; a warning without content in the log when omitted.

    Raises:
        Exception: only what `on_error` raises, as a plugin's guard does in its strict mode.
    """
    try:
        return _checked(cost(usage) if callable(cost) else cost)
    except Exception as error:
        if on_error is None:
            logger.warning("a call goes without its cost: %s in the calculator", type(error).__name__)
        else:
            on_error(error)
        return None


def _checked(amount: Any) -> float | None:
    if amount is None:
        return None
    if inspect.iscoroutine(amount):
        amount.close()
        raise TypeError("a cost calculator is a plain function, not a coroutine function")
    if isinstance(amount, bool) or not isinstance(amount, Real | Decimal):
        raise TypeError(f"a cost is a number of cents, not {type(amount).__name__}")
    cents = float(amount)
    if not math.isfinite(cents) or cents < 0:
        raise ValueError("a cost is a finite number of cents from 0 up")
    return cents
