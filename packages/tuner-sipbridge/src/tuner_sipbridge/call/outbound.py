"""One outbound call: the UAC half (RFC 3261 §8.1, §9.1, §13.2, §15), without socket, clock or chance."""

from __future__ import annotations

import copy
from collections.abc import Sequence

from tuner_sipbridge.call import replies
from tuner_sipbridge.call.authentication import Authentication, Unanswerable
from tuner_sipbridge.call.early_dialogs import EarlyDialogs
from tuner_sipbridge.call.events import (
    Answered,
    CallEvent,
    Cancelled,
    NegotiationFailed,
    PartiesNamed,
    Redirected,
    Unreachable,
)
from tuner_sipbridge.call.extensions import DEFAULT_EXTENSIONS, Extensions
from tuner_sipbridge.call.ids import Credentials, Ids
from tuner_sipbridge.call.in_call import InCall
from tuner_sipbridge.call.invitation import Invitation
from tuner_sipbridge.call.invite_usage import Ground, InviteUsage
from tuner_sipbridge.call.offer_answer import OfferAnswer
from tuner_sipbridge.call.parties import NOBODY, parties_of
from tuner_sipbridge.call.refusal import refused_credentials, rejected, timed_out
from tuner_sipbridge.call.requests import (
    Reach,
    all_headers,
    check_identity,
    first_invite,
)
from tuner_sipbridge.call.session_timer import SessionTimer
from tuner_sipbridge.call.success_acks import SuccessAcks
from tuner_sipbridge.errors import NegotiationFailed as NegotiationError
from tuner_sipbridge.sdp.session import SessionDescription
from tuner_sipbridge.sip.dialog import Dialog
from tuner_sipbridge.sip.headers import NameAddr
from tuner_sipbridge.sip.layer_events import LayerEvent, NoResponse, NotSent, RequestArrived, ResponseArrived
from tuner_sipbridge.sip.message import Message, Request, Response
from tuner_sipbridge.sip.reason import Reason
from tuner_sipbridge.sip.routing import Address, Hop, Transport
from tuner_sipbridge.sip.timers import DEFAULT_TIMERS, Timers, earliest
from tuner_sipbridge.sip.transaction_layer import TransactionLayer
from tuner_sipbridge.sip.uri import Uri

_NO_ANSWER = Reason("SIP", 408, "nobody answered in time")
_NO_SESSION = Reason("SIP", 488, "no session description that fits")
_ELSEWHERE = Reason("SIP", 200, "Call completed elsewhere")


