"""What the four transactions of RFC 3261 §17 have in common: a table of transitions, and two timers a state.

Whatever changes the state of a transaction is in this file; `client_transaction` and `server_transaction`
only hold the tables. A message or timer for which the table of a state has no entry is absorbed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import ClassVar, TypeAlias

from tuner_sipbridge.sip.message import Message, Request, Response
from tuner_sipbridge.sip.timers import Timers, earliest


class State(Enum):
    """The states of RFC 3261 §17 and RFC 6026; no transaction has all of them."""

    CALLING = "calling"
    TRYING = "trying"
    PROCEEDING = "proceeding"
    COMPLETED = "completed"
    CONFIRMED = "confirmed"
    ACCEPTED = "accepted"
    TERMINATED = "terminated"


class Input(Enum):
    """What can move a transaction. Responses are received by a client and given by the user of a server."""

    PROVISIONAL = "1xx"
    SUCCESS = "2xx"
    FAILURE = "300-699"
    REQUEST = "request again"
    ACK = "ACK"
    REPEAT = "interval over"
    TIMEOUT = "time over"


class Action(Enum):
    """What a transition does besides changing the state."""

    SEND = "send the response"
    REPEAT = "send the last message again"
    ACKNOWLEDGE = "send ACK"
    INFORM = "give the response to the transaction's user"
    REPORT = "tell the transaction's user that the peer is gone"


@dataclass(frozen=True, slots=True)
class Waits:
    """The timers that are set when a state is entered; None is a timer that does not run.

    Attributes:
        interval: first time between repeats of the last message; doubles up to `ceiling`.
        ceiling: the longest interval.
        timeout: how long the state lasts at most.
        carry: keep the timers that run already; only their next interval becomes `interval`.
    """

    interval: float | None = None
    ceiling: float = float("inf")
    timeout: float | None = None
    carry: bool = False


@dataclass(frozen=True, slots=True)
class ResponseReceived:
    """A client transaction received a response that its user must see."""

    response: Response


@dataclass(frozen=True, slots=True)
class PeerSilent:
    """Timer B, F or H fired: no response to our request, or no ACK to our final response."""


TransactionEvent: TypeAlias = ResponseReceived | PeerSilent
Table: TypeAlias = Mapping[tuple[State, Input], tuple[State, tuple[Action, ...]]]


def kind_of_response(status: int) -> Input:
    """The table's column for a response with this status."""
    if status < 200:
        return Input.PROVISIONAL
    return Input.SUCCESS if status < 300 else Input.FAILURE


class Transaction:
    """Runs a table. Fed by `receive` and `handle_timer`, drained by `outgoing` and `events`."""

    TABLE: ClassVar[Table]

    def __init__(self, request: Request, timers: Timers, first: State, *, now: float) -> None:
        """Enter the first state at `now`."""
        self.request = request
        self.state = first
        self._timers = timers
        self._last: Message | None = None
        self._interval: float | None = None
        self._ceiling = float("inf")
        self._repeat_at: float | None = None
        self._timeout_at: float | None = None
        self._outgoing: list[Message] = []
        self._events: list[TransactionEvent] = []
        self._enter(first, now)

    @property
    def terminated(self) -> bool:
        """True when the transaction is over and can be forgotten."""
        return self.state is State.TERMINATED

    def outgoing(self) -> list[Message]:
        """The messages to send, in order; drained."""
        messages, self._outgoing = self._outgoing, []
        return messages

    def events(self) -> list[TransactionEvent]:
        """What the transaction's user must know; drained."""
        events, self._events = self._events, []
        return events

    def next_deadline(self) -> float | None:
        """When `handle_timer` must run next."""
        return earliest((self._repeat_at, self._timeout_at))

    def handle_timer(self, *, now: float) -> None:
        """Repeat a message or give up, whichever is due; one repeat at most, however late the call comes."""
        if self._timeout_at is not None and now >= self._timeout_at:
            self._step(Input.TIMEOUT, None, now)
        elif self._repeat_at is not None and now >= self._repeat_at:
            assert self._interval is not None
            self._interval = min(self._interval * 2, self._ceiling)
            on_grid = self._repeat_at + self._interval
            self._repeat_at = on_grid if on_grid > now else now + self._interval
            self._step(Input.REPEAT, None, now)

    def _waits(self, state: State) -> Waits:
        """The timers to set on entering `state`."""
        raise NotImplementedError

    def _acknowledgement(self, response: Response) -> Request:
        """The ACK to a final response of 300 or above."""
        raise NotImplementedError

    def _step(self, what: Input, response: Response | None, now: float) -> None:
        transition = self.TABLE.get((self.state, what))
        if transition is None:
            return
        state, actions = transition
        for action in actions:
            self._act(action, response)
        if state is not self.state:
            self.state = state
            self._enter(state, now)

    def _act(self, action: Action, response: Response | None) -> None:
        if action is Action.REPORT:
            self._events.append(PeerSilent())
        elif action is Action.REPEAT:
            if self._last is not None:
                self._outgoing.append(self._last)
        elif response is not None and action is Action.SEND:
            self._last = response
            self._outgoing.append(response)
        elif response is not None and action is Action.ACKNOWLEDGE:
            self._outgoing.append(self._acknowledgement(response))
        elif response is not None and action is Action.INFORM:
            self._events.append(ResponseReceived(response))

    def _enter(self, state: State, now: float) -> None:
        waits = self._waits(state)
        self._interval, self._ceiling = waits.interval, waits.ceiling
        if waits.carry:
            return
        self._repeat_at = None if waits.interval is None else now + waits.interval
        self._timeout_at = None if waits.timeout is None else now + waits.timeout
        if waits.timeout == 0:
            self._step(Input.TIMEOUT, None, now)
