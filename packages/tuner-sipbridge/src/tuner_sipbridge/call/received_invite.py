"""The INVITE of an inbound call until its final response: who is let in, what is sent, when it is over."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from enum import Enum

from tuner_sipbridge.call import replies
from tuner_sipbridge.call.admission import admit
from tuner_sipbridge.call.challenge import Challenger
from tuner_sipbridge.call.events import (
    Answered,
    CallEvent,
    Cancelled,
    EarlyMedia,
    Incoming,
    NegotiationFailed,
    PartiesNamed,
    Renegotiated,
)
from tuner_sipbridge.call.invite_usage import Ground, InviteUsage
from tuner_sipbridge.call.offer_answer import OfferAnswer
from tuner_sipbridge.call.parties import NOBODY, parties_of
from tuner_sipbridge.call.provisionals import Provisionals
from tuner_sipbridge.call.refusal import rejected
from tuner_sipbridge.call.requests import ALLOW, PRODUCT, SDP
from tuner_sipbridge.call.session_timer import SessionTimer
from tuner_sipbridge.errors import NegotiationFailed as NegotiationError
from tuner_sipbridge.sdp.crypto import Srtp
from tuner_sipbridge.sdp.session import SessionDescription
from tuner_sipbridge.sip.dialog import Dialog
from tuner_sipbridge.sip.message import Request, Response, response_to
from tuner_sipbridge.sip.replaces import Replaces
from tuner_sipbridge.sip.uri import Uri


class Stage(Enum):
    """How far the call has come."""

    AT_THE_DOOR = "not let in yet"
    UNDECIDED = "let in, not answered"
    DECIDED = "answered, rejected or cancelled"


class ReceivedInvite:
    """Admits an INVITE, sends its provisional responses, and makes the dialog that its 2xx confirms."""

    def __init__(self, invite: Request, ground: Ground, *, tag: str, challenger: Challenger | None) -> None:
        """Begin at the door.

        Args:
            invite: the first INVITE of the call.
            ground: what the dialogs of the call stand on.
            tag: our To tag, in all responses.
            challenger: asks for credentials and verifies them; None lets everybody in.
        """
        self.request = invite
        self.offer: SessionDescription | None = None
        self.replaces: Replaces | None = None
        self.stage = Stage.AT_THE_DOOR
        self.usage: InviteUsage | None = None
        """The dialog, from the first session description of ours on."""
        self.told_answered = False
        """True when `Answered` was given."""
        self._ground = ground
        self._layer = ground.layer
        self._tag = tag
        self._challenger = challenger
        self._timer = SessionTimer(ground.terms)
        self._dialog = Dialog.of_answerer(invite, tag)
        self._progress: Provisionals | None = None
        self._acceptance: Callable[[float], None] | None = None
        self._challenged_until: float | None = None
        self._events: list[CallEvent] = []

    @property
    def waiting(self) -> bool:
        """True while the user has to decide, or a caller that was challenged may come with credentials."""
        return self.stage is Stage.UNDECIDED or self._challenged_until is not None

    def events(self) -> list[CallEvent]:
        """What happened; drained."""
        events, self._events = self._events, []
        return events

    def take(self, invite: Request, *, now: float) -> None:
        """Take the INVITE, or the same caller's next try: let it in or answer it."""
        self.request = invite
        ids, terms = self._ground.ids, self._ground.terms
        admitted = admit(invite, self._challenger, nonce=ids.cnonce(), terms=terms, timer=self._timer)
        if isinstance(admitted, replies.Reply):
            self._layer.respond(admitted.to(invite, tag=self._tag), now=now)
            # The nonce must be known when the credentials come: over TCP no timer of the transaction waits for them.
            challenged = admitted.status in (401, 407)
            self._challenged_until = now + self._ground.timers.patience if challenged else None
            return
        self._challenged_until = None
        self.offer, self.replaces = admitted.offer, admitted.replaces
        self.stage = Stage.UNDECIDED
        self._dialog = Dialog.of_answerer(invite, self._tag)
        self._progress = Provisionals(
            invite,
            self._layer,
            tag=self._tag,
            timers=self._ground.timers,
            reliable=terms.reliable,
            first_number=1 + int(ids.share() * (2**31 - 2)),
            now=now,
        )
        self._events.append(Incoming(_who(invite.from_.uri), _who(invite.uri), self.offer))
        if (parties := parties_of(invite)) != NOBODY:
            self._events.append(PartiesNamed(parties))

    def ring(self, status: int, *, now: float) -> None:
        """Send a provisional response above 100."""
        if self.stage is Stage.UNDECIDED and self._progress is not None:
            self._progress.send(status, now=now, headers=self._headers())

    def begin_media(
        self, status: int, *, now: float, address: str, port: int, codecs: Sequence[str], srtp: Srtp
    ) -> None:
        """Send a provisional response with our SDP, once."""
        if self.stage is Stage.UNDECIDED and self.usage is None and self._progress is not None:
            body = self._describe(address, port, codecs, srtp, now)
            if body is not None:
                self._progress.send(status, now=now, headers=self._headers(), body=body)
            if self.usage is not None and self.usage.session.agreed is not None:
                self._events.append(EarlyMedia(status, self.usage.session.agreed))

    def accept(self, *, now: float, address: str, port: int, codecs: Sequence[str], srtp: Srtp) -> None:
        """Send 200 with our SDP; behind early media that waits for its PRACK, so does the 200 (RFC 3262 §3)."""
        if self.stage is not Stage.UNDECIDED or self._progress is None:
            return
        if self._progress.holds_the_answer:
            self._acceptance = lambda now: self.accept(
                now=now, address=address, port=port, codecs=codecs, srtp=srtp
            )
            return
        body: bytes | None = b""
        if self.usage is None:
            body = self._describe(address, port, codecs, srtp, now)
        elif not self._progress.session_acknowledged:
            body = self.usage.session.told
        if body is None or self.usage is None:
            return
        self.stage = Stage.DECIDED
        self._progress.settle()
        self.usage.confirm(self.request)
        session_timer = self.usage.timer.answer(self.request, now=now)
        response = response_to(
            self.request,
            200,
            to_tag=self._tag,
            headers=[*self._headers(), *session_timer, ("Server", PRODUCT)],
            body=body,
            content_type=SDP if body else None,
        )
        if self.usage.session.agreed is not None:
            self.told_answered = True
            self._events.append(Answered(self.usage.session.agreed))
        self.usage.peers.answered(response, now=now)

    def reject(
        self, status: int, *, now: float, reason: str | None, headers: Sequence[tuple[str, str]]
    ) -> None:
        """Send a final response of 300 or above."""
        if self.stage is Stage.UNDECIDED:
            self._events.append(rejected(self._decide(replies.Reply(status, headers, reason), now)))

    def take_early(self, request: Request, *, now: float) -> None:
        """A request within the dialog before the call is decided."""
        method = request.method
        if method == "BYE":
            # A caller may end an early dialog by BYE as well (§15).
            self._reply(replies.OK, request, now)
            self._cancel(now, request.headers.get("Reason") or "the caller hung up before the answer")
        elif method == "PRACK":
            self._take_prack(request, now)
        elif method != "INVITE" and self.usage is not None:
            self.usage.receive(request, now=now)
        else:
            self._reply(replies.early_reply(method, self._ground.terms.supported), request, now)

    def take_cancel(self, cancel: Request, *, now: float) -> None:
        """200 to the CANCEL, and 487 to its INVITE when that has no final response yet (§9.2)."""
        cancelled = self._layer.invite_of(cancel)
        self._reply(replies.OK if cancelled else replies.NO_SUCH_CALL, cancel, now)
        if cancelled is self.request:
            self._cancel(now, cancel.headers.get("Reason") or "")

    def handle_timer(self, *, now: float) -> None:
        """Send 100, repeat a reliable response, or refuse the call of a caller that sends no PRACK (RFC 3262 §3)."""
        if self._challenged_until is not None and now >= self._challenged_until:
            self._challenged_until = None
        if self._progress is not None and self._progress.handle_timer(now=now):
            why = "Server Time-out: no PRACK to a reliable provisional response"
            self.reject(504, now=now, reason=why, headers=())

    def next_deadline(self) -> float | None:
        """When `handle_timer` must run next."""
        return self._progress.next_deadline() if self._progress is not None else self._challenged_until

    def _take_prack(self, prack: Request, now: float) -> None:
        """Acknowledge; an answer or a further offer may come along (RFC 3262 §5)."""
        if objection := replies.objection_to(prack, self._ground.terms.supported):
            self._reply(objection, prack, now)
            return
        progress = self._progress
        if progress is None or not self._dialog.takes(prack) or not progress.take_prack(prack, now=now):
            self._reply(replies.NO_SUCH_CALL, prack, now)
            return
        try:
            body = self._answer_of_prack(prack)
        except NegotiationError:
            self._reply(replies.Reply(488), prack, now)
            return
        kind = SDP if body else None
        response = response_to(prack, 200, headers=[("Server", PRODUCT)], body=body, content_type=kind)
        self._layer.respond(response, now=now)
        if self._acceptance is not None and not progress.holds_the_answer:
            acceptance, self._acceptance = self._acceptance, None
            acceptance(now)

    def _answer_of_prack(self, prack: Request) -> bytes:
        """What the session makes of the body of a PRACK: nothing to say, or the answer to its offer."""
        session = self.usage.session if self.usage is not None else None
        if session is None or not prack.body:
            return b""
        if session.pending:
            session.take_answer(prack.body)
            return b""
        body, negotiated = session.answer(prack.body)
        self._events.append(Renegotiated(negotiated))
        return body

    def _describe(
        self, address: str, port: int, codecs: Sequence[str], srtp: Srtp, now: float
    ) -> bytes | None:
        """Our first session description, which makes the session; None when the offer has nothing for us."""
        session = OfferAnswer.at(
            address, port, session_id=self._ground.ids.session_id(), codecs=codecs, srtp=srtp
        )
        try:
            body = session.offer() if self.offer is None else session.answer(self.request.body)[0]
        except NegotiationError as problem:
            self._decide(replies.Reply(488), now)
            self._events.append(NegotiationFailed(str(problem)))
            return None
        self.usage = InviteUsage(self._dialog, self._ground, session=session, timer=self._timer)
        return body

    def _cancel(self, now: float, why: str) -> None:
        if self.stage is Stage.UNDECIDED:
            self._decide(replies.TERMINATED, now)
            self._events.append(Cancelled(why))

    def _decide(self, reply: replies.Reply, now: float) -> Response:
        self.stage, self._acceptance = Stage.DECIDED, None
        if self._progress is not None:
            self._progress.settle()
        if self.usage is not None:
            self.usage.drop()
        response = reply.to(self.request, tag=self._tag)
        self._layer.respond(response, now=now)
        return response

    def _headers(self) -> list[tuple[str, str]]:
        return [self._ground.reach.contact, ALLOW, ("Supported", ", ".join(self._ground.terms.supported))]

    def _reply(self, reply: replies.Reply, request: Request, now: float) -> None:
        self._layer.respond(reply.to(request, tag=self._tag), now=now)


def _who(uri: Uri) -> str:
    return uri.unescaped_user or uri.host
