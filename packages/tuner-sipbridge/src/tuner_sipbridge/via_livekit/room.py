"""The room as the caller sees it: the one interface between the caller and LiveKit's real-time library.

Audio is 16-bit mono at 8000 Hz in both directions, whatever the room carries.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

Samples: TypeAlias = NDArray[np.int16]


@dataclass(frozen=True, slots=True)
class CalleeShown:
    """The callee's participant has these attributes, or these have changed."""

    attributes: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class CalleeLeft:
    """The callee's participant is gone; `reason` is LiveKit's name of a disconnect reason."""

    reason: str


@dataclass(frozen=True, slots=True)
class RoomLost:
    """We are out of the room and did not ask for it; `reason` as for `CalleeLeft`."""

    reason: str


@dataclass(frozen=True, slots=True)
class DigitHeard:
    """The callee sent a digit."""

    digit: str


RoomEvent: TypeAlias = CalleeShown | CalleeLeft | RoomLost | DigitHeard


class Room(Protocol):
    """One room with one callee. Joined once, left once."""

    async def join(self) -> None:
        """Join and publish the caller's track.

        Raises:
            MediaError: it cannot be joined.
        """
        ...

    def events(self) -> AsyncIterator[RoomEvent]:
        """What happens to the callee, in order, from the join on. One reader only."""
        ...

    async def send(self, samples: Samples) -> None:
        """Say so much to the room; returns when it is taken."""
        ...

    def frames(self) -> AsyncIterator[Samples]:
        """The callee's audio as it comes, from the join on; ends when the room is left. One reader only."""
        ...

    async def press(self, digit: str) -> None:
        """Send a digit of a keypad to the callee."""
        ...

    async def leave(self) -> None:
        """Leave; a second call does nothing."""
        ...
