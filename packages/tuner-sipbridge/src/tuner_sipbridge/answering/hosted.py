"""A call that an agent serves here: its trace, its recording, and how it went."""

from __future__ import annotations

from dataclasses import asdict, replace

import numpy as np

from tuner_sipbridge.answered_line import AnsweredLine, Serve
from tuner_sipbridge.answerer import Answerer
from tuner_sipbridge.call import events as signalling
from tuner_sipbridge.dialer.message_notes import note_message, note_nat
from tuner_sipbridge.dialer.outcome import Outcome, located, outcome_of
from tuner_sipbridge.dialer.run import CallRun
from tuner_sipbridge.dialer.signalling_notes import is_closing, note
from tuner_sipbridge.media.engine import MediaResult, MediaStatistics
from tuner_sipbridge.media.recording import Recording
from tuner_sipbridge.net import clock
from tuner_sipbridge.net.negotiated_media import parameters_of
from tuner_sipbridge.sip.message import Message
from tuner_sipbridge.sip.routing import Hop
from tuner_sipbridge.trace import Trace


class HostedCall:
    """Watches one call while its agent leads it. In trace and recording `agent` is the agent that is hosted here."""

    def __init__(self, line: AnsweredLine, *, scenario: str, agent: str) -> None:
        """Begin to watch.

        Args:
            line: a call that is not decided yet.
            scenario: name of the rule, for the report.
            agent: name of the agent.
        """
        self.trace = Trace()
        self._line, self._scenario = line, scenario
        self._closing: signalling.CallEvent | None = None
        self._fault = ""
        line.watch(self)
        first = self.trace.first("sip.received")
        self.trace.note(
            "call.received",
            at=first.at if first is not None else clock.now(),
            target=self._target,
            sip_call_id=line.sip_call_id,
            correlation_id=self._correlation_id,
            scenario=scenario,
            agent=agent,
            local=f"{line.local[0]}:{line.local[1]}",
        )
        note_nat(self.trace, line.machine, now=clock.now())

    async def serve(self, answerer: Answerer, agent: Serve) -> CallRun:
        """Let the agent serve the call, to its last word, and tell how it went."""

        async def seen(line: AnsweredLine) -> None:
            try:
                await agent(line)
            except Exception as error:
                self._fault = f"the agent failed: {type(error).__name__}"
                raise

        return self.run(await answerer.host(self._line, seen, record=True))

    def run(self, media: MediaResult | None) -> CallRun:
        """The run of a call that is over; `media`: None when it had none."""
        statistics = MediaStatistics() if media is None else media.statistics
        if self.trace.first("media.started") is not None:
            self.trace.note("media.report", at=clock.now(), **asdict(statistics))
        return CallRun(
            target=self._target,
            scenario=self._scenario,
            sip_call_id=self._line.sip_call_id,
            correlation_id=self._correlation_id,
            outcome=self._outcome(),
            trace=self.trace,
            recording=None if media is None or media.recording is None else _other_way_round(media.recording),
            statistics=statistics,
        )

    def on_message(self, message: Message, peer: Hop, *, sent: bool, now: float) -> None:
        """Note a message; what is secret in it is removed."""
        note_message(self.trace, message, peer, sent=sent, now=now)
        if sent and message.start_line.startswith("SIP/2.0 180") and self.trace.first("call.ringing") is None:
            self.trace.note("call.ringing", at=now, status=180)

    def on_event(self, event: signalling.CallEvent, *, now: float) -> None:
        """Note what happened."""
        note(self.trace, event, at=now)
        if isinstance(event, signalling.Answered) and self.trace.first("media.started") is None:
            stream, srtp = self._line.stream, event.negotiated.srtp
            local, remote = (f"{host}:{port}" for host, port in (stream.local, event.negotiated.remote))
            self.trace.note(
                "media.started",
                at=now,
                local=local,
                remote=remote,
                codec=parameters_of(event.negotiated).codec,
                srtp=srtp.suite if srtp else "",
                mapped="{}:{}".format(*stream.mapped) if stream.mapped else "",
            )
        if is_closing(event):
            self._closing = event

    @property
    def _target(self) -> str:
        return str(self._line.machine.invite.uri)

    @property
    def _correlation_id(self) -> str:
        return self._line.headers.get("x-correlation-id", "")

    def _outcome(self) -> Outcome:
        """Served to its end, or why not; a caller that did not wait says nothing about the agent."""
        match self._closing:
            case signalling.Ended(by="caller" | "agent" as by) if not self._fault:
                return Outcome("success", f"the agent served the call; the {by} hung up")
            case signalling.Ended(by="caller" | "agent"):
                return located(Outcome("agent_error", self._fault), self.trace)
            case signalling.Cancelled(why=why):
                because = f" ({why})" if why else ""
                text = f"the caller gave up before the agent picked up{because}"
                return located(Outcome("indeterminate", text), self.trace, method="CANCEL")
            case signalling.NegotiationFailed(text=text):
                unanswered = Outcome("client_error", f"the caller's offer cannot be answered: {text}")
                return located(unanswered, self.trace, method="INVITE")
            case signalling.Rejected(status=status, reason=reason):
                refused = Outcome("indeterminate", f"the call was refused here: {status} {reason}")
                return located(refused, self.trace, method="INVITE")
            case closing:
                return outcome_of(closing, self.trace, completed=False)


def _other_way_round(recording: Recording) -> Recording:
    """The recording with its sides by who they are: what left this port was the agent's."""
    arrivals_ns = np.zeros_like(recording.arrivals_ns)
    return replace(recording, caller=recording.agent, agent=recording.caller, arrivals_ns=arrivals_ns)
