"""Whom an answering side hears, and how much it takes on before it says 503 (RFC 3261 §21.5.4)."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass

from tuner_sipbridge.call.allowed import AllowList
from tuner_sipbridge.call.replies import Reply

_MOST_SOURCES = 8192


@dataclass(frozen=True, slots=True)
class Load:
    """The bounds of an answering side; whoever comes over one of them is told when to come again.

    Attributes:
        calls: calls at once, from the INVITE until their last transaction is over.
        requests_per_s: requests outside calls from one address that are answered in the long run, new calls among
            them.
        burst: how many of them may come at once.
        retry_after_s: what a caller is told when there are too many calls.
    """

    calls: int = 10_000
    requests_per_s: float = 500.0
    burst: int = 2_000
    retry_after_s: int = 5


class Gate:
    """Lets requests outside calls in, or says with what they are answered; counts those it turned away."""

    def __init__(self, load: Load, allowed: AllowList | None = None) -> None:
        """Begin with nobody inside; `allowed` are those who may come, None is everybody."""
        self._load, self._allowed = load, allowed
        self._buckets: dict[str, tuple[float, float]] = {}
        self.refused: Counter[str] = Counter()
        """How many requests came over which bound: `calls`, `rate`; `source` is not allowed. Calls count theirs here
        too."""

    def objection(self, source: str, *, calls: int, new_call: bool, now: float) -> Reply | None:
        """What a request from the address `source` is refused with, None to let it in.

        Args:
            source: address without port.
            calls: how many calls there are.
            new_call: the request would make one more.
            now: Unix time in seconds.
        """
        if self._allowed is not None and not self._allowed.admits(source):
            self.refused["source"] += 1
            return Reply(403, reason="Forbidden: calls from this address are not taken")
        wait_s = self._wait(source, now)
        if wait_s > 0:
            self.refused["rate"] += 1
            return _come_again(math.ceil(wait_s))
        if new_call and calls >= self._load.calls:
            self.refused["calls"] += 1
            return _come_again(self._load.retry_after_s)
        return None

    def _wait(self, source: str, now: float) -> float:
        """Take one from the source's bucket, or say how long it stays empty."""
        load = self._load
        tokens, at = self._buckets.pop(source, (float(load.burst), now))
        tokens = min(float(load.burst), tokens + max(0.0, now - at) * load.requests_per_s)
        granted = tokens >= 1
        self._buckets[source] = (tokens - 1 if granted else tokens, now)
        if len(self._buckets) > _MOST_SOURCES:
            del self._buckets[next(iter(self._buckets))]
        return 0.0 if granted else max(1.0, (1 - tokens) / load.requests_per_s)


def _come_again(after_s: int) -> Reply:
    return Reply(503, (("Retry-After", str(max(1, after_s))),))
