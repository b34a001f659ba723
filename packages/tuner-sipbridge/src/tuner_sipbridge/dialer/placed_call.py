"""One call that was dialled: its signalling leg, its media stream, and the trace they write."""

from __future__ import annotations

import asyncio
import dataclasses
import logging
from collections.abc import Callable, Coroutine
from typing import Any

from tuner_sipbridge.audio import g711
from tuner_sipbridge.call import events as signalling
from tuner_sipbridge.call.inbound import InboundCall
from tuner_sipbridge.call.outbound import OutboundCall
from tuner_sipbridge.caller import events as turns
from tuner_sipbridge.caller.utterance import Utterance
from tuner_sipbridge.dialer.failover import Failover, why_elsewhere
from tuner_sipbridge.dialer.message_notes import note_message
from tuner_sipbridge.dialer.outcome import Outcome, error_of, outcome_of
from tuner_sipbridge.dialer.signalling_notes import is_closing, note
from tuner_sipbridge.errors import CallError, MediaError
from tuner_sipbridge.media import engine as media
from tuner_sipbridge.net import clock
from tuner_sipbridge.net.driver import Leg, SipDriver
from tuner_sipbridge.net.negotiated_media import parameters_of
from tuner_sipbridge.providers import Provider
from tuner_sipbridge.sdp.negotiation import Negotiated
from tuner_sipbridge.sip.message import Message, Response
from tuner_sipbridge.sip.routing import Hop
from tuner_sipbridge.trace import Trace

logger = logging.getLogger("tuner_sipbridge.dialer")

GOODBYE_S = 2.0
"""How long closing a call waits for the far end's answer to CANCEL or BYE; the machine goes on without us."""


