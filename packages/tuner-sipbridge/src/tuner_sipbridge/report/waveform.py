"""A stereo WAV as two outlines that fit an SVG lane."""

from __future__ import annotations

import wave
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Sides:
    """Both sides of a recording as peaks.

    Attributes:
        duration_s: length in seconds.
        caller: SVG path of the caller's upper outline, in a lane 1 high with its middle at 0.
        agent: the same for the agent.
    """

    duration_s: float
    caller: str
    agent: str


def read_sides(path: Path, *, width: float, columns_per_px: float = 0.5) -> Sides | None:
    """The outlines of a stereo WAV (caller left, agent right), None when it is not one.

    Args:
        path: 16-bit PCM, two channels.
        width: width of the drawing in px that the whole recording fills.
        columns_per_px: how fine.
    """
    try:
        with wave.open(str(path), "rb") as recording:
            if recording.getnchannels() != 2 or recording.getsampwidth() != 2:
                return None
            rate, count = recording.getframerate(), recording.getnframes()
            samples = np.frombuffer(recording.readframes(count), "<i2").reshape(-1, 2)
    except (OSError, EOFError, wave.Error):
        return None
    columns = max(1, int(width * columns_per_px))
    return Sides(
        len(samples) / rate,
        _outline(samples[:, 0], columns, width),
        _outline(samples[:, 1], columns, width),
    )


def duration_of(path: Path) -> float | None:
    """Length of a WAV in seconds, None when it cannot be read."""
    try:
        with wave.open(str(path), "rb") as recording:
            return recording.getnframes() / recording.getframerate()
    except (OSError, EOFError, wave.Error):
        return None


def _outline(samples: NDArray[np.int16], columns: int, width: float) -> str:
    if len(samples) == 0:
        return ""
    edges = np.linspace(0, len(samples), columns, endpoint=False).astype(np.intp)
    peaks = np.maximum.reduceat(np.abs(samples.astype(np.int32)), edges) / 32768.0
    # Loudness is heard by ratios: the square root lets quiet speech be seen beside loud speech.
    heights = np.sqrt(peaks)
    step = width / columns
    texts = [f"{-height:.2f}" for height in heights]
    points = [
        f"{column * step:.1f},{text}"
        for column, text in enumerate(texts)
        if column in {0, columns - 1} or not text == texts[column - 1] == texts[column + 1]
    ]
    return f"M0,0L{'L'.join(points)}L{width:.1f},0Z"
