"""What the far end changes of a session: re-INVITE and UPDATE (RFC 3261 §14.2, RFC 3311 §5.2)."""

from __future__ import annotations

from collections.abc import Sequence

from tuner_sipbridge.call import replies
from tuner_sipbridge.call.events import CallEvent, Renegotiated
from tuner_sipbridge.call.offer_answer import OfferAnswer
from tuner_sipbridge.call.requests import PRODUCT, SDP
from tuner_sipbridge.call.session_timer import SessionTimer
from tuner_sipbridge.call.unacknowledged import Unacknowledged
from tuner_sipbridge.errors import NegotiationFailed
from tuner_sipbridge.sdp.negotiation import Negotiated
from tuner_sipbridge.sip.dialog import Dialog
from tuner_sipbridge.sip.message import Request, Response, response_to
from tuner_sipbridge.sip.timers import Timers
from tuner_sipbridge.sip.transaction_layer import TransactionLayer


class PeerChanges:
    """Answers re-INVITE and UPDATE, and repeats each 2xx to an INVITE until it is acknowledged."""

    def __init__(
        self,
        dialog: Dialog,
        layer: TransactionLayer,
        *,
        session: OfferAnswer,
        headers: Sequence[tuple[str, str]],
        timers: Timers,
    ) -> None:
        """Begin with nothing to answer; `headers` are Contact, Allow and Supported of ours."""
        self._dialog = dialog
        self._layer = layer
        self._session = session
        self._headers = headers
        self._timers = timers
        self._unacknowledged: Unacknowledged | None = None
        self._events: list[CallEvent] = []

    @property
    def acknowledged(self) -> bool:
        """True when no 2xx of ours waits for its ACK."""
        return self._unacknowledged is None

    def events(self) -> list[CallEvent]:
        """What changed; drained."""
        events, self._events = self._events, []
        return events

    def answered(self, response: Response, *, now: float) -> None:
        """Send a 2xx to an INVITE, and again until its ACK comes."""
        self._unacknowledged = Unacknowledged(response, self._timers, now=now)
        self._layer.respond(response, now=now)

    def receive(
        self, request: Request, *, now: float, inviting: bool, offering: bool, timer: SessionTimer | None
    ) -> None:
        """Answer a re-INVITE or UPDATE; both refresh the target, and may offer a session.

        Args:
            request: as it came.
            now: the time.
            inviting: an INVITE of ours is under way in this dialog.
            offering: an offer of ours is.
            timer: the session timer, which each change starts again; None in an early dialog, where none runs.
        """
        makes_offer = request.method == "INVITE" and not request.body
        in_the_way = offering or self._session.pending
        if (inviting and request.method == "INVITE") or (in_the_way and (request.body or makes_offer)):
            self._layer.respond(replies.GLARE.to(request), now=now)
            return
        if timer is not None and (objection := timer.objection_to(request)):
            self._layer.respond(objection.to(request), now=now)
            return
        body, before = b"", self._session.agreed
        try:
            if request.body:
                body, negotiated = self._session.answer(request.body)
                self._tell_change(negotiated, before)
            elif makes_offer:
                body = self._session.offer()
        except NegotiationFailed:
            # The session stays as it was (§14.2).
            self._layer.respond(replies.Reply(488).to(request), now=now)
            return
        self._dialog.refresh_target(request)
        self._agree(request, body, timer.answer(request, now=now) if timer is not None else [], now)

    def _agree(
        self, request: Request, body: bytes, session_timer: Sequence[tuple[str, str]], now: float
    ) -> None:
        response = response_to(
            request,
            200,
            headers=[*self._headers, *session_timer, ("Server", PRODUCT)],
            body=body,
            content_type=SDP if body else None,
        )
        if request.method == "INVITE":
            self.answered(response, now=now)
        else:
            self._layer.respond(response, now=now)

    def take_ack(self, ack: Request) -> bool:
        """Take an ACK; True when it is the one that was waited for.

        Raises:
            NegotiationFailed: it owes an answer to the offer of our 2xx (§13.2.1), and has none that fits.
        """
        waiting = self._unacknowledged
        if waiting is None or not waiting.is_ended_by(ack):
            return False
        self._unacknowledged = None
        if self._session.pending:
            before = self._session.agreed
            self._tell_change(self._session.take_answer(ack.body), before)
        return True

    def forget(self) -> None:
        """Wait for no ACK any more."""
        self._unacknowledged = None

    def handle_timer(self, *, now: float) -> bool:
        """Repeat the 2xx if due; True when its ACK is not waited for any longer."""
        waiting = self._unacknowledged
        due = waiting.handle_timer(now=now) if waiting is not None else None
        if waiting is not None and due == "repeat":
            self._layer.respond(waiting.response, now=now)
        elif due == "give up":
            self._unacknowledged = None
            return True
        return False

    def next_deadline(self) -> float | None:
        """When `handle_timer` must run next."""
        return self._unacknowledged.next_deadline() if self._unacknowledged is not None else None

    def _tell_change(self, negotiated: Negotiated, before: Negotiated | None) -> None:
        """A refresh that changes nothing, as session timers send, is no event (RFC 4028 §7.4)."""
        if negotiated != before:
            self._events.append(Renegotiated(negotiated))
