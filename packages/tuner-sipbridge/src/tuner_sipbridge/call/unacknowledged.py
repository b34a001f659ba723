"""A 2xx to an INVITE that is sent again until its ACK comes (RFC 3261 §13.3.1.4)."""

from __future__ import annotations

from typing import Literal, TypeAlias

from tuner_sipbridge.sip.message import Request, Response
from tuner_sipbridge.sip.timers import Timers

Due: TypeAlias = Literal["repeat", "give up"]


class Unacknowledged:
    """One such 2xx and its two clocks."""

    def __init__(self, response: Response, timers: Timers, *, now: float) -> None:
        """The 2xx was sent at `now`."""
        self.response = response
        self._ceiling = timers.t2
        self._interval = timers.t1
        self._repeat_at = now + timers.t1
        self._give_up_at = now + timers.patience

    def is_ended_by(self, ack: Request) -> bool:
        """Whether this ACK is the one."""
        return ack.cseq.number == self.response.cseq.number

    def handle_timer(self, *, now: float) -> Due | None:
        """What is due at `now`."""
        if now >= self._give_up_at:
            return "give up"
        if now < self._repeat_at:
            return None
        self._interval = min(self._interval * 2, self._ceiling)
        self._repeat_at = now + self._interval
        return "repeat"

    def next_deadline(self) -> float:
        """When `handle_timer` must run next."""
        return min(self._repeat_at, self._give_up_at)
