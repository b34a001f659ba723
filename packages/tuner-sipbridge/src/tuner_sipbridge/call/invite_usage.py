"""A dialog that an INVITE made, and what both ends do in it (RFC 3261 §12.2, §14, §15)."""

from __future__ import annotations

from dataclasses import dataclass

from tuner_sipbridge.call import replies
from tuner_sipbridge.call.authentication import Authentication
from tuner_sipbridge.call.causes import NO_FAILURE, Failure, failure_of
from tuner_sipbridge.call.dialog_failures import Gone
from tuner_sipbridge.call.dialog_requests import DialogRequests
from tuner_sipbridge.call.events import CallEvent, Ended, Parted, Party
from tuner_sipbridge.call.extensions import Extensions
from tuner_sipbridge.call.ids import Ids
from tuner_sipbridge.call.info import take_info
from tuner_sipbridge.call.offer_answer import OfferAnswer
from tuner_sipbridge.call.own_changes import OwnChanges
from tuner_sipbridge.call.peer_changes import PeerChanges
from tuner_sipbridge.call.requests import ALLOW, Reach
from tuner_sipbridge.call.session_timer import SessionTimer
from tuner_sipbridge.call.transfer import Transfers
from tuner_sipbridge.errors import NegotiationFailed, RemoteProtocolError
from tuner_sipbridge.sdp.session import Direction
from tuner_sipbridge.sip.dialog import Dialog
from tuner_sipbridge.sip.message import Message, Request, Response
from tuner_sipbridge.sip.reason import Reason
from tuner_sipbridge.sip.timers import Timers, earliest
from tuner_sipbridge.sip.transaction_layer import TransactionLayer

EXPIRED = Reason("SIP", 408, "session expired")


@dataclass(frozen=True, slots=True)
class Ground:
    """What all dialogs of one call stand on.

    Attributes:
        layer: the call's transactions.
        reach: our Via and Contact.
        ids: source of branches and random shares.
        authentication: answers challenges.
        parties: who we are and who the peer is.
        timers: base values of RFC 3261 §17.
        terms: the extensions that we speak.
    """

    layer: TransactionLayer
    reach: Reach
    ids: Ids
    authentication: Authentication
    parties: tuple[Party, Party]
    timers: Timers
    terms: Extensions


