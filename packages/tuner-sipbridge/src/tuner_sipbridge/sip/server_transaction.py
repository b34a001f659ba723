"""The two server transactions: RFC 3261 §17.2 as changed by RFC 6026, which adds the Accepted state."""

from __future__ import annotations

from typing import ClassVar

from tuner_sipbridge.sip.message import Request, Response
from tuner_sipbridge.sip.timers import DEFAULT_TIMERS, Timers
from tuner_sipbridge.sip.transaction import Action, Input, State, Table, Transaction, Waits, kind_of_response


class ServerTransaction(Transaction):
    """Takes one request and sends its responses."""

    FIRST: ClassVar[State]

    def __init__(self, request: Request, *, now: float, timers: Timers = DEFAULT_TIMERS) -> None:
        """Take the request; its user has it already."""
        super().__init__(request, timers, self.FIRST, now=now)

    @property
    def answered_ok(self) -> bool:
        """True once a 2xx was sent to an INVITE; its ACK is then a matter of the dialog."""
        return self.state is State.ACCEPTED

    def receive(self, request: Request, *, now: float) -> None:
        """Take a repeat of the request, or for an INVITE the ACK to a final response of 300 or above."""
        self._step(Input.ACK if request.method == "ACK" else Input.REQUEST, None, now)

    def respond(self, response: Response, *, now: float) -> None:
        """Send a response; absorbed when a final one was sent already."""
        self._step(kind_of_response(response.status), response, now)


class InviteServer(ServerTransaction):
    """INVITE server transaction (RFC 3261 §17.2.1, RFC 6026 §7.1).

    Repeating a 2xx until its ACK comes belongs to the dialog (RFC 3261 §13.3.1.4); the transaction sends it
    each time it is given, and absorbs repeats of the INVITE meanwhile.
    """

    FIRST = State.PROCEEDING
    TABLE: ClassVar[Table] = {
        (State.PROCEEDING, Input.REQUEST): (State.PROCEEDING, (Action.REPEAT,)),
        (State.PROCEEDING, Input.PROVISIONAL): (State.PROCEEDING, (Action.SEND,)),
        (State.PROCEEDING, Input.SUCCESS): (State.ACCEPTED, (Action.SEND,)),
        (State.PROCEEDING, Input.FAILURE): (State.COMPLETED, (Action.SEND,)),
        (State.COMPLETED, Input.REQUEST): (State.COMPLETED, (Action.REPEAT,)),
        (State.COMPLETED, Input.REPEAT): (State.COMPLETED, (Action.REPEAT,)),
        (State.COMPLETED, Input.ACK): (State.CONFIRMED, ()),
        (State.COMPLETED, Input.TIMEOUT): (State.TERMINATED, (Action.REPORT,)),
        (State.CONFIRMED, Input.TIMEOUT): (State.TERMINATED, ()),
        (State.ACCEPTED, Input.SUCCESS): (State.ACCEPTED, (Action.SEND,)),
        (State.ACCEPTED, Input.TIMEOUT): (State.TERMINATED, ()),
    }

    def _waits(self, state: State) -> Waits:
        timers = self._timers
        if state is State.COMPLETED:
            return Waits(interval=timers.g, ceiling=timers.t2, timeout=timers.h)
        if state is State.CONFIRMED:
            return Waits(timeout=timers.i)
        return Waits(timeout=timers.l) if state is State.ACCEPTED else Waits()


class NonInviteServer(ServerTransaction):
    """Non-INVITE server transaction (RFC 3261 §17.2.2)."""

    FIRST = State.TRYING
    TABLE: ClassVar[Table] = {
        (State.TRYING, Input.PROVISIONAL): (State.PROCEEDING, (Action.SEND,)),
        (State.TRYING, Input.SUCCESS): (State.COMPLETED, (Action.SEND,)),
        (State.TRYING, Input.FAILURE): (State.COMPLETED, (Action.SEND,)),
        (State.PROCEEDING, Input.REQUEST): (State.PROCEEDING, (Action.REPEAT,)),
        (State.PROCEEDING, Input.PROVISIONAL): (State.PROCEEDING, (Action.SEND,)),
        (State.PROCEEDING, Input.SUCCESS): (State.COMPLETED, (Action.SEND,)),
        (State.PROCEEDING, Input.FAILURE): (State.COMPLETED, (Action.SEND,)),
        (State.COMPLETED, Input.REQUEST): (State.COMPLETED, (Action.REPEAT,)),
        (State.COMPLETED, Input.TIMEOUT): (State.TERMINATED, ()),
    }

    def _waits(self, state: State) -> Waits:
        return Waits(timeout=self._timers.j) if state is State.COMPLETED else Waits()
