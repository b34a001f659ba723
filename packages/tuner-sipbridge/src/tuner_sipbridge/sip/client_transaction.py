"""The two client transactions: RFC 3261 §17.1 as changed by RFC 6026, which adds the Accepted state."""

from __future__ import annotations

from typing import ClassVar

from tuner_sipbridge.sip.headers import Headers
from tuner_sipbridge.sip.message import Request, Response
from tuner_sipbridge.sip.timers import DEFAULT_TIMERS, Timers
from tuner_sipbridge.sip.transaction import Action, Input, State, Table, Transaction, Waits, kind_of_response


class ClientTransaction(Transaction):
    """Sends one request and takes its responses."""

    FIRST: ClassVar[State]

    def __init__(self, request: Request, *, now: float, timers: Timers = DEFAULT_TIMERS) -> None:
        """Send the request."""
        super().__init__(request, timers, self.FIRST, now=now)
        self._last = request
        self._outgoing.append(request)

    def receive(self, response: Response, *, now: float) -> None:
        """Take a response that belongs to this transaction (RFC 3261 §17.1.3)."""
        self._step(kind_of_response(response.status), response, now)

    @property
    def unheard(self) -> bool:
        """True while no response at all came."""
        return self.state is self.FIRST


class InviteClient(ClientTransaction):
    """INVITE client transaction (RFC 3261 §17.1.1, RFC 6026 §7.2).

    It acknowledges final responses of 300 and above itself. The ACK to a 2xx belongs to the dialog: every
    2xx, repeats and forks included, is given to the user.
    """

    FIRST = State.CALLING
    TABLE: ClassVar[Table] = {
        (State.CALLING, Input.REPEAT): (State.CALLING, (Action.REPEAT,)),
        (State.CALLING, Input.TIMEOUT): (State.TERMINATED, (Action.REPORT,)),
        (State.CALLING, Input.PROVISIONAL): (State.PROCEEDING, (Action.INFORM,)),
        (State.CALLING, Input.SUCCESS): (State.ACCEPTED, (Action.INFORM,)),
        (State.CALLING, Input.FAILURE): (State.COMPLETED, (Action.ACKNOWLEDGE, Action.INFORM)),
        (State.PROCEEDING, Input.PROVISIONAL): (State.PROCEEDING, (Action.INFORM,)),
        (State.PROCEEDING, Input.SUCCESS): (State.ACCEPTED, (Action.INFORM,)),
        (State.PROCEEDING, Input.FAILURE): (State.COMPLETED, (Action.ACKNOWLEDGE, Action.INFORM)),
        (State.COMPLETED, Input.FAILURE): (State.COMPLETED, (Action.ACKNOWLEDGE,)),
        (State.COMPLETED, Input.TIMEOUT): (State.TERMINATED, ()),
        (State.ACCEPTED, Input.SUCCESS): (State.ACCEPTED, (Action.INFORM,)),
        (State.ACCEPTED, Input.TIMEOUT): (State.TERMINATED, ()),
    }

    def abandon(self, *, now: float) -> None:
        """Give up waiting: a CANCEL was sent and no final response came in 64*T1 (RFC 3261 §9.1)."""
        if self.state in (State.CALLING, State.PROCEEDING):
            self.state = State.TERMINATED
            self._enter(State.TERMINATED, now)

    def _waits(self, state: State) -> Waits:
        if state is State.CALLING:
            return Waits(interval=self._timers.a, timeout=self._timers.b)
        if state is State.COMPLETED:
            return Waits(timeout=self._timers.d)
        if state is State.ACCEPTED:
            return Waits(timeout=self._timers.m)
        return Waits()

    def _acknowledgement(self, response: Response) -> Request:
        return acknowledge_failure(self.request, response)


class NonInviteClient(ClientTransaction):
    """Non-INVITE client transaction (RFC 3261 §17.1.2)."""

    FIRST = State.TRYING
    TABLE: ClassVar[Table] = {
        (State.TRYING, Input.REPEAT): (State.TRYING, (Action.REPEAT,)),
        (State.TRYING, Input.TIMEOUT): (State.TERMINATED, (Action.REPORT,)),
        (State.TRYING, Input.PROVISIONAL): (State.PROCEEDING, (Action.INFORM,)),
        (State.TRYING, Input.SUCCESS): (State.COMPLETED, (Action.INFORM,)),
        (State.TRYING, Input.FAILURE): (State.COMPLETED, (Action.INFORM,)),
        (State.PROCEEDING, Input.REPEAT): (State.PROCEEDING, (Action.REPEAT,)),
        (State.PROCEEDING, Input.TIMEOUT): (State.TERMINATED, (Action.REPORT,)),
        (State.PROCEEDING, Input.PROVISIONAL): (State.PROCEEDING, (Action.INFORM,)),
        (State.PROCEEDING, Input.SUCCESS): (State.COMPLETED, (Action.INFORM,)),
        (State.PROCEEDING, Input.FAILURE): (State.COMPLETED, (Action.INFORM,)),
        (State.COMPLETED, Input.TIMEOUT): (State.TERMINATED, ()),
    }

    def _waits(self, state: State) -> Waits:
        timers = self._timers
        if state is State.TRYING:
            return Waits(interval=timers.e, ceiling=timers.t2, timeout=timers.f)
        if state is State.PROCEEDING:
            # A provisional response slows the repeats down to T2; Timer F goes on (§17.1.2.2).
            return Waits(interval=timers.e and timers.t2, ceiling=timers.t2, carry=True)
        return Waits(timeout=timers.k) if state is State.COMPLETED else Waits()


def acknowledge_failure(invite: Request, response: Response) -> Request:
    """The ACK to a final response of 300 or above: same branch, Request-URI and route (§17.1.1.3)."""
    return _beside(invite, "ACK", to=response.headers.get("To"))


def cancel_of(invite: Request) -> Request:
    """The CANCEL of an INVITE: same branch, Request-URI, route and CSeq number (RFC 3261 §9.1)."""
    return _beside(invite, "CANCEL", to=invite.headers.get("To"))


def _beside(invite: Request, method: str, *, to: str | None) -> Request:
    """A request that goes the way of an INVITE of ours, with its one Via, and so meets it at every hop."""
    headers = Headers()
    headers.set_via(invite.via)
    headers.add("Max-Forwards", "70")
    for name in ("Route", "From", "Call-ID"):
        for value in invite.headers.get_all(name):
            headers.add(name, value)
    headers.add("To", to or "")
    headers.add("CSeq", f"{invite.cseq.number} {method}")
    return Request(method, invite.uri, headers)
