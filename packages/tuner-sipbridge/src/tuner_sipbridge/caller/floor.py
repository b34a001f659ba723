"""Whether the agent has the floor: its speech as the detector at our port reports it, joined to turns."""

from __future__ import annotations

TURN_GAP_S = 1.0
"""Silence that parts two turns of the agent; shorter gaps are those between its sentences."""


class AgentFloor:
    """The agent's speech so far. Times are Unix seconds."""

    def __init__(self) -> None:
        self.speaking = False
        self.stopped_at: float | None = None
        self._turn_began: float | None = None
        self._heard = False

    def started(self, at: float) -> None:
        """The agent began to speak."""
        gap_is_long = self.stopped_at is None or at - self.stopped_at > TURN_GAP_S
        if self._turn_began is None or gap_is_long:
            self._turn_began = at
        self.speaking = True
        self._heard = True

    def stopped(self, at: float) -> None:
        """The agent fell silent."""
        self.speaking = False
        self.stopped_at = at

    def answered(self) -> None:
        """The caller has taken note of what was said: only speech that begins later counts as new."""
        self._heard = False
        self._turn_began = None

    def caller_stopped(self) -> None:
        """The caller's own speech is over: what the agent said wholly under it was no answer to it."""
        if not self.speaking:
            self.answered()

    def turn_over_at(self, settle_s: float) -> float | None:
        """When the agent's turn counts as over, None while it speaks or has said nothing new."""
        if self.speaking or not self._heard or self.stopped_at is None:
            return None
        return self.stopped_at + settle_s

    def into_turn_at(self, after_s: float) -> float | None:
        """When the agent will have spoken for `after_s`, None while it is silent."""
        if not self.speaking or self._turn_began is None:
            return None
        return self._turn_began + after_s