class InviteUsage:
    """One dialog and its session, early until `confirm`. Created by the call that owns the transactions.

    `receive` takes the requests of the dialog, `take_response` and `take_silence` what came of ours.
    """

    def __init__(self, dialog: Dialog, ground: Ground, *, session: OfferAnswer, timer: SessionTimer) -> None:
        """Begin as an early dialog."""
        self.dialog = dialog
        self.session = session
        self._layer = ground.layer
        self._timers = ground.timers
        self._us: Party = ground.parties[0]
        self._peer: Party = ground.parties[1]
        self._supported = ground.terms.supported
        self.timer = timer
        self.requests = DialogRequests(
            dialog,
            ground.layer,
            reach=ground.reach,
            ids=ground.ids,
            authentication=ground.authentication,
        )
        contact = ground.reach.contact
        headers = [contact, ALLOW, ("Supported", ", ".join(ground.terms.supported))]
        self.own = OwnChanges(
            dialog,
            self.requests,
            session=session,
            timer=self.timer,
            headers=headers,
            ids=ground.ids,
            owns_call_id=self._us == "caller",
        )
        self.peers = PeerChanges(dialog, ground.layer, session=session, headers=headers, timers=ground.timers)
        self.transfers = Transfers(self.requests, contact=contact, allowed=ground.terms.refer)
        self._confirmed = self._over = self._bye_wanted = self._told_end = False
        self._farewell: Reason | None = None
        self._give_up_changes_at: float | None = None
        self._events: list[CallEvent] = []

    @property
    def confirmed(self) -> bool:
        """True once a 2xx was sent or received."""
        return self._confirmed

    @property
    def settled(self) -> bool:
        """True when the dialog is over, or came to nothing, and nothing of it waits to be sent."""
        if not self._confirmed:
            return True
        waits = self._bye_wanted or not self.peers.acknowledged or self._give_up_changes_at is not None
        return self._over and not waits

    @property
    def over(self) -> bool:
        """True when either side has ended the dialog."""
        return self._over

    def drop(self) -> None:
        """The INVITE was refused or cancelled: an early dialog is over without a word."""
        if not self._confirmed:
            self._over = self._told_end = True

    def confirm(self, message: Message) -> None:
        """The dialog stands; `message` is the far end's last one: its INVITE, or its 2xx to ours."""
        self._confirmed = True
        try:
            allowed = message.headers.elements("Allow")
        except RemoteProtocolError:
            allowed = []
        self.own.peer_takes_update = "UPDATE" in allowed

    def events(self) -> list[CallEvent]:
        """What happened; drained. After the end of the dialog comes only what became of its BYE."""
        machines = (self.peers, self.own, self.transfers)
        events = [event for machine in machines for event in machine.events()]
        own, self._events = self._events, []
        if self._told_end:
            return [event for event in own if isinstance(event, Parted)]
        self._told_end = self._over
        return events + own

    def hang_up(self, *, now: float, reason: str = "", why: Reason | None = None) -> None:
        """End the call: BYE now, or after the ACK that the peer still owes (RFC 3261 §15)."""
        if self._over:
            return
        self._farewell = why
        self._end(self._us, reason, now)
        if self.peers.acknowledged:
            self._send_bye(now)
        else:
            self._bye_wanted = True

    def change(self, direction: Direction, *, now: float) -> None:
        """Hold or resume, as soon as nothing stands in the way."""
        self.own.change(direction)
        self._go_on(now)

    def refresh(self, *, now: float) -> None:
        """Refresh the session, as soon as nothing stands in the way."""
        self.own.refresh()
        self._go_on(now)

    def receive(self, request: Request, *, now: float) -> None:
        """Take a request within the dialog."""
        if request.method == "ACK":
            self._take_ack(request, now)
        elif request.method == "CANCEL":
            # Every INVITE within a dialog was answered at once: there is nothing left to cancel (§9.2).
            self._reply(replies.OK if self._layer.invite_of(request) else replies.NO_SUCH_CALL, request, now)
        elif not self.dialog.takes(request):
            self._reply(replies.OUT_OF_ORDER, request, now)
        elif request.method == "BYE" and self._confirmed:
            self._take_bye(request, now)
        elif self._over:
            self._reply(replies.NO_SUCH_CALL, request, now)
        elif objection := replies.objection_to(request, self._supported):
            self._reply(objection, request, now)
        elif request.method in ("INVITE", "UPDATE"):
            inviting = self.own.inviting or not self._confirmed
            timer = self.timer if self._confirmed else None
            self.peers.receive(request, now=now, inviting=inviting, offering=self.own.offering, timer=timer)
        else:
            self._reply(self._answer_to(request, now), request, now)
            self.transfers.after(now=now)
        self._go_on(now)

    def take_response(self, request: Request, response: Response, *, now: float) -> None:
        """Take a response to a request of ours in this dialog."""
        self.requests.take_response(request, response, now=now)
        self._go_on(now)

    def take_silence(self, request: Request, *, now: float) -> None:
        """A request of ours in this dialog was not answered."""
        self.requests.take_silence(request, now=now)
        self._go_on(now)

    def handle_timer(self, *, now: float) -> None:
        """Repeat a 2xx, refresh the session, try a change again, or find that the far end is gone."""
        if self.peers.handle_timer(now=now):
            if not self._over:
                self._end(
                    "network", "no ACK to our answer came: the far end is gone, or its ACK is lost", now
                )
            self._bye_wanted = False
            self._send_bye(now)
        self.transfers.handle_timer(now=now)
        due = self.timer.handle_timer(now=now)
        if due == "refresh":
            self.own.refresh()
        elif due == "expired" and not self._over:
            self._farewell = EXPIRED
            self._lose(Gone("the session was not refreshed in time: the far end is gone"), now)
        if self._give_up_changes_at is not None and now >= self._give_up_changes_at:
            self._give_up_changes_at = None
            self.own.abandon(now=now)
        self._go_on(now)

    def next_deadline(self) -> float | None:
        """When `handle_timer` must run next."""
        if not self._confirmed:
            return None
        deadlines = [
            self.peers.next_deadline(),
            self.transfers.next_deadline(),
            self.timer.next_deadline(),
            self._give_up_changes_at,
        ]
        if not self._over and self.peers.acknowledged:
            deadlines.append(self.own.next_deadline())
        return earliest(deadlines)

    def _answer_to(self, request: Request, now: float) -> replies.Reply:
        if request.method == "INFO":
            reply, digit = take_info(request)
            if digit is not None:
                self._events.append(digit)
            return reply
        if request.method == "REFER" and self._confirmed:
            return self.transfers.take_refer(request, now=now)
        if request.method == "NOTIFY":
            return self.transfers.take_notify(request)
        return replies.plain_reply(request.method, self._supported)

    def _go_on(self, now: float) -> None:
        """What waited for the message or moment that just was."""
        gone = self.requests.gone
        if gone is not None and self._confirmed and not self._over:
            # Who answers so has ended the call, though its BYE did not come (RFC 5057 §5.1).
            self._lose(gone, now, by=self._peer if gone.by_peer else "network")
        if self._over or not self._confirmed:
            if self._give_up_changes_at is not None and not self.own.inviting:
                self._give_up_changes_at = None
        elif self.peers.acknowledged and not self.session.pending:
            self.own.go(now=now)

    def _take_ack(self, ack: Request, now: float) -> None:
        try:
            expected = self.peers.take_ack(ack)
        except NegotiationFailed as problem:
            if not self._over:
                self._end(self._us, f"the ACK has no answer to our offer that fits: {problem}", now)
                self._bye_wanted = True
            expected = True
        if expected and self._bye_wanted:
            self._bye_wanted = False
            self._send_bye(now)

    def _take_bye(self, request: Request, now: float) -> None:
        self._reply(replies.OK, request, now)
        self.peers.forget()
        self._bye_wanted = False
        if not self._over:
            self._end(self._peer, request.headers.get("Reason") or "", now, failure=failure_of(request))

    def _lose(self, gone: Gone, now: float, *, by: Party = "network") -> None:
        """The far end is gone; a BYE is sent all the same (§12.2.1.2, RFC 4028 §10)."""
        self._end(by, gone.text, now, status=gone.status, failure=gone.failure)
        self.peers.forget()
        self._send_bye(now)

    def _send_bye(self, now: float) -> None:
        headers = [("Reason", str(self._farewell))] if self._farewell is not None else []
        self.requests.send("BYE", now=now, then=self._after_bye, headers=headers)

    def _after_bye(self, response: Response | None, now: float) -> None:
        self._events.append(Parted(response.status if response is not None else 0))

    def _reply(self, reply: replies.Reply, request: Request, now: float) -> None:
        self._layer.respond(reply.to(request), now=now)

    def _end(
        self, by: Party, reason: str, now: float, *, status: int = 0, failure: Failure = NO_FAILURE
    ) -> None:
        self._over = True
        self.timer.stop()
        self.transfers.stop()
        if self.own.inviting:
            # Its final response still gets an ACK if it comes (487 after our BYE, §15.1.2).
            self._give_up_changes_at = now + self._timers.patience
        self._events.append(Ended(by, reason, status, failure))