class OutboundCall(InCall):
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
        to: Hop | None = None,
        extensions: Extensions = DEFAULT_EXTENSIONS,
        late_offer: bool = False,
    ) -> None:
        """Prepare the call; nothing is sent before `start`.

        Args:
            target: whom to call; Request-URI and To. Headers behind its `?` go on every INVITE as well.
            local: host and port on which we are reached, for Via and Contact; what a NAT shows for them.
            offer: our session description.
            sip_call_id: Call-ID of every message of the call.
            from_uri: who calls.
            ids: source of branches, tags and cnonces.
            headers: headers of our own, put on every INVITE of the call, retries included.
            credentials: for 401 and 407; without them a challenge refuses the call.
            ring_timeout_s: how long after `start` to wait for the answer.
            timers: the base values of RFC 3261 §17.
            route: an outbound proxy, or more than one, as a preloaded route set (RFC 3261 §8.1.2).
            transport: what the call goes by, where the URI of a next hop names none.
            to: where the INVITE is sent, in place of what the name of its next hop leads to (RFC 3263 §4).
            extensions: session timer, reliable provisional responses and transfers.
            late_offer: send the INVITE without `offer`: the far end offers in its 2xx, our ACK answers (§13.2.1).

        Raises:
            LocalProtocolError: a header is ours to write (Via, CSeq, Call-ID ...) or has a line break, the
                Call-ID is none, or SIP cannot reach the target.
        """
        headers = all_headers(target, headers)
        check_identity(target, sip_call_id, routed=bool(route))
        self._offer = offer
        self._timers = timers
        self._ring_timeout_s = ring_timeout_s
        self._layer = TransactionLayer(timers)
        reach = Reach(local, from_uri.user, transport, secure=target.scheme == "sips")
        authentication = Authentication(credentials, ids)
        self._ground = Ground(
            self._layer, reach, ids, authentication, ("caller", "agent"), timers, extensions
        )
        self._timer = SessionTimer(extensions)
        invite = first_invite(
            target,
            reach=reach,
            from_=NameAddr(from_uri).with_tag(ids.tag()),
            sip_call_id=sip_call_id,
            branch=ids.branch(),
            body=b"" if late_offer else offer.to_bytes(),
            headers=headers,
            route=route,
            extensions=[*extensions.headers, *self._timer.request_headers()],
        )
        self._invitation = Invitation(
            invite, self._layer, reach=reach, ids=ids, timers=timers, ring_timeout_s=ring_timeout_s, to=to
        )
        self._closed = False
        self._early = EarlyDialogs(offer, reliable=extensions.reliable != "no", late_offer=late_offer)
        self._acks = SuccessAcks(self._ground)
        self._usages: dict[str, InviteUsage] = {}
        self._standing: InviteUsage | None = None
        self._parties = NOBODY
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

    def hang_up(self, *, now: float, why: Reason | None = None) -> None:
        """End the call: BYE when it stands, CANCEL before that, nothing when it is over.

        Args:
            now: Unix time in seconds.
            why: goes along as a Reason header (RFC 3326).
        """
        if self._standing is not None:
            self._standing.hang_up(now=now, why=why)
            self._pump(now)
        else:
            self.cancel(now=now, why="hung up before the answer", reason=why)

    def cancel(self, *, now: float, why: str = "", reason: Reason | None = None) -> None:
        """Give up before the answer: CANCEL as soon as RFC 3261 §9.1 allows; as `hang_up` once it stands.

        Args:
            now: Unix time in seconds.
            why: in plain words, for the `Cancelled` event.
            reason: goes along as a Reason header (RFC 3326).
        """
        if self._standing is not None:
            self.hang_up(now=now, why=reason)
        elif not self._closed:
            self._close(Cancelled(why))
            self._invitation.give_up(now=now, why=reason)

    def handle_timer(self, *, now: float) -> None:
        """Do what is due at `now`; harmless when nothing is."""
        self._layer.handle_timer(now=now)
        for usage in self._usages.values():
            usage.handle_timer(now=now)
        self._pump(now)
        if self._invitation.handle_timer(now=now):
            heard, credentials_sent = self._invitation.heard, self._sent_credentials
            self._close(timed_out(self._ring_timeout_s, heard=heard, credentials_sent=credentials_sent))
            self._invitation.give_up(now=now, why=_NO_ANSWER)

    def next_deadline(self) -> float | None:
        """When `handle_timer` must run next, None when only a message can move the call."""
        deadlines = [usage.next_deadline() for usage in self._usages.values()]
        deadlines += [self._layer.next_deadline(), self._invitation.next_deadline()]
        return earliest(deadlines)

    def events(self) -> list[CallEvent]:
        """What happened since the last call; drained."""
        events, self._events = self._events, []
        return events

    def _standing_usage(self) -> InviteUsage | None:
        return self._standing

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
        elif event.request is self._invitation.request:
            if isinstance(event, ResponseArrived):
                self._take_invite_response(event.response, now)
            elif isinstance(event, NotSent):
                self._close(Unreachable(event.why))
            elif isinstance(event, NoResponse):
                self._close(timed_out(self._timers.b, heard=False, credentials_sent=self._sent_credentials))
        elif usage := self._usages.get(event.request.to.tag or ""):
            if isinstance(event, ResponseArrived):
                usage.take_response(event.request, event.response, now=now)
            elif isinstance(event, NoResponse | NotSent):
                usage.take_silence(event.request, now=now)

    def _take_request(self, request: Request, now: float) -> None:
        usage = self._usages.get(request.from_.tag or "")
        if request.to.tag == self._invitation.request.from_.tag and usage is not None:
            usage.receive(request, now=now)
            return
        if request.method == "INVITE" and request.to.tag is None:
            # Our own INVITE came back to us (RFC 3261 §8.2.2.2).
            reply = replies.MERGED
        else:
            reply = replies.NO_SUCH_CALL
        if request.method != "ACK":
            self._layer.respond(reply.to(request, tag=self._invitation.request.from_.tag), now=now)

    def _take_invite_response(self, response: Response, now: float) -> None:
        status = response.status
        if status < 200:
            self._take_provisional(response, now)
            return
        self._ground.authentication.take_next_nonce(self._invitation.request, response)
        if status < 300:
            self._invitation.settle()
            self._take_success(response, now)
        elif self._closed:
            self._invitation.settle()
        else:
            self._take_refusal(response, now)

    def _take_provisional(self, response: Response, now: float) -> None:
        self._invitation.take_provisional(now=now)
        if response.status > 100 and not self._closed:
            self._name_parties(response)
            for event in self._early.take(response, self._usage_of(response), now=now):
                if isinstance(event, NegotiationFailed):
                    self._close(event)
                    self._invitation.give_up(now=now, why=_NO_SESSION)
                else:
                    self._events.append(event)

    def _take_refusal(self, response: Response, now: float) -> None:
        status, invitation = response.status, self._invitation
        if status in (401, 407):
            answer = self._ground.authentication.answer(
                invitation.request, response, preset=invitation.preset
            )
            if isinstance(answer, Unanswerable):
                self._close(refused_credentials(response, answer))
            elif not invitation.retry(answer, now=now):
                self._close(rejected(response, authentication=self._ground.authentication))
            self._begin_anew()
            return
        if status == 422 and self._timer.raised_by(response):
            credentials = self._ground.authentication.known(invitation.request)
            if invitation.change(self._timer.request_headers(), credentials, now=now):
                self._begin_anew()
                return
        if status < 600 and (target := invitation.redirect(response, now=now)):
            self._events.append(Redirected(status, str(target)))
            self._begin_anew()
            return
        self._close(rejected(response, authentication=self._ground.authentication))

    def _take_success(self, response: Response, now: float) -> None:
        """Acknowledge a 2xx each time it comes (§13.2.2.4); the first dialog stands, forks are hung up."""
        tag = response.to.tag or ""
        if self._acks.repeat(tag):
            return
        usage = self._usage_of(response)
        usage.dialog.confirm(response)
        usage.confirm(response)
        surplus = self._closed or self._standing is not None
        body, negotiated, problem = b"", None, ""
        try:
            body, negotiated = self._early.settle(response, usage.session)
        except NegotiationError as error:
            problem = str(error)
        if (surplus and body) or (problem and not self._invitation.request.body):
            body = usage.session.decline(response.body)
        self._acks.send(self._invitation.request, usage.dialog, body=body)
        if surplus:
            usage.hang_up(now=now, why=_ELSEWHERE if self._standing is not None else None)
            return
        if negotiated is None:
            self._close(NegotiationFailed(problem))
            usage.hang_up(now=now, why=_NO_SESSION)
            return
        usage.timer.take_answer(response, now=now)
        self._standing = usage
        self._name_parties(response)
        self._events.append(Answered(negotiated, response.status))

    def _usage_of(self, response: Response) -> InviteUsage:
        """The dialog of a response to our INVITE, made when the response is the first of it (§12.1.2)."""
        tag = response.to.tag or ""
        if tag not in self._usages:
            # With forks, each of them answers the same offer.
            session = OfferAnswer(self._offer)
            if self._invitation.request.body:
                session.offer()
            dialog = Dialog.of_caller(self._invitation.request, response)
            timer = copy.copy(self._timer)
            self._usages[tag] = InviteUsage(dialog, self._ground, session=session, timer=timer)
        return self._usages[tag]

    def _begin_anew(self) -> None:
        """Another INVITE went out: the early dialogs of the one before came to nothing."""
        self._early.forget()
        self._usages = {tag: usage for tag, usage in self._usages.items() if usage.confirmed}

    def _name_parties(self, message: Message) -> None:
        parties = parties_of(message)
        if parties not in (NOBODY, self._parties):
            self._parties = parties
            self._events.append(PartiesNamed(parties))

    @property
    def _sent_credentials(self) -> bool:
        return self._ground.authentication.used

    def _close(self, event: CallEvent) -> None:
        if not self._closed:
            self._closed = True
            self._invitation.settle()
            self._events.append(event)
