"""A call as a WAV file: caller on the left, agent on the right, 16-bit PCM at 8000 Hz."""

from __future__ import annotations

import wave
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from tuner_sipbridge.audio.g711 import SAMPLE_RATE, Law, decode

_BLOCK = SAMPLE_RATE * 60


class TwoSides(Protocol):
    """Both sides of a call, coded, sample for sample on one clock."""

    @property
    def codec(self) -> Law:
        """G.711 law of both sides."""
        ...

    @property
    def caller(self) -> NDArray[np.uint8]:
        """Octets of the caller, shape (n,)."""
        ...

    @property
    def agent(self) -> NDArray[np.uint8]:
        """Octets of the agent, shape (n,)."""
        ...


def write_stereo(path: Path, sides: TwoSides) -> None:
    """Write both sides as a stereo WAV file, a minute at a time.

    Raises:
        OSError: the file cannot be written.
    """
    with wave.open(str(path), "wb") as file:
        file.setnchannels(2)
        file.setsampwidth(2)
        file.setframerate(SAMPLE_RATE)
        for begin in range(0, len(sides.caller), _BLOCK):
            block = slice(begin, begin + _BLOCK)
            columns = [decode(side[block], sides.codec) for side in (sides.caller, sides.agent)]
            file.writeframes(np.column_stack(columns).astype("<i2").tobytes())
