"""One call that was dialled: its signalling leg, its media stream, and the trace they write."""

from __future__ import annotations

import asyncio
import dataclasses
import logging
from collections.abc import Callable, Coroutine
from typing import Any, Protocol, TypeAlias

from tuner_sipbridge.call import events as signalling
from tuner_sipbridge.call.inbound import InboundCall
from tuner_sipbridge.call.outbound import OutboundCall
from tuner_sipbridge.caller import events as turns
from tuner_sipbridge.dialer.dialled_leg import DialledLeg
from tuner_sipbridge.dialer.message_notes import FormerLeg, note_message
from tuner_sipbridge.dialer.outcome import Outcome, error_of, located, outcome_of
from tuner_sipbridge.dialer.signalling_notes import is_closing, note
from tuner_sipbridge.errors import CallError, LocalProtocolError, MediaError
from tuner_sipbridge.media import engine as media
from tuner_sipbridge.net import clock
from tuner_sipbridge.net.driver import Leg
from tuner_sipbridge.net.negotiated_media import parameters_of
from tuner_sipbridge.providers import Provider
from tuner_sipbridge.sdp.negotiation import Negotiated
from tuner_sipbridge.sip.message import REASONS, Message, Request
from tuner_sipbridge.sip.replaces import Replaces
from tuner_sipbridge.sip.routing import Hop
from tuner_sipbridge.sip.uri import Uri, without_password
from tuner_sipbridge.trace import Trace

logger = logging.getLogger("tuner_sipbridge.dialer")

GOODBYE_S = 2.0
"""How long closing a call waits for the far end's answer to CANCEL or BYE; the dialer waits on, at its own end."""

LEAVING_S = 0.5
"""How long after its last report the agent that transferred us has for its BYE; then ours is sent."""


class NewLeg(Protocol):
    """A call to the party that the agent transfers us to, while it is being made."""

    def give_up(self) -> None:
        """Send CANCEL."""
        ...


