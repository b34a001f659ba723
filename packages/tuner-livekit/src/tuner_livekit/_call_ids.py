"""How the calls of a job are named."""

from __future__ import annotations

from weakref import WeakKeyDictionary

from livekit.agents import JobContext

_calls_of_job: WeakKeyDictionary[JobContext, int] = WeakKeyDictionary()
"""How many calls each job has begun so far: the job's id names the first, the others get a number."""


class CallIds:
    """Names one call after the other for one plugin; plugins of one job never give a name twice.

    Args:
        ctx: the job.
        call_id: name of the first call, the job's id when None.
    """

    def __init__(self, ctx: JobContext, call_id: str | None) -> None:
        self._ctx = ctx
        self._given = call_id
        self._current: str | None = None
        self.begun = 0

    def current(self) -> str:
        """The running call's name; the first question begins a call."""
        if self._current is None:
            self.begun += 1
            self._current = self._next()
        return self._current

    def over(self) -> None:
        """The running call has ended; the next question begins another."""
        self._current = None

    def _next(self) -> str:
        if self._given is not None:
            return self._given if self.begun == 1 else f"{self._given}-{self.begun}"
        number = _calls_of_job.get(self._ctx, 0) + 1
        _calls_of_job[self._ctx] = number
        return self._ctx.job.id if number == 1 else f"{self._ctx.job.id}-{number}"
