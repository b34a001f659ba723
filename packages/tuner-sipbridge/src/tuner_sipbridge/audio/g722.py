"""G.722 at 64 kbit/s, of which the lower band is spoken: 8000 samples a second in, 8000 out (RFC 3551 §4.5.2).

G.722 codes 16 kHz audio as two bands of half that rate. The library's 8 kHz mode works on the lower one alone, 0 to
4 kHz, and marks the upper one empty; every decoder takes that, and what a far end puts into the upper band is left out.
"""

from __future__ import annotations

from typing import Any

import G722
import numpy as np
from numpy.typing import NDArray

from tuner_sipbridge.audio.g711 import SAMPLE_RATE

library: Any = G722  # has no types

_BIT_RATE = 64000


def _coder() -> Any:
    return library.G722(SAMPLE_RATE, _BIT_RATE)


class Encoder:
    """One octet for each sample at 8000 Hz, which is one for two at 16 kHz."""

    def __init__(self) -> None:
        self._coder = _coder()

    def encode(self, samples: NDArray[np.int16]) -> bytes:
        """N octets for n samples at 8000 Hz."""
        return bytes(self._coder.encode(samples))


class Decoder:
    """One sample at 8000 Hz for each octet."""

    def __init__(self) -> None:
        self._coder = _coder()

    def decode(self, payload: bytes) -> NDArray[np.int16]:
        """N samples at 8000 Hz for n octets."""
        return np.asarray(self._coder.decode(payload), np.int16)
