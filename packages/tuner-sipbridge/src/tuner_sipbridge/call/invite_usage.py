"""A call that stands: what both ends do within the dialog (RFC 3261 §12.2, §13.3.1.4, §14, §15)."""

from __future__ import annotations

import logging
from dataclasses import dataclass

from tuner_sipbridge.call import replies
from tuner_sipbridge.call.authentication import Authentication, Unanswerable
from tuner_sipbridge.call.events import CallEvent, Ended, Party, Renegotiated
from tuner_sipbridge.call.ids import Ids
from tuner_sipbridge.call.offer_answer import OfferAnswer
from tuner_sipbridge.call.requests import ALLOW, PRODUCT, SDP, Reach, again
from tuner_sipbridge.errors import NegotiationFailed
from tuner_sipbridge.sdp.negotiation import Negotiated
from tuner_sipbridge.sip.dialog import Dialog
from tuner_sipbridge.sip.message import Request, Response, response_to
from tuner_sipbridge.sip.routing import hop_uri
from tuner_sipbridge.sip.timers import Timers
from tuner_sipbridge.sip.transaction_layer import TransactionLayer

logger = logging.getLogger("tuner_sipbridge.call")

_MOST_TRIES = 4


@dataclass(slots=True)
class _Unacknowledged:
    """A 2xx to an INVITE that is repeated until its ACK comes (RFC 3261 §13.3.1.4)."""

    response: Response
    interval: float
    repeat_at: float
    give_up_at: float


