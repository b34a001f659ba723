"""When the caller speaks, listens, interrupts and hangs up: a pure machine over one scenario.

It is told what happens on the line (`receive`) and when its deadline has come (`handle_timer`), and gives out
orders (`outgoing`) and reports (`events`). `now` is Unix seconds.

```
          Answered                      step done
 (idle) ───────────► step 0 ─► … ─► step n ─────────► HangUp ─► (finished)
                        │ patience, max_call_s               ▲
                        └──────────► GaveUp ─────────────────┘
```
"""

from __future__ import annotations

from collections.abc import Mapping

from tuner_sipbridge.caller.events import (
    AgentSpeechStarted,
    AgentSpeechStopped,
    Answered,
    CallerEvent,
    CallerInput,
    CutShort,
    DigitsSent,
    GaveUp,
    HangUp,
    Order,
    RemoteHungUp,
    Say,
    SendDigits,
    SpeechEnded,
    SpeechStarted,
    StepBegun,
    StopSpeaking,
)
from tuner_sipbridge.caller.floor import AgentFloor
from tuner_sipbridge.caller.scenario import Scenario, Step

PLAYOUT_GRACE_S = 3.0
"""How much longer than its own length an utterance may take to leave the port before the caller gives up."""
DIGIT_S = 0.2
"""One RFC 4733 event with the gap behind it."""


