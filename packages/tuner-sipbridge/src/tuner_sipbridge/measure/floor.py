"""How the two shared the line: speech, silence of both, speech of both."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tuner_sipbridge.measure.turns import Sound

DEAD_AIR_S = 2.0
"""Silence of both sides longer than this is dead air."""


@dataclass(frozen=True, slots=True)
class Floor:
    """Seconds of each state between answer and end.

    Attributes:
        caller_speech_s: the caller spoke.
        agent_speech_s: the agent spoke.
        overlap_s: both spoke.
        dead_air_s: neither spoke, in silences longer than 2 s.
        dead_airs: how many such silences.
        longest_silence_s: the longest time in which neither spoke.
    """

    caller_speech_s: float = 0.0
    agent_speech_s: float = 0.0
    overlap_s: float = 0.0
    dead_air_s: float = 0.0
    dead_airs: int = 0
    longest_silence_s: float = 0.0


def floor_of(caller: Sequence[Sound], agent: Sequence[Sound], *, began: float, ended: float) -> Floor:
    """How the line was shared between `began` and `ended` (Unix seconds)."""
    silences = list(_silences(caller, agent, began=began, ended=ended))
    dead = [length for length in silences if length > DEAD_AIR_S]
    return Floor(
        caller_speech_s=_total(caller),
        agent_speech_s=_total(agent),
        overlap_s=sum(
            max(0.0, min(one.ended_at, other.ended_at) - max(one.started_at, other.started_at))
            for one in caller
            for other in agent
        ),
        dead_air_s=sum(dead),
        dead_airs=len(dead),
        longest_silence_s=max(silences, default=0.0),
    )


def _total(sounds: Sequence[Sound]) -> float:
    return sum(sound.ended_at - sound.started_at for sound in sounds)


def _silences(caller: Sequence[Sound], agent: Sequence[Sound], *, began: float, ended: float) -> list[float]:
    silences: list[float] = []
    quiet_since = began
    for sound in sorted([*caller, *agent], key=lambda sound: sound.started_at):
        if sound.started_at > quiet_since:
            silences.append(min(sound.started_at, ended) - quiet_since)
        quiet_since = max(quiet_since, sound.ended_at)
    silences.append(max(0.0, ended - quiet_since))
    return [silence for silence in silences if silence > 0.0]
