"""One outbound call: the UAC half (RFC 3261 §8.1, §9.1, §13.2, §15), without socket, clock or chance."""

from __future__ import annotations

from collections.abc import Sequence

from tuner_sipbridge.call import replies
from tuner_sipbridge.call.authentication import Authentication, Unanswerable
from tuner_sipbridge.call.causes import cause_of
from tuner_sipbridge.call.early_dialogs import EarlyDialogs
from tuner_sipbridge.call.events import (
    Answered,
    AuthenticationRefused,
    CallEvent,
    Cancelled,
    NegotiationFailed,
    Rejected,
    TimedOut,
    Unreachable,
)
from tuner_sipbridge.call.ids import Credentials, Ids
from tuner_sipbridge.call.invitation import Invitation
from tuner_sipbridge.call.invite_usage import InviteUsage
from tuner_sipbridge.call.offer_answer import OfferAnswer
from tuner_sipbridge.call.requests import (
    SDP,
    Reach,
    all_headers,
    check_identity,
    credentials_in,
    first_invite,
)
from tuner_sipbridge.errors import NegotiationFailed as NegotiationError
from tuner_sipbridge.sdp.negotiation import Negotiated
from tuner_sipbridge.sdp.session import SessionDescription
from tuner_sipbridge.sip.dialog import Dialog
from tuner_sipbridge.sip.headers import NameAddr
from tuner_sipbridge.sip.message import Message, Request, Response
from tuner_sipbridge.sip.routing import Address, Hop, Transport
from tuner_sipbridge.sip.timers import DEFAULT_TIMERS, Timers
from tuner_sipbridge.sip.transaction_layer import (
    LayerEvent,
    NoResponse,
    NotSent,
    RequestArrived,
    ResponseArrived,
    TransactionLayer,
)
from tuner_sipbridge.sip.uri import Uri

_CHECK = "check host, port and transport, and that a firewall lets it through"


