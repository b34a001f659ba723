"""One call that the agent placed and that a simulated human takes."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from dataclasses import replace

from tuner_sipbridge.answered_line import AnsweredLine, CallMedia
from tuner_sipbridge.audio import g711
from tuner_sipbridge.call import events as signalling
from tuner_sipbridge.caller.tone import ring_back
from tuner_sipbridge.dialer.message_notes import note_nat
from tuner_sipbridge.dialer.outcome import Outcome, located
from tuner_sipbridge.dialer.placed_call import Follow, PlacedCall
from tuner_sipbridge.media import engine as media
from tuner_sipbridge.net import clock
from tuner_sipbridge.sdp.negotiation import Negotiated
from tuner_sipbridge.sip.message import Message, Request
from tuner_sipbridge.sip.routing import Hop
from tuner_sipbridge.sip.uri import without_password

RING_BACK = "ring-back"


class PickedUpCall(PlacedCall):
    """A call from the agent's INVITE on.

    In its trace, as in that of a call which we placed, `caller` is the simulated human and `agent` the agent, though it
    was the agent who called.
    """

    def __init__(self, line: AnsweredLine, offered: CallMedia, *, follow: Follow | None = None) -> None:
        """Take a call.

        Args:
            line: a call that is not decided yet.
            offered: what it is answered with; its stream was opened to be recorded.
            follow: makes the call that the agent transfers the human to; None declines transfers.
        """
        machine = line.machine
        correlation_id = machine.headers.get("x-correlation-id", "")
        super().__init__(
            target=without_password(str(machine.invite.uri)),
            correlation_id=correlation_id,
            stream=offered.stream,
            follow=follow,
        )
        self._line, self._inbound, self._offered = line, machine, offered
        self._ring_back_s = 0.0
        self._acknowledged = asyncio.Event()

    def take(self, *, scenario: str, agent: str) -> None:
        """Lead the call from here on; nothing is sent yet."""
        self._machine, self.sip_call_id = self._inbound, self._inbound.sip_call_id
        self._leg = self._line.hand_over(self)
        first = self.trace.first("sip.received")
        self.trace.note(
            "call.received",
            at=first.at if first is not None else clock.now(),
            target=self.target,
            sip_call_id=self.sip_call_id,
            correlation_id=self.correlation_id,
            scenario=scenario,
            agent=agent,
            local=f"{self._line.local[0]}:{self._line.local[1]}",
        )
        note_nat(self.trace, self._inbound, now=clock.now())
        self._spawn(self._watch_media())

    def ring(self) -> None:
        """Send 180 Ringing."""
        self._note_ringing(180)
        self._step(lambda now: self._inbound.ring(now=now))

    def begin_media(self, *, ring_back_s: float = 0.0) -> None:
        """Send 183 with our SDP: media runs before the call is answered, with a ring-back tone for so many seconds."""
        self._ring_back_s = ring_back_s
        self._note_ringing(183)
        offered = self._offered
        self._step(
            lambda now: self._inbound.begin_media(
                now=now, address=offered.address, port=offered.port, codecs=offered.codecs, srtp=offered.srtp
            )
        )

    async def pick_up(self) -> None:
        """Send 200, and wait until media runs.

        Raises:
            CallError: the agent is gone, or its offer has nothing for us.
        """
        self._stream.clear()
        offered = self._offered
        self._step(
            lambda now: self._inbound.accept(
                now=now, address=offered.address, port=offered.port, codecs=offered.codecs, srtp=offered.srtp
            )
        )
        await self.answered()

    def refuse(self, status: int, reason: str | None = None, headers: Sequence[tuple[str, str]] = ()) -> None:
        """Send a final response of 300 or above; nothing when the call is over."""
        self._step(lambda now: self._inbound.reject(status, now=now, reason=reason, headers=headers))

    async def over_within(self, seconds: float | None) -> bool:
        """Wait so long (None: for ever) for the end of the call; True when it came."""
        try:
            async with asyncio.timeout(seconds):
                await self.ended()
        except TimeoutError:
            return False
        return True

    async def acknowledged_within(self, seconds: float) -> None:
        """Wait so long for the ACK to a refusal."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._acknowledged.wait()

    def on_message(self, message: Message, peer: Hop, *, sent: bool, now: float) -> None:
        """Note a message of the leg; what is secret in it is removed."""
        super().on_message(message, peer, sent=sent, now=now)
        if isinstance(message, Request) and message.method == "ACK":
            self._acknowledged.set()

    def on_event(self, event: signalling.CallEvent, *, now: float) -> None:
        """Note what happened; in the trace the parties have changed sides, but on a leg that we placed."""
        ours = self._machine is not self._inbound
        if isinstance(event, signalling.Ended) and event.by != "network" and not ours:
            event = replace(event, by="agent" if event.by == "caller" else "caller")
        super().on_event(event, now=now)

    def outcome(self, *, completed: bool) -> Outcome:
        """As of a call that we placed; what the agent did before the answer is put down to it."""
        match self._closing:
            case signalling.Cancelled(why=why):
                because = f" ({why})" if why else ""
                gave_up = Outcome("agent_error", f"the agent gave up before the call was picked up{because}")
                return located(gave_up, self.trace, method="CANCEL")
            case signalling.NegotiationFailed(text=text):
                unanswered = Outcome("agent_error", f"the agent's offer cannot be answered: {text}")
                return located(unanswered, self.trace, method="INVITE")
            case _:
                return super().outcome(completed=completed)

    @property
    def cancelled(self) -> bool:
        """Whether the agent gave up before the answer."""
        return isinstance(self._closing, signalling.Cancelled)

    async def _start_media(self, negotiated: Negotiated, *, answered: bool = False) -> None:
        await super()._start_media(negotiated, answered=answered)
        if self._ring_back_s and not answered:
            self._stream.play(g711.encode(ring_back(self._ring_back_s), self.law), mark=RING_BACK)
            self._stream.finish(RING_BACK)
            self._ring_back_s = 0.0

    def _on_media(self, event: media.MediaEvent) -> None:
        if not isinstance(event, media.PlayoutStarted | media.PlayoutEnded) or event.mark != RING_BACK:
            super()._on_media(event)

    def _note_ringing(self, status: int) -> None:
        if not self._over.is_set():
            self.trace.note("call.ringing", at=clock.now(), status=status)

    def _step(self, step: Callable[[float], None]) -> None:
        if self._leg is not None and not self._over.is_set():
            self._leg.act(step)
