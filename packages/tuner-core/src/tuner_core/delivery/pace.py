"""How fast to send what no lane carries: one record at a time until the API answers, then a few at once. Pure."""

from __future__ import annotations

from tuner_core.errors import RateLimited, TunerError
from tuner_core.http import RetryPolicy

LEFT_OVER = RetryPolicy(base_s=2.0, cap_s=300.0)
"""Waits of records that no lane carries; they have no last try."""


class Pace:
    """Tells an API that is down from one that fails now and then.

    When every record lately sent has failed, the next is sent alone and after a pause that grows, so that an outage
    with a long backlog costs the API nothing. When some get through, those that failed wait for their own turn and
    the others go on.

    Args:
        at_most: records at once while the API answers.

    Attributes:
        at_once: records that may be under way now.
    """

    def __init__(self, at_most: int) -> None:
        self.at_once = 1
        self._at_most = at_most
        self._failed_in_a_row = 0
        self._pauses = 0

    def answered(self) -> None:
        """A record was settled, or there is reason to hope that the next one will be."""
        self._failed_in_a_row = self._pauses = 0
        self.at_once = min(self.at_once * 2, self._at_most)

    def failed(self, error: TunerError, chance: float) -> float:
        """A record has failed; seconds to send nothing.

        Args:
            error: why it failed.
            chance: a random number from 0 to 1.
        """
        self._failed_in_a_row += 1
        if self._failed_in_a_row >= self.at_once:
            self.at_once = 1
            self._pauses += 1
            return LEFT_OVER.wait_s(self._pauses, error, chance)
        return error.retry_after_s or 0.0 if isinstance(error, RateLimited) else 0.0