class OutboundCall:
    """Dials one URI, authenticates when asked, holds the call, and ends it in order.

    Feed it with `receive` and `handle_timer`; after each call drain `outgoing` and `events`, and come back at
    `next_deadline`. It gives one closing event (see `call.events`) and then works on until `finished`.
    """

    def __init__(
        self,
        target: Uri,
        *,
        local: Address,
        offer: SessionDescription,
        sip_call_id: str,
        from_uri: Uri,
        ids: Ids,
        headers: Sequence[tuple[str, str]] = (),
        credentials: Credentials | None = None,
        ring_timeout_s: float = 60.0,
        timers: Timers = DEFAULT_TIMERS,
        route: Sequence[Uri] = (),
        transport: Transport = "udp",
        late_offer: bool = False,
    ) -> None:
        """Prepare the call; nothing is sent before `start`.

        Args:
            target: whom to call; Request-URI and To. Headers behind its `?` go on every INVITE as well.
            local: host and port on which we are reached, for Via and Contact; what a NAT shows for them.
            offer: our session description: all that we can do.
            sip_call_id: Call-ID of every message of the call.
            from_uri: who calls.
            ids: source of branches, tags and cnonces.
            headers: headers of our own, put on every INVITE of the call, retries included.
            credentials: for 401 and 407; without them a challenge refuses the call.
            ring_timeout_s: how long after `start` to wait for the answer.
            timers: the base values of RFC 3261 §17.
            route: an outbound proxy, or more than one, as a preloaded route set (RFC 3261 §8.1.2).
            transport: what the call goes by, where the URI of a next hop names none.
            late_offer: send the INVITE without `offer`: the far end offers in its 2xx, our ACK answers (§13.2.1).

        Raises:
            LocalProtocolError: a header is ours to write (Via, CSeq, Call-ID ...) or has a line break, the
                Call-ID is none, or SIP cannot reach the target.
        """
        headers = all_headers(target, headers)
        check_identity(target, sip_call_id, routed=bool(route))
        self._offer = offer
        self._ids = ids
        self._timers = timers
        self._ring_timeout_s = ring_timeout_s
        self._reach = Reach(local, from_uri.user, transport, secure=target.scheme == "sips")
        self._authentication = Authentication(credentials, ids)
        self._layer = TransactionLayer(timers)
        invite = first_invite(
            target,
            reach=self._reach,
            from_=NameAddr(from_uri).with_tag(ids.tag()),
            sip_call_id=sip_call_id,
            branch=ids.branch(),
            body=b"" if late_offer else offer.to_bytes(),
            headers=headers,
            route=route,
        )
        self._invitation = Invitation(
            invite, self._layer, reach=self._reach, ids=ids, timers=timers, ring_timeout_s=ring_timeout_s
        )
        self._closed = False
        self._early = EarlyDialogs(offer)
        self._acks: dict[str, Request] = {}
        self._usages: dict[str, InviteUsage] = {}
        self._standing: InviteUsage | None = None
        self._events: list[CallEvent] = []

    @property
    def sip_call_id(self) -> str:
        """Call-ID of the call."""
        return self._invitation.request.call_id

    @property
    def finished(self) -> bool:
        """True when the closing event was given and no transaction and no timer is left: forget the call."""
        return self._closed and self._layer.idle and all(usage.settled for usage in self._usages.values())

    def start(self, *, now: float) -> None:
        """Send the INVITE; nothing when it was sent, or the call given up, before."""
        if not self._invitation.begun and not self._closed:
            self._invitation.begin(now=now)

    def hang_up(self, *, now: float) -> None:
        """End the call: BYE when it stands, CANCEL before that, nothing when it is over."""
        self.cancel(now=now, why="hung up before the answer")

    def cancel(self, *, now: float, why: str = "") -> None:
        """Give up before the answer: CANCEL as soon as RFC 3261 §9.1 allows; as `hang_up` once it stands."""
        if self._standing is not None:
            self._standing.hang_up(now=now)
            self._pump(now)
        elif not self._closed:
            self._close(Cancelled(why))
            self._invitation.give_up(now=now)

    def unreachable(self, hop: Hop, why: str, *, now: float, again: bool = False) -> None:
        """The transport cannot reach a hop that `outgoing` named, or lost the connection to it.

        An INVITE that nobody answered yet fails at once (RFC 3261 §8.1.3.1), with no waiting for Timer B.

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
        for usage in self._usages.values():
            usage.handle_timer(now=now)
        self._pump(now)
        if self._invitation.handle_timer(now=now):
            self._close(self._ring_timeout())
            self._invitation.give_up(now=now)

    def next_deadline(self) -> float | None:
        """When `handle_timer` must run next, None when only a message can move the call."""
        deadlines = [usage.next_deadline() for usage in self._usages.values()]
        deadlines += [self._layer.next_deadline(), self._invitation.next_deadline()]
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
                self._take(event, now)
        if self._standing is not None:
            self._events.extend(self._standing.events())
            self._closed = self._closed or self._standing.over

    def _take(self, event: LayerEvent, now: float) -> None:
        if isinstance(event, RequestArrived):
            self._take_request(event.request, now)
        elif isinstance(event, ResponseArrived):
            if event.request is self._invitation.request:
                self._take_invite_response(event.response, now)
            elif event.request.method == "BYE":
                usage = self._usages[event.request.to.tag or ""]
                usage.take_response(event.request, event.response, now=now)
        elif isinstance(event, NoResponse) and event.request is self._invitation.request:
            self._close(TimedOut("no response", f"no response came in {self._timers.b:g} s; {_CHECK}"))
        elif isinstance(event, NotSent) and event.request is self._invitation.request:
            self._close(Unreachable(event.why))

    def _take_request(self, request: Request, now: float) -> None:
        tag = request.from_.tag or ""
        to_us = request.to.tag == self._invitation.request.from_.tag
        if to_us and tag in self._usages:
            self._usages[tag].receive(request, now=now)
        elif request.method == "ACK":
            return
        elif to_us and tag in self._early:
            self._reply(replies.early_reply(request.method), request, now)
        elif request.method == "INVITE" and request.to.tag is None:
            # Our own INVITE came back to us (RFC 3261 §8.2.2.2).
            self._reply(replies.MERGED, request, now)
        else:
            self._reply(replies.NO_SUCH_CALL, request, now)

    def _take_invite_response(self, response: Response, now: float) -> None:
        status = response.status
        if status < 200:
            self._invitation.take_provisional(now=now)
            if status > 100 and not self._closed:
                self._events += self._early.take(response)
            return
        if status < 300:
            self._invitation.settle()
            self._take_success(response, now)
        elif self._closed:
            self._invitation.settle()
        else:
            self._take_refusal(response, now)

    def _take_refusal(self, response: Response, now: float) -> None:
        status = response.status
        if status in (401, 407):
            credentials = self._authentication.answer(self._invitation.request, response)
            if isinstance(credentials, Unanswerable):
                realm, text = credentials.realm, credentials.text
                self._close(AuthenticationRefused(status, realm, text, response.reason))
                return
            if self._invitation.retry(credentials, now=now):
                return
        elif status < 400 and self._invitation.redirect(response, now=now):
            return
        self._close(Rejected(status, response.reason, cause_of(response)))

    def _take_success(self, response: Response, now: float) -> None:
        """Acknowledge a 2xx each time it comes (§13.2.2.4); the first dialog stands, forks are hung up."""
        tag = response.to.tag or ""
        if tag in self._acks:
            self._layer.send_alone(self._acks[tag])
            return
        session = OfferAnswer(self._offer)
        surplus = self._closed or self._standing is not None
        body, negotiated = b"", None
        try:
            body, negotiated = self._agree(session, response)
        except NegotiationError as problem:
            if not surplus:
                self._close(NegotiationFailed(str(problem)))
        if negotiated is None or surplus:
            body = b"" if self._invitation.request.body else session.decline(response.body)
        usage = self._usages[tag] = self._acknowledge(response, session, body)
        if negotiated is None or surplus:
            usage.hang_up(now=now)
            return
        self._standing = usage
        self._events.append(Answered(negotiated, response.status))

    def _agree(self, session: OfferAnswer, response: Response) -> tuple[bytes, Negotiated]:
        """Settle the session of a 2xx: what the ACK is to carry, and what is agreed on.

        With forks, each of them answers the same offer.
        """
        if not self._invitation.request.body:
            return session.answer(response.body)
        session.offer()
        return b"", session.take_answer(response.body or self._early.answer_of(response.to.tag or ""))

    def _acknowledge(self, response: Response, session: OfferAnswer, body: bytes) -> InviteUsage:
        """Make the dialog of a 2xx and send its ACK."""
        invite = self._invitation.request
        dialog = Dialog.of_caller(invite, response)
        ack = dialog.request(
            "ACK",
            via=self._reach.via(self._ids.branch(), towards=dialog.hop),
            cseq=invite.cseq.number,
            headers=[*credentials_in(invite), *([("Content-Type", SDP)] if body else [])],
            body=body,
        )
        self._acks[response.to.tag or ""] = ack
        self._layer.send_alone(ack)
        return InviteUsage(
            dialog,
            self._layer,
            session=session,
            reach=self._reach,
            ids=self._ids,
            authentication=self._authentication,
            parties=("caller", "agent"),
            timers=self._timers,
        )

    def _ring_timeout(self) -> TimedOut:
        waited = f"in {self._ring_timeout_s:g} s"
        if self._invitation.heard:
            return TimedOut("ringing", f"nobody answered {waited}, and the call was cancelled")
        return TimedOut("no response", f"no response came {waited}; {_CHECK}")

    def _reply(self, reply: replies.Reply, request: Request, now: float) -> None:
        self._layer.respond(reply.to(request, tag=self._invitation.request.from_.tag), now=now)

    def _close(self, event: CallEvent) -> None:
        if not self._closed:
            self._closed = True
            self._invitation.settle()
            self._events.append(event)
