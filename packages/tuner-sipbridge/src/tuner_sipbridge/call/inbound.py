"""One inbound call: the UAS half (RFC 3261 §8.2, §9.2, §13.3, §15), without socket, clock or chance."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from enum import Enum

from tuner_sipbridge.call import replies
from tuner_sipbridge.call.admission import admit
from tuner_sipbridge.call.authentication import Authentication
from tuner_sipbridge.call.causes import cause_of
from tuner_sipbridge.call.challenge import Challenger
from tuner_sipbridge.call.events import (
    Answered,
    CallEvent,
    Cancelled,
    EarlyMedia,
    Incoming,
    NegotiationFailed,
    Rejected,
    Renegotiated,
)
from tuner_sipbridge.call.ids import Ids
from tuner_sipbridge.call.invite_usage import InviteUsage
from tuner_sipbridge.call.offer_answer import OfferAnswer
from tuner_sipbridge.call.requests import ALLOW, PRODUCT, SDP, Reach
from tuner_sipbridge.errors import NegotiationFailed as NegotiationError
from tuner_sipbridge.sdp.crypto import PLAIN, Srtp
from tuner_sipbridge.sdp.negotiation import Negotiated
from tuner_sipbridge.sdp.session import SessionDescription
from tuner_sipbridge.sip.dialog import Dialog
from tuner_sipbridge.sip.message import Message, Request, Response, response_to
from tuner_sipbridge.sip.routing import Address, Hop, transport_in_via
from tuner_sipbridge.sip.timers import DEFAULT_TIMERS, Timers
from tuner_sipbridge.sip.transaction_layer import RequestArrived, ResponseArrived, TransactionLayer
from tuner_sipbridge.sip.uri import Uri

TRYING_AFTER_S = 0.2
"""How long an INVITE may go unanswered before 100 is due (RFC 3261 §17.2.1)."""


class _Stage(Enum):
    """How far the call has come."""

    AT_THE_DOOR = "not let in yet"
    UNDECIDED = "let in, not answered"
    DECIDED = "answered, rejected or cancelled"


class InboundCall:
    """Answers one Call-ID: challenges if asked to, rings, accepts or rejects, holds the call, ends it.

    Make one for the first INVITE of an unknown Call-ID without a To tag, and give every later message of that
    Call-ID to it, the authenticated INVITE included. Feed and drain it as `OutboundCall`. The first event is
    `Incoming`; with a challenger it comes only when the credentials are verified, and a caller that never
    sends them leaves a machine that finishes without any event.
    """

    def __init__(
        self,
        invite: Request,
        *,
        now: float,
        local: Address,
        ids: Ids,
        source: Hop | None = None,
        challenger: Challenger | None = None,
        timers: Timers = DEFAULT_TIMERS,
    ) -> None:
        """Take the INVITE.

        Args:
            invite: the request as it came.
            now: Unix time in seconds.
            local: host and port on which we are reached, for the Contact.
            ids: source of tags, branches and nonces.
            source: where it came from; received and rport of the Via are set from it (RFC 3581 §4), and over its
                transport the caller is asked to reach us.
            challenger: asks for credentials and verifies them; None lets everybody in.
            timers: the base values of RFC 3261 §17.
        """
        self._invite = invite
        self._offer: SessionDescription | None = None
        self._ids = ids
        self._timers = timers
        self._challenger = challenger
        transport = source.transport if source else transport_in_via(invite.via.transport)
        self._reach = Reach(local, invite.uri.user, transport, secure=invite.uri.scheme == "sips")
        # One tag for the call, challenges included: a repeat of a refusal must look like the first
        # (§8.2.6.2).
        self._tag = ids.tag()
        self._layer = TransactionLayer(timers)
        self._stage = _Stage.AT_THE_DOOR
        self._trying_at: float | None = None
        self._challenged_until: float | None = None
        self._usage: InviteUsage | None = None
        self._told_answered = False
        self._early: tuple[OfferAnswer, bytes, Negotiated] | None = None
        self._events: list[CallEvent] = []
        self.receive(invite, now=now, source=source)

    @property
    def sip_call_id(self) -> str:
        """Call-ID of the call."""
        return self._invite.call_id

    @property
    def invite(self) -> Request:
        """The INVITE that is decided on: the authenticated one where there was a challenge."""
        return self._invite

    @property
    def headers(self) -> Mapping[str, str]:
        """Headers of the INVITE, names in lower case, the first value of each."""
        first: dict[str, str] = {}
        for name, value in self._invite.headers.items():
            first.setdefault(name.lower(), value)
        return first

    @property
    def offer(self) -> SessionDescription | None:
        """The INVITE's session description, None when it has none."""
        return self._offer

    @property
    def finished(self) -> bool:
        """True when the call is over and no transaction and no timer is left: forget the call."""
        if self._stage is _Stage.UNDECIDED or self._challenged_until is not None or not self._layer.idle:
            return False
        return self._usage is None or self._usage.settled

    def ring(self, *, now: float, status: int = 180) -> None:
        """Send a provisional response above 100; nothing when the call was decided already."""
        if self._stage is _Stage.UNDECIDED:
            self._answer_invite(replies.Reply(status, (self._reach.contact, ALLOW)), now)

    def progress(
        self,
        *,
        now: float,
        address: str,
        port: int,
        codecs: Sequence[str] = ("PCMU", "PCMA"),
        srtp: Srtp = PLAIN,
        status: int = 183,
    ) -> None:
        """Answer the offer in a provisional response, so that audio flows before the call is picked up.

        Gives `EarlyMedia`; `accept` sends the same description again and takes nothing of its own (RFC 3261
        §13.3.1.1). An INVITE without an offer, or with one that cannot be taken, gets the response alone.

        Args:
            now: Unix time in seconds.
            address: where our RTP port is.
            port: our RTP port.
            codecs: what we speak, best first.
            srtp: our policy and keys.
            status: above 100 and below 200.
        """
        if self._stage is not _Stage.UNDECIDED:
            return
        if self._early is None and self._offer is not None:
            session = self._session(address, port, codecs, srtp)
            with contextlib.suppress(NegotiationError):
                body, negotiated = session.answer(self._invite.body)
                self._early = session, body, negotiated
                self._events.append(EarlyMedia(status, negotiated))
        self._trying_at = None
        body = self._early[1] if self._early is not None else b""
        self._layer.respond(self._response(status, body), now=now)

    def accept(
        self,
        *,
        now: float,
        address: str,
        port: int,
        codecs: Sequence[str] = ("PCMU", "PCMA"),
        srtp: Srtp = PLAIN,
    ) -> None:
        """Answer the call: send 200 with our SDP, again and again until the ACK comes (RFC 3261 §13.3.1.4).

        Gives `Answered` at once, or at the ACK when the INVITE had no offer. When the offer has nothing for
        us, 488 is sent and `NegotiationFailed` given. Does nothing when the call was decided already (a
        CANCEL came first).

        Args:
            now: Unix time in seconds.
            address: where our RTP port is.
            port: our RTP port.
            codecs: what we speak, best first.
            srtp: our policy and keys.
        """
        if self._stage is not _Stage.UNDECIDED:
            return
        session = self._session(address, port, codecs, srtp)
        try:
            if self._offer is None:
                body = session.offer()
            else:
                if self._early is not None:
                    session, body, negotiated = self._early
                else:
                    body, negotiated = session.answer(self._invite.body)
                self._told_answered = True
                self._events.append(Answered(negotiated))
        except NegotiationError as problem:
            self._decide(replies.Reply(488), now)
            self._events.append(NegotiationFailed(str(problem)))
            return
        self._stage, self._trying_at = _Stage.DECIDED, None
        self._usage = self._stand(session)
        self._usage.answered(self._response(200, body), now=now)

    def reject(
        self, status: int, *, now: float, reason: str | None = None, headers: Sequence[tuple[str, str]] = ()
    ) -> None:
        """Send a final response of 300 or above; gives `Rejected`. Nothing when the call was decided."""
        if self._stage is _Stage.UNDECIDED:
            response = self._decide(replies.Reply(status, headers, reason), now)
            self._events.append(Rejected(status, response.reason, cause_of(response)))

    def hang_up(self, *, now: float) -> None:
        """End the call: BYE when it stands (after the ACK, RFC 3261 §15), 480 before it was decided."""
        if self._usage is not None:
            self._usage.hang_up(now=now)
            self._pump(now)
        else:
            self.reject(480, now=now)

    def unreachable(self, hop: Hop, why: str, *, now: float, again: bool = False) -> None:
        """The transport cannot reach a hop that `outgoing` named, or lost the connection to it.

        Args:
            hop: as `outgoing` gave it.
            why: the cause in plain words.
            now: Unix time in seconds.
            again: the connection had carried messages before: what is unanswered goes once more, on a new one.
        """
        self._layer.unreachable(hop, why, now=now, again=again)
        self._pump(now)

    def receive(self, message: Message, *, now: float, source: Hop | None = None) -> None:
        """Take one message of this Call-ID; `source` is where it came from."""
        self._layer.receive(message, now=now, source=source)
        self._pump(now)

    def handle_timer(self, *, now: float) -> None:
        """Do what is due at `now`; harmless when nothing is."""
        self._layer.handle_timer(now=now)
        if self._trying_at is not None and now >= self._trying_at:
            self._answer_invite(replies.Reply(100), now)
        if self._challenged_until is not None and now >= self._challenged_until:
            self._challenged_until = None
        if self._usage is not None:
            self._usage.handle_timer(now=now)
        self._pump(now)

    def next_deadline(self) -> float | None:
        """When `handle_timer` must run next, None when only a message can move the call."""
        usage = self._usage.next_deadline() if self._usage else None
        deadlines = (self._layer.next_deadline(), self._trying_at, self._challenged_until, usage)
        return min((at for at in deadlines if at is not None), default=None)

    def outgoing(self) -> list[tuple[Message, Hop]]:
        """The messages to send, in order, each with where it goes; drained."""
        return self._layer.outgoing()

    def events(self) -> list[CallEvent]:
        """What happened since the last call; drained."""
        events, self._events = self._events, []
        return events

    def _pump(self, now: float) -> None:
        while events := self._layer.events():
            for event in events:
                if isinstance(event, RequestArrived):
                    self._take_request(event.request, now)
                elif isinstance(event, ResponseArrived) and self._usage is not None:
                    self._usage.take_response(event.request, event.response, now=now)
        if self._usage is not None:
            self._events.extend(self._told(event) for event in self._usage.events())

    def _told(self, event: CallEvent) -> CallEvent:
        """The first session of a call without an offer comes with the ACK: only then does the call stand."""
        if isinstance(event, Renegotiated) and not self._told_answered:
            self._told_answered = True
            return Answered(event.negotiated)
        return event

    def _take_request(self, request: Request, now: float) -> None:
        if request.to.tag is None:
            self._take_outside(request, now)
        elif request.to.tag != self._tag or request.from_.tag != self._invite.from_.tag:
            self._reply(replies.NO_SUCH_CALL, request, now)
        elif self._usage is not None:
            self._usage.receive(request, now=now)
        elif request.method == "CANCEL":
            self._take_cancel(request, now)
        elif request.method == "BYE" and self._stage is _Stage.UNDECIDED:
            # A caller may end an early dialog by BYE as well (§15).
            self._reply(replies.OK, request, now)
            self._cancel(now, request.headers.get("Reason") or "the caller hung up before the answer")
        elif self._stage is _Stage.UNDECIDED:
            self._reply(replies.early_reply(request.method), request, now)
        else:
            self._reply(replies.NO_SUCH_CALL, request, now)

    def _take_outside(self, request: Request, now: float) -> None:
        """A request without To tag: the INVITE, its CANCEL, or a stray."""
        if request.method == "CANCEL":
            self._take_cancel(request, now)
        elif request.method != "INVITE":
            self._reply(replies.NO_SUCH_CALL, request, now)
        elif self._stage is _Stage.AT_THE_DOOR:
            self._take_invite(request, now)
        elif request.cseq == self._invite.cseq:
            # The same INVITE over another path (§8.2.2.2).
            self._reply(replies.MERGED, request, now)
        else:
            self._reply(replies.TRY_LATER, request, now)

    def _take_invite(self, invite: Request, now: float) -> None:
        self._invite = invite
        admitted = admit(invite, self._challenger, nonce=self._ids.cnonce())
        if isinstance(admitted, replies.Reply):
            self._reply(admitted, invite, now)
            # The nonce must be known when the credentials come: over TCP no timer of the transaction waits for them.
            challenged = admitted.status in (401, 407)
            self._challenged_until = now + self._timers.patience if challenged else None
            return
        self._challenged_until = None
        self._offer = admitted.offer
        self._stage = _Stage.UNDECIDED
        self._trying_at = now + TRYING_AFTER_S
        self._events.append(Incoming(_who(invite.from_.uri), _who(invite.uri), self._offer))

    def _take_cancel(self, cancel: Request, now: float) -> None:
        """200 to the CANCEL, and 487 to its INVITE when that has no final response yet (§9.2)."""
        cancelled = self._layer.invite_of(cancel)
        self._reply(replies.OK if cancelled else replies.NO_SUCH_CALL, cancel, now)
        if cancelled is self._invite:
            self._cancel(now, cancel.headers.get("Reason") or "")

    def _cancel(self, now: float, why: str) -> None:
        if self._stage is _Stage.UNDECIDED:
            self._decide(replies.TERMINATED, now)
            self._events.append(Cancelled(why))

    def _response(self, status: int, body: bytes) -> Response:
        """A response to the INVITE that makes the dialog, with a session description where there is one."""
        return response_to(
            self._invite,
            status,
            to_tag=self._tag,
            headers=[self._reach.contact, ALLOW, ("Server", PRODUCT)],
            body=body,
            content_type=SDP if body else None,
        )

    def _session(self, address: str, port: int, codecs: Sequence[str], srtp: Srtp) -> OfferAnswer:
        return OfferAnswer.at(address, port, session_id=self._ids.session_id(), codecs=codecs, srtp=srtp)

    def _stand(self, session: OfferAnswer) -> InviteUsage:
        return InviteUsage(
            Dialog.of_answerer(self._invite, self._tag),
            self._layer,
            session=session,
            reach=self._reach,
            ids=self._ids,
            authentication=Authentication(None, self._ids),
            parties=("agent", "caller"),
            timers=self._timers,
        )

    def _decide(self, reply: replies.Reply, now: float) -> Response:
        self._stage, self._trying_at = _Stage.DECIDED, None
        return self._answer_invite(reply, now)

    def _answer_invite(self, reply: replies.Reply, now: float) -> Response:
        self._trying_at = None
        response = reply.to(self._invite, tag=self._tag)
        self._layer.respond(response, now=now)
        return response

    def _reply(self, reply: replies.Reply, request: Request, now: float) -> None:
        if request.method != "ACK":
            self._layer.respond(reply.to(request, tag=self._tag), now=now)


def _who(uri: Uri) -> str:
    return uri.unescaped_user or uri.host