class PlacedCall:
    """A call from the INVITE on. Made by `Dialer`; also the observer of its own signalling leg."""

    def __init__(
        self,
        *,
        target: str,
        correlation_id: str,
        stream: media.MediaStream,
        trace: Trace | None = None,
        provider: Provider | None = None,
    ) -> None:
        self.target, self.correlation_id = target, correlation_id
        self.sip_call_id = ""
        self.trace = Trace() if trace is None else trace
        self._provider = provider
        self.inputs: asyncio.Queue[turns.CallerInput] = asyncio.Queue()
        """What the turn machine of a scenario wants to know, in order."""
        self.media: media.MediaResult | None = None
        """Recording and statistics, once the call is closed."""
        self.codec: media.Codec = "PCMU"
        self._stream = stream
        self._leg: Leg[signalling.CallEvent] | None = None
        self._driver: SipDriver | None = None
        self._failover: Failover | None = None
        self._patience_s = 0.0
        self._machine: OutboundCall | InboundCall | None = None
        self._closing: signalling.CallEvent | None = None
        self._media_error: MediaError | None = None
        self._undecipherable = ""
        self._answered = asyncio.Event()
        self._over = asyncio.Event()
        self._goodbye = asyncio.Event()
        self._utterances: dict[str, tuple[turns.Say, Utterance]] = {}
        self._speech_started_at: dict[str, float] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def start(
        self, failover: Failover, driver: SipDriver, *, patience_s: float, scenario: str, agent: str
    ) -> None:
        """Send the INVITE.

        Args:
            failover: the ways of the call.
            driver: runs the call's machine.
            patience_s: seconds without any response after which the next way is tried, when there is one.
            scenario: for the trace.
            agent: for the trace.

        Raises:
            LocalProtocolError: the call cannot be made as asked; nothing was sent.
        """
        machine = failover.first()
        self._failover, self._driver, self._patience_s = failover, driver, patience_s
        self.sip_call_id = machine.sip_call_id
        now = clock.now()
        self.trace.note(
            "call.dialled",
            at=now,
            target=self.target,
            sip_call_id=self.sip_call_id,
            correlation_id=self.correlation_id,
            scenario=scenario,
            agent=agent,
        )
        self._spawn(self._watch_media())
        failover.begin(now=now)
        self._run(machine)

    def _run(self, machine: OutboundCall) -> None:
        """Let the driver run the machine of the way in use."""
        assert self._driver is not None
        assert self._failover is not None
        self._machine = machine
        self._leg = leg = self._driver.add(machine, self)
        if self._failover.has_another:
            asyncio.get_running_loop().call_later(self._patience_s, self._lose_patience, leg, machine)
        leg.act(lambda now: machine.start(now=now))

    def _lose_patience(self, leg: Leg[signalling.CallEvent], machine: OutboundCall) -> None:
        failover = self._failover
        if failover is None or leg is not self._leg or failover.heard or self._over.is_set():
            return
        why = f"no response came in {self._patience_s:g} s"
        leg.act(lambda now: machine.unreachable(failover.way.hop, why, now=now))

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
        self._act(lambda machine, now: machine.hang_up(now=now))

    def hold(self) -> None:
        """Put the agent on hold."""
        self._act(lambda machine, now: machine.hold(now=now))

    def resume(self) -> None:
        """End the hold."""
        self._act(lambda machine, now: machine.resume(now=now))

    def _act(self, step: Callable[[OutboundCall | InboundCall, float], None]) -> None:
        leg, machine = self._leg, self._machine
        if leg is not None and machine is not None and not self._over.is_set():
            leg.act(lambda now: step(machine, now))

    def say(self, order: turns.Say, utterance: Utterance) -> None:
        """Queue a step's utterance; its start and end are noted when its packets leave."""
        mark = f"say:{order.step}"
        self._utterances[mark] = (order, utterance)
        self._stream.play(g711.encode(utterance.pcm, self.codec), mark=mark)
        self._stream.finish(mark)

    def send_digits(self, order: turns.SendDigits) -> None:
        """Queue a step's digits."""
        self.trace.note("caller.digits", at=clock.now(), step=order.step, digits=order.digits)
        self._stream.send_digits(order.digits, mark=f"digits:{order.step}")

    def stop_speaking(self) -> None:
        """Drop what is queued."""
        self._stream.clear()

    async def close(self) -> None:
        """Hang up if need be, wait shortly for the far end to agree, and take the recording."""
        if self.media is not None:
            return
        self.hang_up()
        try:
            async with asyncio.timeout(GOODBYE_S):
                await self._over.wait()
                if self.trace.first("call.answered") is not None:
                    await self._goodbye.wait()
        except TimeoutError:
            logger.info("call %r: the far end did not confirm the end of the call", self.sip_call_id)
        self.media = await self._stream.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self.trace.note("media.report", at=clock.now(), **dataclasses.asdict(self.media.statistics))

    def outcome(self, *, completed: bool) -> Outcome:
        """Class and plain words of how the call went; `completed`: every step of the scenario was played."""
        gave_up = self.trace.last("caller.gave_up")
        why = str(gave_up.fields["why"]) if gave_up is not None else ""
        if self._undecipherable:
            return Outcome("upstream_error", self._undecipherable)
        if self._media_error is not None:
            return Outcome("indeterminate", str(self._media_error))
        return outcome_of(self._closing, completed=completed, gave_up=why, provider=self._provider)

    def on_message(self, message: Message, peer: Hop, *, sent: bool, now: float) -> None:
        """Note a message of the leg; what is secret in it is removed."""
        note_message(self.trace, message, peer, sent=sent, now=now)
        if not sent and self._failover is not None:
            self._failover.note(message, now=now)
        if isinstance(message, Response) and message.cseq.method == "BYE" and message.status >= 200:
            self._goodbye.set()

    def on_event(self, event: signalling.CallEvent, *, now: float) -> None:
        """Note what happened to the leg and let it take effect."""
        if is_closing(event):
            if self._goes_elsewhere(event, now):
                return
            event = event if self._failover is None else self._failover.told(event)
        note(self.trace, event, at=now)
        match event:
            case (
                signalling.EarlyMedia(negotiated=negotiated) | signalling.Renegotiated(negotiated=negotiated)
            ):
                self._spawn(self._start_media(negotiated))
            case signalling.Answered(negotiated=negotiated):
                self._spawn(self._start_media(negotiated, answered=True))
            case signalling.TransferRequested():
                # A caller that is transferred stays where it is: the simulation is of this agent.
                self._act(lambda machine, now: machine.report_transfer(603, now=now))
            case _ if is_closing(event):
                self._close_with(event)
            case _:
                pass

    def _goes_elsewhere(self, event: signalling.CallEvent, now: float) -> bool:
        """Try the next way when `event` says that the one in use failed."""
        failover, former = self._failover, self._leg
        if failover is None or former is None:
            return False
        machine = failover.next(event, now=now)
        if failover.failed and why_elsewhere(event) is not None:
            way, why = failover.failed[-1]
            onwards = str(failover.way) if machine is not None else ""
            self.trace.note("call.target_failed", at=now, target=str(way), why=why, next=onwards)
        if machine is None:
            return False
        # After the event it is giving right now, the former leg has nothing more to say.
        asyncio.get_running_loop().call_soon(former.abandon)
        self._run(machine)
        return True

    def _close_with(self, event: signalling.CallEvent) -> None:
        self._closing = event
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
            suite = negotiated.srtp.suite if negotiated.srtp else ""
            self.trace.note(
                "media.started",
                at=clock.now(),
                local=local,
                remote=remote,
                codec=parameters.codec,
                srtp=suite,
            )
        self.codec = parameters.codec
        if answered:
            self._answered.set()

    def _fail(self, error: MediaError) -> None:
        self._media_error = error
        self._answered.set()
        self.inputs.put_nowait(turns.RemoteHungUp())
        self.hang_up()

    async def _watch_media(self) -> None:
        async for event in self._stream.events():
            self._on_media(event)

    def _on_media(self, event: media.MediaEvent) -> None:
        match event:
            case media.FirstPacket(at=at, source=source):
                self.trace.note("media.first_packet", at=at, source=f"{source[0]}:{source[1]}")
            case media.SpeechStarted(at=at):
                self.trace.note("agent.speech_started", at=at)
                self.inputs.put_nowait(turns.AgentSpeechStarted(at))
            case media.SpeechStopped(at=at):
                self.trace.note("agent.speech_stopped", at=at)
                self.inputs.put_nowait(turns.AgentSpeechStopped(at))
            case media.PlayoutStarted():
                self._on_playout_started(event)
            case media.PlayoutEnded():
                self._on_playout_ended(event)
            case media.DigitReceived(at=at, digit=digit):
                self.trace.note("agent.digit", at=at, digit=digit)
            case media.DigitsSent(mark=mark):
                self.inputs.put_nowait(turns.DigitsSent(_step_of(mark)))
            case media.SrtpMismatch(at=at, packets=packets):
                self.trace.note("media.srtp_mismatch", at=at, packets=packets)
                self._undecipherable = (
                    f"SRTP was agreed on, and none of the first {packets} packets could be authenticated: the far end"
                    " protects them by another key than its SDP says, or not at all"
                )
                self._fail(MediaError(self._undecipherable))
            case media.StreamFailed(reason=reason):
                self._fail(MediaError(reason))

    def _on_playout_started(self, event: media.PlayoutStarted) -> None:
        order, _ = self._utterances[event.mark]
        self._speech_started_at[event.mark] = event.at
        self.trace.note(
            "caller.speech_started", at=event.at, step=order.step, text=order.text, barge_in=order.barge_in
        )
        self.inputs.put_nowait(turns.SpeechStarted(order.step))

    def _on_playout_ended(self, event: media.PlayoutEnded) -> None:
        order, utterance = self._utterances[event.mark]
        started_at = self._speech_started_at.get(event.mark, event.at)
        spoken_s = min(event.samples, utterance.speech_ended_at_samples) / media.SAMPLE_RATE
        self.trace.note(
            "caller.speech_ended",
            at=event.at,
            step=order.step,
            speech_ended_at=round(started_at + spoken_s, 6),
            interrupted=event.interrupted,
        )
        self.inputs.put_nowait(turns.SpeechEnded(order.step, interrupted=event.interrupted))

    def _spawn(self, coroutine: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(coroutine)
        self._tasks.add(task)


def _step_of(mark: str) -> int:
    return int(mark.partition(":")[2])
