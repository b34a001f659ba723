"""One inbound call as the answering side holds it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field

from tuner_sipbridge.audio.g711 import Law
from tuner_sipbridge.call import events as signalling
from tuner_sipbridge.call.inbound import InboundCall
from tuner_sipbridge.errors import LocalProtocolError, MediaError
from tuner_sipbridge.media import engine as media
from tuner_sipbridge.net.driver import CallObserver, Leg, SipDriver
from tuner_sipbridge.net.negotiated_media import parameters_of
from tuner_sipbridge.sdp.crypto import PLAIN, Srtp
from tuner_sipbridge.sdp.negotiation import Negotiated
from tuner_sipbridge.sip.message import Message
from tuner_sipbridge.sip.routing import Address, Hop

logger = logging.getLogger("tuner_sipbridge.answerer")

EARLIER_MESSAGES = 20
"""What is kept of the messages before somebody takes the call."""


@dataclass(frozen=True, slots=True)
class CallMedia:
    """What a call is answered with.

    Attributes:
        stream: its media.
        address: where the far end is told to send: behind a NAT, what is shown there.
        port: the port to that address.
        codecs: what is spoken.
        srtp: our policy and keys.
    """

    stream: media.MediaStream
    address: str
    port: int
    codecs: Sequence[str] = ("PCMU", "PCMA")
    srtp: Srtp = field(default=PLAIN, repr=False)


class AnsweredLine:
    """One inbound call; what the agent sees of it is `agents.line.Line`."""

    def __init__(
        self,
        machine: InboundCall,
        *,
        source: Hop,
        local: Address,
        on_incoming: Callable[[AnsweredLine], None],
    ) -> None:
        self.machine, self._on_incoming = machine, on_incoming
        self.source = source
        """Where the first INVITE came from."""
        self.local = local
        """Local address and port that the caller reaches."""
        self._observer: CallObserver[signalling.CallEvent] | None = None
        self._witness: CallObserver[signalling.CallEvent] | None = None
        self._standing_machine = machine
        self._in_place_of: AnsweredLine | None = None
        self._earlier: list[tuple[Message, Hop, bool, float]] = []
        self._named: tuple[signalling.PartiesNamed, float] | None = None
        self._leg: Leg[signalling.CallEvent] | None = None
        self._stream: media.MediaStream | None = None
        loop = asyncio.get_running_loop()
        self._ended: asyncio.Future[str] = loop.create_future()
        self._standing: asyncio.Future[bool] = loop.create_future()
        self._law: Law = "PCMU"
        self._starting: set[asyncio.Task[None]] = set()

    @property
    def sip_call_id(self) -> str:
        """Call-ID of the INVITE."""
        return self.machine.sip_call_id

    @property
    def headers(self) -> Mapping[str, str]:
        """Headers of the INVITE, names in lower case; the first value of each."""
        return self.machine.headers

    @property
    def caller(self) -> str:
        """User part of the From URI, or its host when there is none."""
        uri = self.machine.invite.from_.uri
        return uri.user or uri.host

    @property
    def called(self) -> str:
        """User part of the Request-URI, or its host when there is none."""
        uri = self.machine.invite.uri
        return uri.user or uri.host

    @property
    def host(self) -> str:
        """Local address that the caller reaches, for the media."""
        return self.local[0]

    @property
    def stream(self) -> media.MediaStream:
        """The call's media, live.

        Raises:
            MediaError: the call was not accepted yet.
        """
        if self._stream is None:
            raise MediaError("the call was not accepted yet, so it has no media")
        return self._stream

    @property
    def codec(self) -> str:
        """`PCMU` or `PCMA`."""
        return self._law

    def run_on(self, driver: SipDriver, *, now: float) -> None:
        """Let `driver` run the machine from now on."""
        self.on_message(self.machine.invite, self.source, sent=False, now=now)
        self._leg = driver.add(self.machine, self)
        self._leg.act(lambda now: None)

    def hand_over(self, observer: CallObserver[signalling.CallEvent]) -> Leg[signalling.CallEvent]:
        """Let somebody else lead the call, and hear of what was sent, received and named already.

        Raises:
            LocalProtocolError: the call is not run yet.
        """
        if self._leg is None:
            raise LocalProtocolError("the call is not run yet")
        self._observer = observer
        self._tell_earlier(observer)
        return self._leg

    def watch(self, witness: CallObserver[signalling.CallEvent]) -> None:
        """Let somebody see all that happens and what was before, as `hand_over` does, while an agent leads."""
        self._witness = witness
        self._tell_earlier(witness)

    def _tell_earlier(self, observer: CallObserver[signalling.CallEvent]) -> None:
        earlier, self._earlier = self._earlier, []
        for message, peer, sent, now in earlier:
            observer.on_message(message, peer, sent=sent, now=now)
        if self._named is not None:
            named, now = self._named
            self._named = None
            observer.on_event(named, now=now)

    def ring(self) -> None:
        """Send 180 Ringing."""
        self._act(lambda now: self.machine.ring(now=now))

    def reject(self, status: int, reason: str | None = None) -> None:
        """Refuse the call; `reason` is the phrase, the standard's when not given."""
        self._act(lambda now: self.machine.reject(status, now=now, reason=reason))

    async def accept(self, offered: CallMedia) -> bool:
        """Answer; True when media runs, False when the call ended before that."""
        self._stream = offered.stream
        address, port = offered.address, offered.port
        codecs, srtp = offered.codecs, offered.srtp
        self._act(
            lambda now: self.machine.accept(now=now, address=address, port=port, codecs=codecs, srtp=srtp)
        )
        return await self._standing

    def hang_up(self) -> None:
        """Send BYE; `ended` completes at once."""
        if not self._ended.done():
            self._act(lambda now: self._standing_machine.hang_up(now=now))

    @property
    def replaceable(self) -> bool:
        """Whether another call can take the place of this one: a hosted agent serves it."""
        return self._observer is None and self._standing.done() and not self._ended.done()

    def take_the_place_of(self, former: AnsweredLine, offered: CallMedia) -> None:
        """Answer with the media of another call: its agent goes on over this one, and it gets BYE (RFC 3891 §3)."""
        self._in_place_of = former
        address, port = offered.address, offered.port
        codecs, srtp = offered.codecs, offered.srtp
        self._act(
            lambda now: self.machine.accept(now=now, address=address, port=port, codecs=codecs, srtp=srtp)
        )

    def go_on_over(
        self,
        leg: Leg[signalling.CallEvent],
        machine: InboundCall,
        answered: signalling.Answered,
        *,
        now: float,
    ) -> None:
        """Another call was answered in place of this one."""
        if self._ended.done():
            leg.act(lambda now: machine.hang_up(now=now))
            return
        former, former_machine = self._leg, self._standing_machine
        self._leg, self._standing_machine = leg, machine
        leg.observer = self
        if former is not None:
            former.observer = _Unheard()
            former.act(lambda now: former_machine.hang_up(now=now))
        self.on_event(answered, now=now)

    async def ended(self) -> str:
        """Wait until the call is over; gives `caller`, `agent` or `network`."""
        return await asyncio.shield(self._ended)

    def on_message(self, message: Message, peer: Hop, *, sent: bool, now: float) -> None:
        """Tell who leads or watches the call; keep the first messages for whom it is handed over to."""
        told = self._observer or self._witness
        if told is not None:
            told.on_message(message, peer, sent=sent, now=now)
        elif self._stream is None and len(self._earlier) < EARLIER_MESSAGES:
            self._earlier.append((message, peer, sent, now))

    def on_event(self, event: signalling.CallEvent, *, now: float) -> None:
        """Let an event of the leg take effect."""
        if self._observer is not None:
            self._observer.on_event(event, now=now)
            self._note_end(event)
            return
        if self._witness is not None:
            self._witness.on_event(event, now=now)
        if self._in_place_of is not None:
            if isinstance(event, signalling.Answered) and self._leg is not None:
                self._in_place_of.go_on_over(self._leg, self.machine, event, now=now)
            return
        match event:
            case signalling.Incoming():
                self._on_incoming(self)
            case signalling.PartiesNamed() if self._witness is None:
                # It comes with the INVITE, before anybody has taken the call.
                self._named = event, now
            case signalling.Answered(negotiated=negotiated) | signalling.Renegotiated(negotiated=negotiated):
                task = asyncio.get_running_loop().create_task(self._start_media(negotiated))
                self._starting.add(task)
                task.add_done_callback(self._starting.discard)
            case signalling.TransferRequested():
                # An agent that is hosted here is on this line and no other.
                self._act(lambda now: self._standing_machine.report_transfer(603, now=now))
            case signalling.NegotiationFailed(text=text):
                logger.warning("call %r: offer and answer have nothing in common: %s", self.sip_call_id, text)
            case _:
                pass
        self._note_end(event)

    async def _start_media(self, negotiated: Negotiated) -> None:
        parameters = parameters_of(negotiated)
        self._law = parameters.law
        try:
            await self.stream.start(parameters)
        except MediaError:
            logger.exception("call %r: media could not be started", self.sip_call_id)
            self.hang_up()
            return
        if not self._standing.done():
            self._standing.set_result(True)

    def _act(self, step: Callable[[float], None]) -> None:
        if self._leg is not None:
            self._leg.act(step)

    def _note_end(self, event: signalling.CallEvent) -> None:
        match event:
            case signalling.Ended(by=by):
                self._end(by)
            case signalling.Cancelled():
                self._end("caller")
            case signalling.Rejected() | signalling.NegotiationFailed():
                self._end("agent")
            case _:
                pass

    def _end(self, by: str) -> None:
        if not self._ended.done():
            self._ended.set_result(by)
        if not self._standing.done():
            self._standing.set_result(False)


class _Unheard:
    """Observes a call that another one has taken the place of: the agent hears no more of it."""

    def on_message(self, message: Message, peer: Hop, *, sent: bool, now: float) -> None:
        pass

    def on_event(self, event: signalling.CallEvent, *, now: float) -> None:
        pass


Serve = Callable[[AnsweredLine], Awaitable[None]]
"""Serves one answered call; returning hangs up."""
