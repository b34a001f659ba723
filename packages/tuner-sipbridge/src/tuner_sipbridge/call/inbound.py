"""One inbound call: the UAS half (RFC 3261 §8.2, §9.2, §13.3, §15), without socket, clock or chance."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from tuner_sipbridge.call import replies
from tuner_sipbridge.call.authentication import Authentication
from tuner_sipbridge.call.challenge import Challenger
from tuner_sipbridge.call.events import Answered, CallEvent, Renegotiated
from tuner_sipbridge.call.extensions import DEFAULT_EXTENSIONS, Extensions
from tuner_sipbridge.call.ids import Credentials, Ids
from tuner_sipbridge.call.in_call import InCall
from tuner_sipbridge.call.invite_usage import Ground, InviteUsage
from tuner_sipbridge.call.received_invite import ReceivedInvite, Stage
from tuner_sipbridge.call.requests import Reach
from tuner_sipbridge.sdp.crypto import PLAIN, Srtp
from tuner_sipbridge.sdp.session import SessionDescription
from tuner_sipbridge.sip.layer_events import NoResponse, NotSent, RequestArrived, ResponseArrived
from tuner_sipbridge.sip.message import Request
from tuner_sipbridge.sip.reason import Reason
from tuner_sipbridge.sip.replaces import Replaces
from tuner_sipbridge.sip.routing import Address, Hop, transport_in_via, way_through_nat
from tuner_sipbridge.sip.timers import DEFAULT_TIMERS, Timers, earliest
from tuner_sipbridge.sip.transaction_layer import TransactionLayer


class InboundCall(InCall):
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
        extensions: Extensions = DEFAULT_EXTENSIONS,
        credentials: Credentials | None = None,
        refused: Counter[str] | None = None,
        through_nat: bool = False,
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
            extensions: session timer, reliable provisional responses and transfers.
            credentials: for challenges to our own requests within the call.
            refused: where requests beyond those that the call has in hand at a time are counted, as `transactions`.
            through_nat: send our requests to where the INVITE came from when its Contact is private: see
                `way_through_nat`.
        """
        # One tag for the call, challenges included: a repeat of a refusal must look like the first
        # (§8.2.6.2).
        self._tag = ids.tag()
        self._layer = TransactionLayer(timers, refused=refused)
        self.nat = way_through_nat(invite, source) if through_nat and source is not None else None
        """Where the caller is reached in place of its Contact, None when that is followed."""
        if self.nat is not None:
            self._layer.keep_to(self.nat)
        transport = source.transport if source else transport_in_via(invite.via.transport)
        reach = Reach(local, invite.uri.user, transport, secure=invite.uri.scheme == "sips")
        authentication = Authentication(credentials, ids)
        ground = Ground(self._layer, reach, ids, authentication, ("agent", "caller"), timers, extensions)
        self._received = ReceivedInvite(invite, ground, tag=self._tag, challenger=challenger)
        self._events: list[CallEvent] = []
        self.receive(invite, now=now, source=source)

    @property
    def sip_call_id(self) -> str:
        """Call-ID of the call."""
        return self._received.request.call_id

    @property
    def invite(self) -> Request:
        """The INVITE that is decided on: the authenticated one where there was a challenge."""
        return self._received.request

    @property
    def headers(self) -> Mapping[str, str]:
        """Headers of the INVITE, names in lower case, the first value of each."""
        first: dict[str, str] = {}
        for name, value in self._received.request.headers.items():
            first.setdefault(name.lower(), value)
        return first

    @property
    def offer(self) -> SessionDescription | None:
        """The INVITE's session description, None when it has none."""
        return self._received.offer

    @property
    def replaces(self) -> Replaces | None:
        """The call that this one is to take the place of (RFC 3891), None when there is none.

        Whoever holds both calls accepts this one and hangs the other up, or rejects this one with what that call's
        `objection_to_replacement` says.
        """
        return self._received.replaces

    @property
    def finished(self) -> bool:
        """True when the call is over and no transaction and no timer is left: forget the call."""
        if self._received.waiting or not self._layer.idle:
            return False
        usage = self._received.usage
        return usage is None or usage.settled

    def ring(self, *, now: float, status: int = 180) -> None:
        """Send a provisional response above 100; nothing when the call was decided already."""
        self._received.ring(status, now=now)
        self._pump(now)

    def begin_media(
        self,
        *,
        now: float,
        address: str,
        port: int,
        codecs: Sequence[str] = ("PCMU", "PCMA"),
        srtp: Srtp = PLAIN,
        status: int = 183,
    ) -> None:
        """Send early media: a provisional response with our SDP, reliably when the caller knows how (RFC 3262).

        `accept` later stays with this session. Nothing when the call was decided, or has early media, already.

        Args:
            now: Unix time in seconds.
            address: where our RTP port is.
            port: our RTP port.
            codecs: what we speak, best first.
            srtp: our policy and keys.
            status: of the response.
        """
        self._received.begin_media(status, now=now, address=address, port=port, codecs=codecs, srtp=srtp)
        self._pump(now)

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
        CANCEL came first). While early media waits for its PRACK, so does the 200 (RFC 3262 §3).

        Args:
            now: Unix time in seconds.
            address: where our RTP port is.
            port: our RTP port.
            codecs: what we speak, best first.
            srtp: our policy and keys.
        """
        self._received.accept(now=now, address=address, port=port, codecs=codecs, srtp=srtp)
        self._pump(now)

    def reject(
        self, status: int, *, now: float, reason: str | None = None, headers: Sequence[tuple[str, str]] = ()
    ) -> None:
        """Send a final response of 300 or above; gives `Rejected`. Nothing when the call was decided."""
        self._received.reject(status, now=now, reason=reason, headers=headers)
        self._pump(now)

    def hang_up(self, *, now: float, why: Reason | None = None) -> None:
        """End the call: BYE when it stands (after the ACK, RFC 3261 §15), 480 before it was decided.

        Args:
            now: Unix time in seconds.
            why: goes along as a Reason header (RFC 3326).
        """
        usage = self._received.usage
        if usage is not None and usage.confirmed:
            usage.hang_up(now=now, why=why)
            self._pump(now)
        else:
            self.reject(480, now=now, headers=[("Reason", str(why))] if why is not None else ())

    def handle_timer(self, *, now: float) -> None:
        """Do what is due at `now`; harmless when nothing is."""
        self._layer.handle_timer(now=now)
        self._received.handle_timer(now=now)
        if self._received.usage is not None:
            self._received.usage.handle_timer(now=now)
        self._pump(now)

    def next_deadline(self) -> float | None:
        """When `handle_timer` must run next, None when only a message can move the call."""
        usage = self._received.usage
        deadlines = (
            self._layer.next_deadline(),
            self._received.next_deadline(),
            usage.next_deadline() if usage is not None else None,
        )
        return earliest(deadlines)

    def events(self) -> list[CallEvent]:
        """What happened since the last call; drained."""
        events, self._events = self._events, []
        return events

    def _standing_usage(self) -> InviteUsage | None:
        return self._received.usage

    def _pump(self, now: float) -> None:
        while events := self._layer.events():
            for event in events:
                usage = self._received.usage
                if isinstance(event, RequestArrived):
                    self._take_request(event.request, now)
                elif isinstance(event, ResponseArrived) and usage is not None:
                    usage.take_response(event.request, event.response, now=now)
                elif isinstance(event, NoResponse | NotSent) and usage is not None:
                    usage.take_silence(event.request, now=now)
        self._events.extend(self._received.events())
        if self._received.usage is not None:
            self._events.extend(self._told(event) for event in self._received.usage.events())

    def _told(self, event: CallEvent) -> CallEvent:
        """The first session of a call without an offer comes with the ACK: only then does the call stand."""
        received = self._received
        if isinstance(event, Renegotiated) and received.stage is Stage.DECIDED and not received.told_answered:
            received.told_answered = True
            return Answered(event.negotiated)
        return event

    def _take_request(self, request: Request, now: float) -> None:
        received = self._received
        if request.to.tag is None:
            self._take_outside(request, now)
        elif request.to.tag != self._tag or request.from_.tag != received.request.from_.tag:
            self._reply(replies.NO_SUCH_CALL, request, now)
        elif request.method == "CANCEL" and received.stage is Stage.UNDECIDED:
            received.take_cancel(request, now=now)
        elif received.stage is Stage.UNDECIDED or (request.method == "PRACK" and received.awaits_prack):
            received.take_early(request, now=now)
        elif received.usage is not None:
            received.usage.receive(request, now=now)
        elif request.method == "CANCEL":
            received.take_cancel(request, now=now)
        else:
            self._reply(replies.NO_SUCH_CALL, request, now)

    def _take_outside(self, request: Request, now: float) -> None:
        """A request without To tag: the INVITE, its CANCEL, or a stray."""
        if request.method == "CANCEL":
            self._received.take_cancel(request, now=now)
        elif request.method != "INVITE":
            self._reply(replies.NO_SUCH_CALL, request, now)
        elif self._received.stage is Stage.AT_THE_DOOR:
            self._received.take(request, now=now)
        elif request.cseq == self._received.request.cseq:
            # The same INVITE over another path (§8.2.2.2).
            self._reply(replies.MERGED, request, now)
        else:
            self._reply(replies.TRY_LATER, request, now)

    def _reply(self, reply: replies.Reply, request: Request, now: float) -> None:
        if request.method != "ACK":
            self._layer.respond(reply.to(request, tag=self._tag), now=now)
