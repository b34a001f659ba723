"""Everything measured about one call."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import Any

from tuner_sipbridge.measure.floor import Floor, floor_of
from tuner_sipbridge.measure.media import MediaTransport, media_of
from tuner_sipbridge.measure.sides import Clock, TwoSides
from tuner_sipbridge.measure.signalling import Signalling, signalling_of
from tuner_sipbridge.measure.speech import speech_in
from tuner_sipbridge.measure.summary import Distribution
from tuner_sipbridge.measure.turns import (
    Sound,
    Turn,
    agent_sounds,
    caller_sounds,
    greeting_latency_s,
    turns_of,
)
from tuner_sipbridge.trace import Trace


@dataclass(frozen=True, slots=True)
class Measures:
    """The measures of one call, in seconds; moments in Unix seconds.

    Attributes:
        signalling: set-up and end of the call.
        media: packets.
        floor: how both sides shared the line.
        greeting_latency_s: answer to the agent's first sound.
        turns: the caller's turns with the agent's replies.
        caller_speech: where the caller spoke.
        agent_speech: where the agent spoke.
        started_at: Unix seconds of the recording's first sample, None without a recording.
    """

    signalling: Signalling = field(default_factory=Signalling)
    media: MediaTransport = field(default_factory=MediaTransport)
    floor: Floor = field(default_factory=Floor)
    greeting_latency_s: float | None = None
    turns: tuple[Turn, ...] = ()
    caller_speech: tuple[Sound, ...] = ()
    agent_speech: tuple[Sound, ...] = ()
    started_at: float | None = None

    @property
    def response_latency(self) -> Distribution:
        """Response latency over all turns that were answered."""
        return Distribution.of(turn.response_latency_s for turn in self.turns)

    @property
    def stop_time(self) -> Distribution:
        """Time from the start of a barge-in to the agent's silence, over all barge-ins."""
        return Distribution.of(turn.stop_time_s for turn in self.turns)

    def to_json(self) -> dict[str, Any]:
        """JSON values; under names that end in `_ms`, moments count from the recording's first sample."""
        return {
            "recording_started_at": self.started_at,
            "signalling": _in_ms(self.signalling),
            "greeting_latency_ms": _ms(self.greeting_latency_s),
            "response_latency_ms": self.response_latency.to_json(),
            "stop_time_ms": self.stop_time.to_json(),
            "turns": [self._turn(turn) for turn in self.turns],
            "floor": _in_ms(self.floor),
            "media": _in_ms(self.media),
            "speech_ms": {
                "caller": [self._span(sound) for sound in self.caller_speech],
                "agent": [self._span(sound) for sound in self.agent_speech],
            },
        }

    def _turn(self, turn: Turn) -> dict[str, Any]:
        return {
            "step": turn.step,
            "kind": turn.kind,
            "text": turn.text,
            "started_ms": self._offset(turn.started_at),
            "ended_ms": self._offset(turn.ended_at),
            "reply_ms": self._offset(turn.reply_at),
            "response_latency_ms": _ms(turn.response_latency_s),
            "stopped_ms": self._offset(turn.stopped_at),
            "stop_time_ms": _ms(turn.stop_time_s),
        }

    def _span(self, sound: Sound) -> list[float | None]:
        return [self._offset(sound.started_at), self._offset(sound.ended_at)]

    def _offset(self, moment: float | None) -> float | None:
        return None if moment is None else _ms(moment - (self.started_at or 0.0))


def measures_of(trace: Trace, recording: TwoSides | None) -> Measures:
    """Measure one call.

    Args:
        trace: what happened.
        recording: both sides; without one the measures that need sound are empty.
    """
    signalling, media = signalling_of(trace), media_of(trace)
    if recording is None or len(recording.caller) == 0:
        return Measures(signalling, media)
    clock = Clock(recording)
    caller = caller_sounds(speech_in(recording.caller, recording.codec), clock)
    agent = agent_sounds(speech_in(recording.agent, recording.codec), clock)
    answered, ended = trace.first("call.answered"), trace.first("call.ended")
    began = recording.started_at if answered is None else answered.at
    over = recording.started_at + len(recording.caller) / 8000 if ended is None else ended.at
    return Measures(
        signalling,
        media,
        floor_of(caller, agent, began=began, ended=over),
        greeting_latency_s(trace, caller, agent),
        tuple(turns_of(trace, caller, agent)),
        tuple(caller),
        tuple(agent),
        recording.started_at,
    )


def _ms(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds * 1000, 1)


def _in_ms(measures: Signalling | MediaTransport | Floor) -> dict[str, Any]:
    """A dataclass of seconds as JSON: fields that end in `_s` become `_ms`."""
    values = dataclasses.asdict(measures)
    return {
        name[:-2] + "_ms" if name.endswith("_s") else name: _ms(value) if name.endswith("_s") else value
        for name, value in values.items()
    }
