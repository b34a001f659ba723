"""Both sides of one call on one clock, still in G.711, with the arrival time of every packet."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Recording:
    """What left and what reached our RTP port.

    Sample `k` of either side stands for the moment `started_at + k / 8000`: a packet's octets are placed from the
    moment it left (caller) or, for the agent's side, from the arrival of the stream's first packet on by RTP
    timestamp, so that jitter does not tear the audio apart.

    Attributes:
        started_at: Unix seconds of sample 0: when our first packet left, or earlier when the far end's came first.
        codec: G.711 flavour of both sides.
        caller: shape (n,), uint8: octets sent.
        agent: shape (n,), uint8: octets received, the codec's silence where nothing came.
        arrivals_ns: shape (n // 160 + 1,), int64: kernel arrival time in Unix nanoseconds of the packet whose first
            octet lies in that 20 ms frame of `agent`, 0 where none came.
    """

    started_at: float
    codec: Literal["PCMU", "PCMA"]
    caller: NDArray[np.uint8]
    agent: NDArray[np.uint8]
    arrivals_ns: NDArray[np.int64]

    @property
    def duration_s(self) -> float:
        """Length in seconds."""
        return len(self.caller) / 8000
