"""Where everything of one call lies on its drawing: waveforms, turns, latencies, stops on one time axis."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tuner_sipbridge.report.json_values import object_of, objects_of, spans_of
from tuner_sipbridge.report.transcript import Row
from tuner_sipbridge.report.waveform import Sides

PX_PER_S = 48.0
LEAST_WIDTH_PX = 1080.0
CHARACTER_PX = 6.1
"""Mean width of a letter of a caption, by which it is cut to the place it has."""
QUICK_MS, SLOW_MS = 800.0, 1500.0
"""A reply up to the first feels prompt on the telephone; beyond the second people begin to speak again."""


@dataclass(frozen=True, slots=True)
class Band:
    """A stretch on the axis; `x` and `width` in px."""

    x: float
    width: float
    label: str = ""
    title: str = ""
    tone: str = ""


@dataclass(frozen=True, slots=True)
class Mark:
    """A moment on the axis."""

    x: float
    label: str


@dataclass(frozen=True, slots=True)
class Timeline:
    """One call's drawing; everything in px from the left edge.

    Attributes:
        width: of the whole drawing.
        px_per_s: pixels a second.
        duration_s: length of the recording.
        sides: the waveforms.
        caller: where the caller spoke.
        agent: where the agent spoke.
        captions_above: what the caller said.
        captions_below: what the agent said, as posted.
        latencies: from the end of a turn to the reply; `tone` is `quick`, `fair` or `slow`.
        stops: from the start of a barge-in to the agent's silence.
        digits: keys pressed.
        marks: answer and end.
        ticks: whole seconds with their label.
    """

    width: float
    px_per_s: float
    duration_s: float
    sides: Sides | None
    caller: list[Band]
    agent: list[Band]
    captions_above: list[Band]
    captions_below: list[Band]
    latencies: list[Band]
    stops: list[Band]
    digits: list[Band]
    marks: list[Mark]
    ticks: list[Mark]


def width_for(duration_s: float) -> float:
    """Width in px of the drawing of a recording."""
    return max(LEAST_WIDTH_PX, duration_s * PX_PER_S)


def timeline_of(
    measures: Mapping[str, Any],
    rows: Sequence[Row],
    *,
    duration_s: float,
    sides: Sides | None,
    answered_ms: float | None,
    ended_ms: float | None,
    ended_by: str,
) -> Timeline:
    """Lay out one call; times in ms from the recording's first sample."""
    width = width_for(duration_s)
    scale = width / duration_s / 1000.0
    turns = objects_of(measures.get("turns"))
    speech = object_of(measures.get("speech_ms"))
    spoken = [turn for turn in turns if turn.get("kind") != "digits"]
    marks = [
        Mark(at * scale, label)
        for at, label in ((answered_ms, "answered"), (ended_ms, f"ended by {ended_by}"))
        if at is not None
    ]
    said = [(turn["started_ms"], turn.get("text", "")) for turn in spoken]
    heard = [(row.at_ms, row.text) for row in rows if row.who == "agent" and row.at_ms is not None]
    return Timeline(
        width=width,
        px_per_s=width / duration_s,
        duration_s=duration_s,
        sides=sides,
        caller=[_span(start, end, scale) for start, end in spans_of(speech.get("caller"))],
        agent=[_span(start, end, scale) for start, end in spans_of(speech.get("agent"))],
        captions_above=_captions(said, width, scale),
        captions_below=_captions(heard, width, scale),
        latencies=[*_greeting(measures, answered_ms, scale), *_latencies(turns, scale)],
        stops=[_stop(turn, scale) for turn in turns if turn.get("stopped_ms") is not None],
        digits=[
            _span(turn["started_ms"], turn["ended_ms"], scale, str(turn.get("text", "")))
            for turn in turns
            if turn.get("kind") == "digits"
        ],
        marks=marks,
        ticks=_ticks(duration_s, scale),
    )


def tone_of(latency_ms: float) -> str:
    """`quick`, `fair` or `slow`."""
    return "quick" if latency_ms <= QUICK_MS else "fair" if latency_ms <= SLOW_MS else "slow"


def in_ms(value: float) -> str:
    """Milliseconds for a label, in seconds from 10 s on."""
    return f"{value:.0f} ms" if abs(value) < 10_000 else f"{value / 1000:.1f} s"


def _span(
    start: float, end: float, scale: float, label: str = "", *, title: str = "", tone: str = ""
) -> Band:
    left, right = min(start, end), max(start, end)
    return Band(round(left * scale, 1), round(max(1.0, (right - left) * scale), 1), label, title, tone)


def _latencies(turns: Sequence[Mapping[str, Any]], scale: float) -> list[Band]:
    bands: list[Band] = []
    for turn in turns:
        latency, reply = turn.get("response_latency_ms"), turn.get("reply_ms")
        if latency is not None and reply is not None:
            title = f"response latency of “{turn.get('text', '')}”: {latency:.1f} ms"
            bands.append(
                _span(turn["ended_ms"], reply, scale, in_ms(latency), title=title, tone=tone_of(latency))
            )
    return bands


def _greeting(measures: Mapping[str, Any], answered_ms: float | None, scale: float) -> list[Band]:
    latency = measures.get("greeting_latency_ms")
    if latency is None or answered_ms is None:
        return []
    title = f"greeting latency: {latency:.1f} ms"
    return [
        _span(answered_ms, answered_ms + latency, scale, in_ms(latency), title=title, tone=tone_of(latency))
    ]


def _stop(turn: Mapping[str, Any], scale: float) -> Band:
    stop = turn["stop_time_ms"]
    title = f"the agent fell silent {stop:.1f} ms after the caller began to speak over it"
    return _span(turn["started_ms"], turn["stopped_ms"], scale, f"silent in {in_ms(stop)}", title=title)


def _captions(texts: Sequence[tuple[float, str]], width: float, scale: float) -> list[Band]:
    bands: list[Band] = []
    for number, (at, text) in enumerate(texts):
        x = at * scale
        end = texts[number + 1][0] * scale - 8 if number + 1 < len(texts) else width
        letters = int((end - x) / CHARACTER_PX)
        shown = text if len(text) <= letters else text[: max(0, letters - 1)].rstrip() + "…"
        if letters > 3:
            bands.append(Band(round(x, 1), round(end - x, 1), shown, text))
    return bands


def _ticks(duration_s: float, scale: float) -> list[Mark]:
    step = next((step for step in (1, 2, 5, 10, 30) if step * scale * 1000 >= 40), 60)
    return [
        Mark(round(second * 1000 * scale, 1), f"{second} s") for second in range(0, int(duration_s) + 1, step)
    ]