class PlacedCall(DialledLeg):
    """A call from the INVITE on. Made by `Dialer`; also the observer of its own signalling leg."""

    def __init__(
        self,
        *,
        target: str,
        correlation_id: str,
        stream: media.MediaStream,
        trace: Trace | None = None,
        provider: Provider | None = None,
        follow: Follow | None = None,
    ) -> None:
        super().__init__(stream, Trace() if trace is None else trace)
        self.target, self.correlation_id = target, correlation_id
        self._provider, self._follow = provider, follow
        self._moving = False
        self._new_leg: NewLeg | None = None
        self._left: signalling.Ended | None = None
        self._leaving: list[tuple[asyncio.TimerHandle, Callable[[], None]]] = []
        self._transferred: asyncio.Future[int] | None = None
        self.media: media.MediaResult | None = None
        """Recording and statistics, once the call is closed."""
        self._closing: signalling.CallEvent | None = None
        self._media_error: MediaError | None = None
        self._answered = asyncio.Event()
        self._goodbye = asyncio.Event()
        self._cancelling = False

    async def answered(self) -> None:
        """Wait until the far end picks up and media runs.

        Raises:
            CallError: it does not; the subclass says why.
        """
        await self._answered.wait()
        if self._media_error is not None:
            raise CallError(str(self._media_error), sip_call_id=self.sip_call_id) from self._media_error
        if self._closing is not None and self.trace.first("call.answered") is None:
            raise error_of(self._closing, sip_call_id=self.sip_call_id, provider=self._provider)

    async def ended(self) -> None:
        """Wait until the call is over, whoever ended it."""
        await self._over.wait()

    def hang_up(self) -> None:
        """Send BYE, or CANCEL while it rings; nothing when the call is over."""
        while self._leaving:
            timer, leave = self._leaving.pop()
            timer.cancel()
            leave()
        if self._new_leg is not None:
            self._new_leg.give_up()
        elif self._moving:
            self._moving = False
            self._end_as_left(clock.now())
        elif self._between_ways:
            self._between_ways = False
            gone = signalling.Cancelled("hung up before the answer")
            note(self.trace, gone, at=clock.now())
            self._close_with(gone)
        self._act(lambda machine, now: machine.hang_up(now=now))

    def hold(self) -> None:
        """Put the agent on hold."""
        self._act(lambda machine, now: machine.hold(now=now))

    def resume(self) -> None:
        """End the hold."""
        self._act(lambda machine, now: machine.resume(now=now))

    def refresh(self) -> None:
        """Refresh the session."""
        self._act(lambda machine, now: machine.refresh(now=now))

    def _act(self, step: Callable[[OutboundCall | InboundCall, float], None]) -> None:
        leg, machine = self._leg, self._machine
        if leg is not None and machine is not None and not self._over.is_set():
            leg.act(lambda now: step(machine, now))

    async def parted(self) -> None:
        """Wait until the far end has confirmed BYE or CANCEL, or nobody is left who would."""
        await self._over.wait()
        if self._cancelling or self.trace.first("call.answered") is not None:
            await self._goodbye.wait()

    async def close(self) -> None:
        """Hang up if need be, wait shortly for the far end to agree, and take the recording."""
        if self.media is not None:
            return
        self.hang_up()
        try:
            async with asyncio.timeout(GOODBYE_S):
                await self.parted()
        except TimeoutError:
            logger.info("call %r: the far end did not confirm the end of the call", self.sip_call_id)
        self.media = await self._stream.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self.trace.note("media.report", at=clock.now(), **dataclasses.asdict(self.media.statistics))

    def outcome(self, *, completed: bool) -> Outcome:
        """Class and plain words of how the call went; `completed`: every step of the scenario was played."""
        if self._undecipherable:
            return located(Outcome("upstream_error", self._undecipherable), self.trace)
        if self._media_error is not None:
            return located(Outcome("indeterminate", str(self._media_error)), self.trace)
        return outcome_of(self._closing, self.trace, completed=completed, provider=self._provider)

    def on_message(self, message: Message, peer: Hop, *, sent: bool, now: float) -> None:
        """Note a message of the leg; what is secret in it is removed."""
        note_message(self.trace, message, peer, sent=sent, now=now)
        if not sent and self._attempts is not None:
            self._attempts.note(message, now=now)
        if isinstance(message, Request):
            self._cancelling = self._cancelling or (sent and message.method == "CANCEL")
        elif self._cancelling and message.status >= 200 and message.cseq.method == "CANCEL":
            self._goodbye.set()

    def on_event(self, event: signalling.CallEvent, *, now: float) -> None:
        """Note what happened to the leg and let it take effect."""
        if is_closing(event):
            if self._moving and isinstance(event, signalling.Ended) and event.by == "agent":
                # Who transfers may hang up before the new party answers (RFC 5589 §6.1).
                self._left = event
                return
            if self._attempts is not None:
                if self._attempts.goes_on(event, now=now):
                    return
                event = self._attempts.told(event)
        note(self.trace, event, at=now)
        match event:
            case (
                signalling.EarlyMedia(negotiated=negotiated) | signalling.Renegotiated(negotiated=negotiated)
            ):
                self._spawn(self._start_media(negotiated))
            case signalling.Answered(negotiated=negotiated):
                self._spawn(self._start_media(negotiated, answered=True))
            case signalling.TransferRequested():
                self._take_transfer(event)
            case signalling.TransferProgress(status=status, final=True):
                self._conclude_transfer(status)
            case signalling.Parted():
                self._goodbye.set()
            case _ if is_closing(event):
                self._close_with(event)
            case _:
                pass

    async def transfer(self, target: Uri, replaces: Replaces | None = None) -> int:
        """Ask the agent to call somebody else; see `AnsweredCall.transfer`."""
        if self._over.is_set() or not self._answered.is_set():
            raise CallError("only a call that stands can be transferred", sip_call_id=self.sip_call_id)
        if self._transferred is not None:
            raise LocalProtocolError("a transfer is under way in this call: wait until it is over")
        self._transferred = concluded = asyncio.get_running_loop().create_future()
        try:
            self._act(lambda machine, now: machine.transfer(target, now=now, replaces=replaces))
            return await concluded
        finally:
            self._transferred = None

    @property
    def as_replaced(self) -> tuple[Uri, Replaces] | None:
        """The agent's Contact, and this call as the agent knows it; None before the answer."""
        machine = self._machine
        if (
            self._over.is_set()
            or machine is None
            or machine.peer_uri is None
            or machine.replaces_for_peer is None
        ):
            return None
        return machine.peer_uri, machine.replaces_for_peer

    def _conclude_transfer(self, status: int) -> None:
        if self._transferred is not None and not self._transferred.done():
            self._transferred.set_result(status)

    def _take_transfer(self, asked: signalling.TransferRequested) -> None:
        if self._follow is None or self._moving:
            self.report_transfer(603, now=clock.now())
        else:
            self._moving = True
            self._spawn(self._follow(self, asked))

    def move_by(self, new_leg: NewLeg) -> bool:
        """The INVITE to the new party is about to be sent; False when the caller has hung up meanwhile."""
        if self._moving and not self._over.is_set():
            self._new_leg = new_leg
            return True
        return False

    def report_transfer(self, status: int, *, now: float, text: str = "") -> None:
        """Tell the agent, and the trace, what becomes of the transfer it asked for."""
        text = text or REASONS.get(status, "")
        self.trace.note("call.transfer_progress", at=now, status=status, text=text, final=status >= 200)
        self._act(lambda machine, now: machine.report_transfer(status, now=now))

    def stay(self, status: int, why: str, *, now: float) -> None:
        """The call to the new party came to nothing: go on with the agent, unless it has left."""
        self._moving, self._new_leg = False, None
        self.report_transfer(status, now=now, text=why)
        self._end_as_left(now)

    def _end_as_left(self, now: float) -> None:
        left, self._left = self._left, None
        if left is not None:
            note(self.trace, left, at=now)
            self._close_with(left)

    def move_to(
        self,
        leg: Leg[signalling.CallEvent],
        machine: OutboundCall,
        answered: signalling.Answered,
        *,
        target: str,
        now: float,
    ) -> None:
        """The new party answered: media and scenario go on with it; the call with the agent is left."""
        if self._over.is_set():
            leg.act(lambda now: machine.hang_up(now=now))
            return
        self.report_transfer(200, now=now)
        self.trace.note(
            "call.transferred", at=now, target=without_password(target), sip_call_id=machine.sip_call_id
        )
        former, former_machine = self._leg, self._machine
        self._leg, self._machine, self._attempts = leg, machine, None
        self._moving, self._new_leg, left, self._left = False, None, self._left, None
        leg.observer = self
        if former is not None and former_machine is not None and left is None:

            def leave() -> None:
                former.act(lambda now: former_machine.hang_up(now=now))

            former.observer = FormerLeg(self.trace)
            timer = asyncio.get_running_loop().call_later(LEAVING_S, leave)
            self._leaving.append((timer, leave))
        self._spawn(self._start_media(answered.negotiated))

    def _close_with(self, event: signalling.CallEvent) -> None:
        self._closing = event
        self._conclude_transfer(0)
        if isinstance(event, signalling.Ended) and event.by != "caller":
            self._goodbye.set()
        self._over.set()
        self._answered.set()
        self.inputs.put_nowait(turns.RemoteHungUp())

    async def _start_media(self, negotiated: Negotiated, *, answered: bool = False) -> None:
        parameters = parameters_of(negotiated)
        try:
            await self._stream.start(parameters)
        except MediaError as error:
            self._fail(error)
            return
        if self.trace.first("media.started") is None:
            local, remote = (f"{host}:{port}" for host, port in (self._stream.local, negotiated.remote))
            mapped = "{}:{}".format(*self._stream.mapped) if self._stream.mapped else ""
            suite = negotiated.srtp.suite if negotiated.srtp else ""
            self.trace.note(
                "media.started",
                at=clock.now(),
                local=local,
                remote=remote,
                codec=parameters.codec,
                srtp=suite,
                mapped=mapped,
            )
        self.law = parameters.law
        if answered:
            self._answered.set()

    def _fail(self, error: MediaError) -> None:
        self._media_error = error
        self._answered.set()
        self.inputs.put_nowait(turns.RemoteHungUp())
        self.hang_up()


Follow: TypeAlias = Callable[[PlacedCall, signalling.TransferRequested], Coroutine[Any, Any, None]]
"""Makes the call that the agent asks for, and tells the call by `move_to` or `stay` what came of it."""
