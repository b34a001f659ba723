"""Opus for one stream of telephone speech (RFC 6716), by libopus as PyAV brings it.

What is sent is narrowband speech in packets of 20 ms. What comes may be of any bandwidth, length, and number of
channels: it is decoded at 48 kHz to one channel, low-passed and thinned out to 8000 Hz.
"""

from __future__ import annotations

from typing import Any

import av
import numpy as np
from av.error import FFmpegError
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from tuner_sipbridge.audio.g711 import SAMPLE_RATE

_BIT_RATE = 16000
"""Above the 8 to 12 kbit/s of RFC 7587 §3.1.1 for narrowband speech, so that the codec is not what is tested."""
_OPTIONS = {"application": "voip", "frame_duration": "20", "vbr": "constrained", "compression_level": "2"}
"""Complexity 2 costs half of the default 10, and at 8 kHz hardly anything is heard of it."""
_DECODED_RATE = 48000
_RATIO = _DECODED_RATE // SAMPLE_RATE
_TAPS = 192
_CUT_OFF = 3550 / _DECODED_RATE
"""The Hamming window's transition is 3.3 / _TAPS of the rate, 825 Hz: what lies above 4 kHz is gone."""


def _low_pass() -> NDArray[np.float32]:
    """A windowed sinc of gain 1 at 0 Hz, shape (_TAPS,)."""
    at = np.arange(_TAPS) - (_TAPS - 1) / 2
    taps = np.sinc(2 * _CUT_OFF * at) * np.hamming(_TAPS)
    return (taps / taps.sum()).astype(np.float32)


_LOW_PASS = _low_pass()


class Encoder:
    """One packet for each 20 ms; speech, silence and noise alike, so that the far end's decoder never runs dry."""

    def __init__(self) -> None:
        context: Any = av.CodecContext.create("libopus", "w")
        context.sample_rate, context.layout, context.format = SAMPLE_RATE, "mono", "s16"
        context.bit_rate, context.options = _BIT_RATE, _OPTIONS
        context.open()
        self._context = context
        self._position = 0

    def encode(self, samples: NDArray[np.int16]) -> bytes:
        """The payload of one packet: 20 ms at 8000 Hz, shape (160,)."""
        frame = av.AudioFrame.from_ndarray(samples[None], format="s16", layout="mono")
        frame.sample_rate, frame.pts = SAMPLE_RATE, self._position
        self._position += len(samples)
        return b"".join(bytes(packet) for packet in self._context.encode(frame))


class Decoder:
    """Samples at 8000 Hz of each packet: as many as it lasts, 2.5 to 120 ms."""

    def __init__(self) -> None:
        context: Any = av.CodecContext.create("libopus", "r")
        context.sample_rate, context.layout = _DECODED_RATE, "mono"
        context.open()
        self._context = context
        self._before = np.zeros(_TAPS - _RATIO, np.float32)

    def decode(self, payload: bytes) -> NDArray[np.int16]:
        """Samples of one packet, shape (n,); none for a payload that is not Opus."""
        if not payload:  # to the library, an end of the stream
            return np.zeros(0, np.int16)
        try:
            frames = self._context.decode(av.Packet(payload))
        except FFmpegError:
            return np.zeros(0, np.int16)
        heard = [np.frombuffer(frame.planes[0], np.int16)[: frame.samples] for frame in frames]
        return self._thinned(np.concatenate(heard)) if heard else np.zeros(0, np.int16)

    def _thinned(self, samples: NDArray[np.int16]) -> NDArray[np.int16]:
        """Every sixth sample of the low-passed signal; the filter goes on from packet to packet."""
        line = np.concatenate([self._before, samples.astype(np.float32)])
        self._before = line[len(line) - len(self._before) :]
        windows = np.ascontiguousarray(sliding_window_view(line, _TAPS)[::_RATIO])
        return np.clip(np.rint(windows @ _LOW_PASS), -32768, 32767).astype(np.int16)
