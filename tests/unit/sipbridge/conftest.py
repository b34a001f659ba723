from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from tuner_sipbridge.audio import g711
from tuner_sipbridge.measure.measures import Measures, measures_of
from tuner_sipbridge.media.recording import Recording
from tuner_sipbridge.trace import Trace

STARTED_AT = 1_700_000_000.0


class PaintedCall:
    """A call made by hand: sound is painted on both sides, the trace is written beside it. Times in seconds
    from the recording's first sample.
    """

    def __init__(self, seconds: float, *, noise: float = 0.0) -> None:
        generator = np.random.default_rng(1)
        self.trace = Trace()
        self.started_at = STARTED_AT
        self._sides = {
            side: generator.normal(0.0, 1.0, int(seconds * 8000)) * noise for side in ("caller", "agent")
        }
        self.late: dict[int, float] = {}
        """Seconds by which the packet that begins in a 20 ms frame came late."""
        self.first_packet = 0.0

    def sound(self, side: str, start: float, end: float, *, level: float = 4000.0) -> None:
        """Paint a tone."""
        first, last = round(start * 8000), round(end * 8000)
        seconds = np.arange(first, last) / 8000
        self._sides[side][first:last] += level * np.sin(2 * np.pi * 437 * seconds + 1.0)

    def says(
        self, start: float, end: float, *, step: int = 0, text: str = "hello", barge_in: bool = False
    ) -> None:
        """The caller speaks: sound and trace."""
        self.sound("caller", start, end)
        self.note("caller.speech_started", start, step=step, text=text, barge_in=barge_in)
        self.note("caller.speech_ended", end + 0.04, step=step, speech_ended_at=STARTED_AT + end)

    def note(self, kind: str, at: float, **fields: object) -> None:
        """One event of the trace."""
        self.trace.note(kind, at=STARTED_AT + at, **fields)

    def recording(self) -> Recording:
        """Both sides in PCMU, with the arrivals of the agent's packets."""
        count = len(self._sides["caller"])
        arrivals = np.zeros(count // 160 + 1, np.int64)
        phase = self.first_packet % 0.02
        for frame in range(int(self.first_packet / 0.02), count // 160):
            at = STARTED_AT + frame * 0.02 + phase + self.late.get(frame, 0.0)
            arrivals[frame] = round(at * 1e9)
        clipped = {side: np.clip(np.rint(wave), -32768, 32767) for side, wave in self._sides.items()}
        caller, agent = (
            np.frombuffer(g711.encode(clipped[side].astype(np.int16), "PCMU"), np.uint8)
            for side in ("caller", "agent")
        )
        return Recording(STARTED_AT, "PCMU", caller, agent, arrivals)

    def measures(self) -> Measures:
        """What the project measures about it."""
        return measures_of(self.trace, self.recording())


@pytest.fixture
def painted_call() -> Callable[..., PaintedCall]:
    return PaintedCall
