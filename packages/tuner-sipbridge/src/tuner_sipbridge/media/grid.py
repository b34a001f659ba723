"""The absolute grid of a media worker: 20 ms ticks, each cut into equal slots."""

from __future__ import annotations

from tuner_sipbridge.media.engine import FRAME_S

_STALL_S = 0.5
"""Beyond this the worker was stopped, not late: a burst of all that was due would serve nobody."""


class Grid:
    """Counts steps, one a slot; each step has a due time that nothing moves.

    A worker that is late carries out the steps it owes one after the other, without a pause, and so catches up. Only
    after a stall (the process was stopped, the machine slept) are whole ticks left out.

    Attributes:
        step: number of the step that is due next.
    """

    def __init__(self, origin: float, slots: int) -> None:
        """`origin` is when step 0 is due, on whatever clock `due` is wanted in."""
        self.slots = slots
        self.step = 0
        self._origin = origin
        self._step_s = FRAME_S / slots

    @property
    def slot(self) -> int:
        """Slot of the step that is due next."""
        return self.step % self.slots

    @property
    def tick(self) -> int:
        """Tick of the step that is due next."""
        return self.step // self.slots

    @property
    def due(self) -> float:
        """When the next step is due."""
        return self.due_of(self.step)

    def due_of(self, step: int) -> float:
        """When a step is due."""
        return self._origin + step * self._step_s

    def next_step_of(self, slot: int) -> int:
        """The first step from the next one on that belongs to `slot`."""
        return self.step + (slot - self.step) % self.slots

    def advance(self) -> None:
        """The step that was due is done."""
        self.step += 1

    def skip_stall(self, now: float) -> int:
        """Leave out whole ticks after a stall.

        Returns:
            How many ticks are left out, 0 when there was none.
        """
        behind = now - self.due
        if behind < _STALL_S:
            return 0
        ticks = int(behind / FRAME_S)
        self.step += ticks * self.slots
        return ticks