class InviteUsage:
    """One confirmed dialog and its session. Created by the call that owns the transaction layer.

    `receive` takes the requests of the dialog, `take_response` the responses to its BYE.
    """

    def __init__(
        self,
        dialog: Dialog,
        layer: TransactionLayer,
        *,
        session: OfferAnswer,
        reach: Reach,
        ids: Ids,
        authentication: Authentication,
        parties: tuple[Party, Party],
        timers: Timers,
    ) -> None:
        """Stand.

        Args:
            dialog: the confirmed dialog.
            layer: the call's transactions.
            session: offer and answer so far.
            reach: our Via and Contact.
            ids: source of branches.
            authentication: answers a challenge to BYE.
            parties: who we are and who the peer is.
            timers: T1 and T2 for repeats of a 2xx.
        """
        self.dialog = dialog
        self._layer = layer
        self.session = session
        self._reach = reach
        self._ids = ids
        self._authentication = authentication
        self._us: Party = parties[0]
        self._peer: Party = parties[1]
        self._timers = timers
        self._over = False
        self._bye_wanted = False
        self._tries = 0
        self._unacknowledged: _Unacknowledged | None = None
        self._events: list[CallEvent] = []

    @property
    def settled(self) -> bool:
        """True when the dialog is over and nothing of it waits to be sent."""
        return self._over and not self._bye_wanted and self._unacknowledged is None

    @property
    def over(self) -> bool:
        """True when either side has ended the dialog."""
        return self._over

    def events(self) -> list[CallEvent]:
        """What happened; drained."""
        events, self._events = self._events, []
        return events

    def answered(self, response: Response, *, now: float) -> None:
        """Send a 2xx to an INVITE, and again until its ACK comes."""
        timers = self._timers
        self._unacknowledged = _Unacknowledged(response, timers.t1, now + timers.t1, now + timers.patience)
        self._layer.respond(response, now=now)

    def hang_up(self, *, now: float, reason: str = "") -> None:
        """End the call: BYE now, or after the ACK that the peer still owes (RFC 3261 §15)."""
        if self._over:
            return
        self._end(self._us, reason)
        if self._unacknowledged is None:
            self._send_bye(now)
        else:
            self._bye_wanted = True

    def receive(self, request: Request, *, now: float) -> None:
        """Take a request within the dialog."""
        if request.method == "ACK":
            self._take_ack(request, now)
        elif request.method == "CANCEL":
            # Every INVITE within a dialog was answered at once: there is nothing left to cancel (§9.2).
            self._reply(replies.OK if self._layer.invite_of(request) else replies.NO_SUCH_CALL, request, now)
        elif not self.dialog.takes(request):
            self._reply(replies.OUT_OF_ORDER, request, now)
        elif request.method == "BYE":
            self._take_bye(request, now)
        elif self._over:
            self._reply(replies.NO_SUCH_CALL, request, now)
        elif objection := replies.objection_to(request):
            self._reply(objection, request, now)
        elif request.method in ("INVITE", "UPDATE"):
            self._take_change(request, now)
        else:
            self._reply(replies.plain_reply(request.method), request, now)

    def take_response(self, request: Request, response: Response, *, now: float) -> None:
        """Take a response to our BYE; a challenge is answered, anything else ends the matter (§15.1.1)."""
        if response.status not in (401, 407) or self._tries >= _MOST_TRIES:
            return
        credentials = self._authentication.answer(request, response)
        if isinstance(credentials, Unanswerable):
            logger.warning("the far end does not take our BYE: %s", credentials.text)
            return
        self._tries += 1
        self.dialog.local_cseq += 1
        via = self._reach.via(self._ids.branch(), towards=hop_uri(request.uri, request.routes))
        self._layer.send(
            again(request, via=via, cseq=self.dialog.local_cseq, credentials=credentials), now=now
        )

    def handle_timer(self, *, now: float) -> None:
        """Repeat the 2xx, or give up on its ACK."""
        waiting = self._unacknowledged
        if waiting is None:
            return
        if now >= waiting.give_up_at:
            self._unacknowledged = None
            if not self._over:
                self._end("network", "no ACK to our answer came: the far end is gone, or its ACK is lost")
            self._bye_wanted = False
            self._send_bye(now)
        elif now >= waiting.repeat_at:
            waiting.interval = min(waiting.interval * 2, self._timers.t2)
            waiting.repeat_at = now + waiting.interval
            self._layer.respond(waiting.response, now=now)

    def next_deadline(self) -> float | None:
        """When `handle_timer` must run next."""
        waiting = self._unacknowledged
        return None if waiting is None else min(waiting.repeat_at, waiting.give_up_at)

    def _take_ack(self, ack: Request, now: float) -> None:
        waiting = self._unacknowledged
        if waiting is None or ack.cseq.number != waiting.response.cseq.number:
            return
        self._unacknowledged = None
        if not self._over and self.session.pending:
            self._take_answer(ack, now)
        if self._bye_wanted:
            self._bye_wanted = False
            self._send_bye(now)

    def _take_answer(self, ack: Request, now: float) -> None:
        """The ACK answers an offer that our 2xx made (§13.2.1)."""
        before = self.session.agreed
        try:
            negotiated = self.session.take_answer(ack.body)
        except NegotiationFailed as problem:
            self._end(self._us, f"the ACK has no answer to our offer that fits: {problem}")
            self._send_bye(now)
            return
        self._tell_change(negotiated, before)

    def _take_bye(self, request: Request, now: float) -> None:
        self._reply(replies.OK, request, now)
        self._unacknowledged = None
        self._bye_wanted = False
        if not self._over:
            self._end(self._peer, request.headers.get("Reason") or "")

    def _take_change(self, request: Request, now: float) -> None:
        """re-INVITE or UPDATE: both refresh the target, and may offer a session (§14.2, RFC 3311 §5.2)."""
        makes_offer = request.method == "INVITE" and not request.body
        if self.session.pending and (request.body or makes_offer):
            self._reply(replies.TRY_LATER, request, now)
            return
        body, before = b"", self.session.agreed
        try:
            if request.body:
                body, negotiated = self.session.answer(request.body)
                self._tell_change(negotiated, before)
            elif makes_offer:
                body = self.session.offer()
        except NegotiationFailed:
            # The session stays as it was (§14.2).
            self._reply(replies.Reply(488), request, now)
            return
        self.dialog.refresh_target(request)
        response = response_to(
            request,
            200,
            headers=[self._reach.contact, ALLOW, ("Server", PRODUCT)],
            body=body,
            content_type=SDP if body else None,
        )
        if request.method == "INVITE":
            self.answered(response, now=now)
        else:
            self._layer.respond(response, now=now)

    def _tell_change(self, negotiated: Negotiated, before: Negotiated | None) -> None:
        """A refresh that changes nothing, as session timers send, is no event (RFC 4028 §7.4)."""
        if negotiated != before:
            self._events.append(Renegotiated(negotiated))

    def _send_bye(self, now: float) -> None:
        via = self._reach.via(self._ids.branch(), towards=self.dialog.hop)
        bye = self.dialog.request("BYE", via=via, headers=[("User-Agent", PRODUCT)])
        self._layer.send(bye, now=now)

    def _reply(self, reply: replies.Reply, request: Request, now: float) -> None:
        self._layer.respond(reply.to(request), now=now)

    def _end(self, by: Party, reason: str) -> None:
        self._over = True
        self._events.append(Ended(by, reason))
