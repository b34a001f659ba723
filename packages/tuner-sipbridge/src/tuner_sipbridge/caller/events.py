"""What the caller's turn machine is told, what it orders, and what it reports."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias


@dataclass(frozen=True, slots=True)
class Answered:
    """The call was answered: the scenario begins."""


@dataclass(frozen=True, slots=True)
class AgentSpeechStarted:
    """The agent began to speak at `at` (Unix seconds, as it arrived at our port)."""

    at: float


@dataclass(frozen=True, slots=True)
class AgentSpeechStopped:
    """The agent's last sound ended at `at`; the event itself comes later by the detector's hang-over."""

    at: float


@dataclass(frozen=True, slots=True)
class SpeechStarted:
    """The first packet of the caller's speech for this step left the port."""

    step: int


@dataclass(frozen=True, slots=True)
class SpeechEnded:
    """The caller's speech for this step has left the port, or was cut short."""

    step: int
    interrupted: bool = False


@dataclass(frozen=True, slots=True)
class DigitsSent:
    """The last packet of the step's digits left the port."""

    step: int


@dataclass(frozen=True, slots=True)
class RemoteHungUp:
    """The call was ended by the agent or lost."""


CallerInput: TypeAlias = (
    Answered
    | AgentSpeechStarted
    | AgentSpeechStopped
    | SpeechStarted
    | SpeechEnded
    | DigitsSent
    | RemoteHungUp
)


@dataclass(frozen=True, slots=True)
class Say:
    """Order: play the step's utterance."""

    step: int
    text: str
    barge_in: bool = False


@dataclass(frozen=True, slots=True)
class SendDigits:
    """Order: send the step's digits."""

    step: int
    digits: str


@dataclass(frozen=True, slots=True)
class StopSpeaking:
    """Order: drop what is queued for playing."""


@dataclass(frozen=True, slots=True)
class HangUp:
    """Order: end the call; `why` is plain words for the trace."""

    why: str


Order: TypeAlias = Say | SendDigits | StopSpeaking | HangUp


@dataclass(frozen=True, slots=True)
class StepBegun:
    """The machine turned to a step of the scenario."""

    step: int


@dataclass(frozen=True, slots=True)
class GaveUp:
    """The caller waited in vain and hangs up.

    Attributes:
        step: index of the step that could not be done.
        waited_s: how long the caller waited.
        why: plain words.
        own_fault: the agent has no part in it: our own audio did not go out.
    """

    step: int
    waited_s: float
    why: str
    own_fault: bool = False


@dataclass(frozen=True, slots=True)
class CutShort:
    """The agent hung up while steps were left; `step` is the one that was under way."""

    step: int
    steps_left: int


CallerEvent: TypeAlias = StepBegun | GaveUp | CutShort
