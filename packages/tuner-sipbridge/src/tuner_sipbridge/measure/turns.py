"""Who answered whom, how fast, and who spoke over whom: from the recording, guided by the trace.

| measure | from | to |
|---|---|---|
| response latency | last voiced sample of the caller, or first packet of its last key | agent's first voiced sample |
| greeting latency | the 200 to our INVITE | first voiced sample of the agent |
| stop time | first voiced sample of the caller's barge-in | last voiced sample of what the agent was saying |

All are moments at our own RTP port on one clock (`sides.Clock` says which moment a sample has). Sound is told
from silence in windows of 2.5 ms, so each end of a measure is good to 2.5 ms; the kernel's arrival times
themselves are good to microseconds. A latency below zero means that the agent began before the caller had
finished.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from tuner_sipbridge.measure.sides import Clock
from tuner_sipbridge.measure.speech import Stretch
from tuner_sipbridge.trace import Trace, TraceEvent

DIGIT_S, DIGIT_GAP_S = 0.1, 0.1
"""One RFC 4733 event and the pause behind it, as our media engine sends them."""
EDGE_S = 0.06
"""How far the sound of an utterance may lie outside the times at which its packets were noted."""
UNAWARE_S = 0.3
"""An agent that begins so soon after the caller has not heard it yet: that sound too is spoken over."""


@dataclass(frozen=True, slots=True)
class Turn:
    """One turn of the caller and the agent's reply to it. Times are Unix seconds at our RTP port.

    Attributes:
        step: index of the scenario's step.
        kind: `speech`, `barge_in` or `digits`.
        text: what the scenario had the caller say, or the keys pressed.
        started_at: first voiced sample, or first key.
        ended_at: last voiced sample, or first packet of the last key: then a listening agent knows all keys.
        reply_at: first voiced sample of the reply, None when none came before the caller's next turn.
        stopped_at: for a barge-in over a speaking agent: last voiced sample before the agent fell silent.
    """

    step: int
    kind: Literal["speech", "barge_in", "digits"]
    text: str
    started_at: float
    ended_at: float
    reply_at: float | None = None
    stopped_at: float | None = None

    @property
    def response_latency_s(self) -> float | None:
        """End of the turn to the first sound of the reply."""
        return None if self.reply_at is None else self.reply_at - self.ended_at

    @property
    def stop_time_s(self) -> float | None:
        """Start of a barge-in to the agent's silence."""
        return None if self.stopped_at is None else self.stopped_at - self.started_at


@dataclass(frozen=True, slots=True)
class Sound:
    """A stretch of speech as moments at our port, Unix seconds."""

    started_at: float
    ended_at: float


def caller_sounds(stretches: Sequence[Stretch], clock: Clock) -> list[Sound]:
    """The caller's speech as it left our port."""
    return [Sound(clock.spoken_at(part.start), clock.spoken_at(part.end)) for part in stretches]


def agent_sounds(stretches: Sequence[Stretch], clock: Clock) -> list[Sound]:
    """The agent's speech as it reached our port."""
    return [Sound(clock.heard_at(part.start), clock.heard_at(part.end - 1) + 1 / 8000) for part in stretches]


def turns_of(trace: Trace, caller: Sequence[Sound], agent: Sequence[Sound]) -> list[Turn]:
    """The caller's turns that the trace names, with what the recording says about each."""
    spoken = sorted(_caller_turns(trace, caller), key=lambda turn: turn.started_at)
    following = [turn.started_at for turn in spoken[1:]] + [float("inf")]
    return [_with_reply(turn, agent, until) for turn, until in zip(spoken, following, strict=False)]


def greeting_latency_s(trace: Trace, caller: Sequence[Sound], agent: Sequence[Sound]) -> float | None:
    """Answer to the agent's first sound, None when the caller spoke first or the agent never did."""
    answered = trace.first("call.answered")
    if answered is None or not agent:
        return None
    if caller and caller[0].started_at < agent[0].started_at:
        return None
    return agent[0].started_at - answered.at


def _caller_turns(trace: Trace, caller: Sequence[Sound]) -> Iterator[Turn]:
    ends = {event.fields.get("step"): event for event in trace.of("caller.speech_ended")}
    for event in trace.of("caller.speech_started"):
        step = event.fields.get("step")
        end = ends.get(step)
        edges = _edges(event, end, caller)
        kind = "barge_in" if event.fields.get("barge_in") else "speech"
        yield Turn(int(step or 0), kind, str(event.fields.get("text", "")), *edges)
    for event in trace.of("caller.digits"):
        digits = str(event.fields.get("digits", ""))
        last_key = event.at + max(len(digits) - 1, 0) * (DIGIT_S + DIGIT_GAP_S)
        step = int(event.fields.get("step") or 0)
        yield Turn(step, "digits", digits, event.at, last_key)


def _edges(start: TraceEvent, end: TraceEvent | None, caller: Sequence[Sound]) -> tuple[float, float]:
    """First and last sound of an utterance; as the trace has them where the recording shows none."""
    noted_end = start.at if end is None else float(end.fields.get("speech_ended_at", end.at))
    last = float("inf") if end is None else end.at
    own = [part for part in caller if part.ended_at > start.at - EDGE_S and part.started_at < last + EDGE_S]
    if not own:
        return start.at, noted_end
    return max(own[0].started_at, start.at - EDGE_S), min(own[-1].ended_at, last + EDGE_S)


def _with_reply(turn: Turn, agent: Sequence[Sound], until: float) -> Turn:
    spoken_over = _spoken_over(turn, agent) if turn.kind == "barge_in" else None
    earliest = turn.started_at if spoken_over is None else spoken_over.ended_at
    replies = (
        part
        for part in agent
        if part is not spoken_over and earliest <= part.started_at < until and part.ended_at > turn.ended_at
    )
    reply = next(replies, None)
    return Turn(
        turn.step,
        turn.kind,
        turn.text,
        turn.started_at,
        turn.ended_at,
        reply_at=None if reply is None else reply.started_at,
        stopped_at=None if spoken_over is None else spoken_over.ended_at,
    )


def _spoken_over(turn: Turn, agent: Sequence[Sound]) -> Sound | None:
    """What the agent was saying when the caller barged in: the last sound it had begun unaware of that."""
    under_way = [
        part
        for part in agent
        if part.started_at <= turn.started_at + UNAWARE_S and part.ended_at > turn.started_at
    ]
    return under_way[-1] if under_way else None
