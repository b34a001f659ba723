"""Unix time of a frame from Pipecat's pipeline clock. Pure."""

from __future__ import annotations


class FrameClock:
    """Turns the pipeline clock's nanoseconds into Unix seconds.

    An observer sees a frame some time after it was pushed. The smallest difference ever seen between the two clocks is
    the one with the least waiting in it, so moments do not suffer from a busy loop.
    """

    def __init__(self) -> None:
        self._offset_s: float | None = None

    def unix(self, pushed_at_ns: int, *, now: float) -> float:
        """When a frame was pushed.

        Args:
            pushed_at_ns: the pipeline clock's time, 0 before that clock runs.
            now: Unix seconds.
        """
        if pushed_at_ns <= 0:
            return now
        pushed_at_s = pushed_at_ns / 1e9
        offset_s = now - pushed_at_s
        if self._offset_s is None or offset_s < self._offset_s:
            self._offset_s = offset_s
        return pushed_at_s + self._offset_s