class Caller:
    """Plays one scenario on one call.

    Args:
        scenario: what to do.
        durations: length in seconds of the utterance of each spoken step, by index of the step. Only a safety
            net: a playout that does not end in time is given up.
    """

    def __init__(self, scenario: Scenario, durations: Mapping[int, float] | None = None) -> None:
        self._scenario = scenario
        self._durations = durations or {}
        self._floor = AgentFloor()
        self._step = -1
        self._step_began = 0.0
        self._call_began: float | None = None
        self._ordered = False
        self._speaking = False
        self._finished = False
        self._completed = False
        self._orders: list[Order] = []
        self._events: list[CallerEvent] = []

    @property
    def finished(self) -> bool:
        """True when nothing more will be ordered."""
        return self._finished

    @property
    def completed(self) -> bool:
        """True when every step of the scenario was played."""
        return self._completed

    @property
    def step(self) -> int:
        """Index of the step under way, -1 before the answer."""
        return self._step

    def outgoing(self) -> list[Order]:
        """Orders since the last call, in order."""
        orders, self._orders = self._orders, []
        return orders

    def events(self) -> list[CallerEvent]:
        """Reports since the last call, in order."""
        events, self._events = self._events, []
        return events

    def receive(self, event: CallerInput, *, now: float) -> None:
        """Take one thing that happened on the line. After `finished` it is ignored."""
        if self._finished:
            return
        match event:
            case Answered():
                if self._call_began is None:
                    self._call_began = now
                    self._go_on(now)
            case AgentSpeechStarted(at=at):
                self._floor.started(at)
            case AgentSpeechStopped(at=at):
                self._floor.stopped(at)
            case SpeechStarted(step=step):
                self._speaking = step == self._step
            case SpeechEnded(step=step) | DigitsSent(step=step):
                if step == self._step and self._ordered:
                    self._speaking = False
                    self._floor.caller_stopped()
                    self._go_on(now)
            case RemoteHungUp():
                self._remote_hung_up()
        self._look(now)

    def handle_timer(self, *, now: float) -> None:
        """Do what is due; call it at `next_deadline` or whenever."""
        self._look(now)

    def next_deadline(self) -> float | None:
        """When `handle_timer` has something to do, None when only an event can change anything."""
        if self._finished or self._call_began is None:
            return None
        end = self._call_began + self._scenario.max_call_s
        due, give_up = self._due(), self._give_up_at()
        return min(moment for moment in (end, due, give_up) if moment is not None)

    def _look(self, now: float) -> None:
        """Take every step that is due at `now`; each one either waits, orders, or is over."""
        while not self._finished and self._call_began is not None:
            if now >= self._call_began + self._scenario.max_call_s:
                limit = self._scenario.max_call_s
                self._give_up(now, f"the call reached its limit of {limit:g} s (max_call_s)")
                return
            due = self._due()
            if due is not None and now >= due:
                self._do(now)
                continue
            give_up = self._give_up_at()
            if give_up is not None and now >= give_up:
                self._give_up(now, self._why_given_up(), own_fault=self._ordered)
            return

    def _due(self) -> float | None:
        """When the step under way acts (or is over), None while it waits for an event."""
        if self._ordered:
            return None
        step = self._current
        if step.listen is not None:
            return self._floor.turn_over_at(step.listen.settle_s)
        if step.barge_in is not None:
            return self._floor.into_turn_at(step.barge_in.after_s)
        if step.hang_up is not None and step.hang_up.over_agent:
            return self._floor.into_turn_at(step.hang_up.after_s)
        if step.hang_up is not None:
            return self._step_began + step.hang_up.after_s
        if step.pause_s is not None:
            return self._step_began + step.pause_s
        return self._step_began

    def _give_up_at(self) -> float | None:
        """When patience ends, None while the agent speaks or the step waits for nobody."""
        step = self._current
        if self._ordered:
            length = self._durations.get(self._step, 60.0) if step.speech else len(step.dtmf or "") * DIGIT_S
            return self._step_began + length + PLAYOUT_GRACE_S
        waits_for_agent = step.listen or step.barge_in or (step.hang_up and step.hang_up.over_agent)
        if not waits_for_agent or self._floor.speaking:
            return None
        return max(self._step_began, self._floor.stopped_at or 0.0) + self._patience_s

    @property
    def _current(self) -> Step:
        return self._scenario.steps[self._step]

    @property
    def _patience_s(self) -> float:
        listen = self._current.listen
        return self._scenario.patience_s if listen is None or listen.patience_s is None else listen.patience_s

    def _why_given_up(self) -> str:
        if self._ordered:
            return "our own audio did not leave the port in time"
        if self._current.listen is not None:
            return f"the agent said nothing for {self._patience_s:g} s"
        return f"the agent did not speak for {self._patience_s:g} s, so there was nothing to speak over"

    def _do(self, now: float) -> None:
        """The step under way is due: order what it says, or leave it behind."""
        step = self._current
        if step.speech is not None:
            self._order(Say(self._step, step.speech, barge_in=step.barge_in is not None), now)
        elif step.dtmf is not None:
            self._order(SendDigits(self._step, step.dtmf), now)
        elif step.hang_up is not None:
            self._complete("the scenario says so")
        else:
            self._go_on(now)

    def _order(self, order: Order, now: float) -> None:
        self._orders.append(order)
        self._ordered = True
        self._step_began = now
        self._floor.answered()

    def _go_on(self, now: float) -> None:
        if self._step >= 0 and self._current.listen is not None:
            self._floor.answered()
        if self._step + 1 == len(self._scenario.steps):
            self._complete("the scenario is over")
            return
        self._step += 1
        self._step_began = now
        self._ordered = False
        self._events.append(StepBegun(self._step))

    def _complete(self, why: str) -> None:
        self._completed = True
        self._finish(HangUp(why))

    def _give_up(self, now: float, why: str, *, own_fault: bool = False) -> None:
        self._events.append(GaveUp(self._step, now - self._waiting_since(), why, own_fault))
        if self._speaking:
            self._orders.append(StopSpeaking())
        self._finish(HangUp(f"the caller gave up: {why}"))

    def _waiting_since(self) -> float:
        if self._ordered or self._floor.speaking:
            return self._step_began
        return max(self._step_began, self._floor.stopped_at or 0.0)

    def _remote_hung_up(self) -> None:
        left = len(self._scenario.steps) - self._step - 1
        last_words = left == 0 and self._step >= 0 and self._current.listen is not None
        if last_words or (left == 0 and self._current.hang_up is not None):
            self._completed = True
        else:
            self._events.append(CutShort(max(self._step, 0), left))
        self._finished = True

    def _finish(self, order: Order) -> None:
        self._orders.append(order)
        self._finished = True
