"""Long work beside an event loop."""

from __future__ import annotations

import time

_AT_MOST_S = 0.0005


class Courtesy:
    """Called in the middle of long work: gives the interpreter to another thread that waits for it.

    Left alone, Python lets a thread work for 5 ms while another waits, and an event loop waits anew at each of its
    steps. So often, a pause costs the work next to nothing when nobody waits.
    """

    def __init__(self) -> None:
        self._worked_since = time.perf_counter()

    def __call__(self) -> None:
        """Pause, unless the last pause was just now."""
        if time.perf_counter() - self._worked_since > _AT_MOST_S:
            time.sleep(0)
            self._worked_since = time.perf_counter()
