"""The media side of a call: what the caller says and the agent is heard to say, in trace and turn machine."""

from __future__ import annotations

import asyncio

from tuner_sipbridge.audio import g711
from tuner_sipbridge.caller import events as turns
from tuner_sipbridge.caller.utterance import Utterance
from tuner_sipbridge.errors import MediaError
from tuner_sipbridge.media import engine as media
from tuner_sipbridge.net import clock
from tuner_sipbridge.trace import Trace


class CallSpeech:
    """What is said and heard in one call. Who makes the call starts its stream, and ends it when that fails."""

    def __init__(self, spoken: media.SpokenStream, trace: Trace) -> None:
        self.trace = trace
        self.inputs: asyncio.Queue[turns.CallerInput] = asyncio.Queue()
        """What the turn machine of a scenario wants to know, in order."""
        self.law: g711.Law = "PCMU"
        self._spoken = spoken
        self._undecipherable = ""
        self._utterances: dict[str, tuple[turns.Say, Utterance]] = {}
        self._speech_started_at: dict[str, float] = {}

    def say(self, order: turns.Say, utterance: Utterance) -> None:
        """Queue a step's utterance; its start and end are noted when its packets leave."""
        mark = f"say:{order.step}"
        self._utterances[mark] = (order, utterance)
        self._spoken.play(g711.encode(utterance.pcm, self.law), mark=mark)
        self._spoken.finish(mark)

    def send_digits(self, order: turns.SendDigits) -> None:
        """Queue a step's digits."""
        self.trace.note("caller.digits", at=clock.now(), step=order.step, digits=order.digits)
        self._spoken.send_digits(order.digits, mark=f"digits:{order.step}")

    def stop_speaking(self) -> None:
        """Drop what is queued."""
        self._spoken.clear()

    def hang_up(self) -> None:
        """End the call; nothing when it is over."""
        raise NotImplementedError

    def _fail(self, error: MediaError) -> None:
        raise NotImplementedError

    async def _watch_media(self) -> None:
        async for event in self._spoken.events():
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


def _step_of(mark: str) -> int:
    return int(mark.partition(":")[2])
