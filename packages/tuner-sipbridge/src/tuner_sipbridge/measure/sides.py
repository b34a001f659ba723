"""What the measures need of a recording, and when a sample of it was spoken or heard at our port."""

from __future__ import annotations

from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

SAMPLE_RATE = 8000
FRAME_SAMPLES = 160
LONGEST_PACKET_FRAMES = 6
"""120 ms of audio in one packet: beyond that a frame without an arrival is a lost one."""


class TwoSides(Protocol):
    """Both sides of one call on one clock: what `media.recording.Recording` is."""

    @property
    def started_at(self) -> float:
        """Unix seconds of sample 0."""
        ...

    @property
    def codec(self) -> Literal["PCMU", "PCMA"]:
        """G.711 flavour of both sides."""
        ...

    @property
    def caller(self) -> NDArray[np.uint8]:
        """Octets sent, shape (n,)."""
        ...

    @property
    def agent(self) -> NDArray[np.uint8]:
        """Octets received, shape (n,), placed by RTP timestamp from the first packet's arrival on."""
        ...

    @property
    def arrivals_ns(self) -> NDArray[np.int64]:
        """Kernel arrival time, Unix ns, of the packet that begins in each 20 ms frame; 0 for none."""
        ...


class Clock:
    """Turns a sample of either side into the moment at which it passed our RTP port.

    A packet is one instant on the wire but 20 ms of sound. The convention, the same for both sides: sample
    `k` of a packet passes `k / 8000` seconds after the packet itself. For the caller's side a packet's moment
    is when it left. For the agent's side it is the kernel's arrival time, so that jitter on the way, which a
    listener hears or waits out, is not hidden by the smooth placement of the recording.
    """

    def __init__(self, sides: TwoSides) -> None:
        self._started_at = sides.started_at
        self._arrivals = sides.arrivals_ns
        arrived = np.flatnonzero(self._arrivals)
        # All packets of a stream begin at the same place in their frames: the first one, by definition of the
        # recording, lies at its own arrival.
        first = int(arrived[0]) if arrived.size else 0
        phase = 0
        if arrived.size:
            offset_s = float(self._arrivals[first]) / 1e9 - self._started_at
            phase = round(offset_s * SAMPLE_RATE) - first * FRAME_SAMPLES
        self._phase = min(max(phase, 0), FRAME_SAMPLES - 1)

    def spoken_at(self, sample: int) -> float:
        """When the caller's sample left our port, Unix seconds."""
        return self._started_at + sample / SAMPLE_RATE

    def heard_at(self, sample: int) -> float:
        """When the agent's sample reached our port, Unix seconds.

        By the arrival of the packet that holds it, or by its place in the recording when none is known.
        """
        frame = (sample - self._phase) // FRAME_SAMPLES
        for holder in range(frame, max(frame - LONGEST_PACKET_FRAMES, -1), -1):
            if 0 <= holder < len(self._arrivals) and self._arrivals[holder]:
                first_octet = holder * FRAME_SAMPLES + self._phase
                return float(self._arrivals[holder]) / 1e9 + (sample - first_octet) / SAMPLE_RATE
        return self.spoken_at(sample)
