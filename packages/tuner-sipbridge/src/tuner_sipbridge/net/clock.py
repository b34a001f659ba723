"""The one clock of sipbridge: Unix seconds that never step."""

from __future__ import annotations

import time

_OFFSET_S = time.time() - time.monotonic()


def now() -> float:
    """Unix time in seconds, advanced by the monotonic clock.

    Its offset is sampled once a process, so a step of the system's clock during a run moves nothing; the
    kernel's packet timestamps (CLOCK_REALTIME) stay comparable as long as no such step happens.
    """
    return time.monotonic() + _OFFSET_S
