"""The observer: watches a pipeline's frames and hands over one record when the pipeline is over."""

from __future__ import annotations

import asyncio
import inspect
import logging
import time
import uuid
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, TypeAlias, TypeVar, Unpack

from pipecat.observers.base_observer import BaseObserver, FramePushed
from pipecat.processors.aggregators.dtmf_aggregator import DTMFAggregator
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor
from pipecat.services.llm_service import LLMService
from pipecat.services.stt_service import STTService
from pipecat.services.tts_service import TTSService
from pipecat.transports.base_output import BaseOutputTransport

from tuner_core.config import TunerConfig
from tuner_core.costs import Cents, cost_of
from tuner_core.delivery import CallFacts, CallSink, CheckpointSink, DeliveryOutcome, default_sink
from tuner_core.events import CallEvent, UsageReported
from tuner_core.guard import Guard
from tuner_core.identity.model import SipIdentity
from tuner_core.recordings import UrlSource, known_url
from tuner_core.timeline import CallTimeline
from tuner_pipecat._clock import FrameClock
from tuner_pipecat._frames import FrameTranslator, Sender
from tuner_pipecat._identity import identity_of, merged
from tuner_pipecat._tracing import PipelineTrace

logger = logging.getLogger("tuner_pipecat")

Value = TypeVar("Value")
Told: TypeAlias = Value | Callable[[], "Value | Awaitable[Value | None] | None"] | None
"""A value, or a function that tells it once the call is over; the function may be a coroutine function."""

DEADLINE_S = 8.0
"""Longest wait for the delivery while the pipeline shuts down; what is not sent by then stays on disk."""

_TOLD_S = 2.0
"""Longest wait for a value that the application's coroutine tells."""

_SENDERS: tuple[tuple[type[FrameProcessor], Sender], ...] = (
    (BaseOutputTransport, "output"),
    (TTSService, "tts"),
    (LLMService, "llm"),
    (STTService, "stt"),
    (DTMFAggregator, "keypad"),
)


class TunerObserver(BaseObserver):
    """Records the call of one pipeline and posts it to Tuner when the pipeline is over.

    Add it to the worker; nothing else is needed:

    ```python
    observer = TunerObserver(sip_call_id=...)
    worker = PipelineWorker(pipeline, params=PipelineParams(enable_metrics=True, enable_usage_metrics=True),
                            observers=[observer])
    ```

    While the call runs, frames are only noted, and each finished turn is handed to the sink as a checkpoint, which
    a thread of the sink's own writes to disk: of a process that is killed, the next one sends what was said. The
    record is built in `cleanup`, after the last frame (the last agent turn comes after `EndFrame`), stored on disk
    at once, and sent; the worker's shutdown waits for the answer for at most `deadline_s` seconds, and what is not
    sent by then is sent by the next process.

    Nothing that happens in here reaches the pipeline: failures are logged once, counted in `failures` and told to
    `on_error`.

    Args:
        sip_call_id: `Call-ID` of the caller's INVITE; a carrier's own id of the call is recognised and left out.
        sip_headers: headers of the INVITE as the carrier passed them on; `X-CID`, `Call-ID` and
            `X-Correlation-Id` are taken from them, and nothing else is posted.
        call_id: idempotency key at Tuner; a new one when omitted.
        call_type: `phone_call` when there is anything SIP about the call, else `web_call`, when omitted.
        recipient: SIP URI that was dialled, verbatim, in an outbound simulation.
        caller_phone_number: of the caller, E.164 when known.
        recording_url: where the recording can be fetched, a function that tells, or something to await; asked for
            once the call is over and waited for 2 s.
        disconnection_reason: why the call ended, or a function that tells: one of Create Call's words
            (`user_hangup`, `agent_hangup`, `error`, `timeout`), or words of your own. When omitted, the reason given
            with the frame that ended the pipeline decides, and then its kind: `EndFrame` is the agent's doing,
            `CancelFrame` the caller's.
        agent_version: version of your agent.
        call_cost: cents, or a function of the call's usage that tells; when it raises, the record goes without.
        metadata: further keys for the record's `metadata`; any values.
        trace: send the OpenTelemetry spans that the pipeline makes (`enable_tracing=True`) to Tuner as well, without
            what was said (needs `tuner-core[otel]`, and a tracer provider, as `pipecat.utils.tracing.setup` or
            `tuner_core.tracing.set_up_tracing` sets one). Pipelines side by side keep their spans apart.
        config: credentials and addresses; from the environment when omitted.
        sink: takes the finished record instead of Tuner's delivery.
        deadline_s: longest wait for the delivery in seconds.
        on_error: told every failure that was kept away from the call.
        strict: raise failures instead, for tests.
    """

    def __init__(
        self,
        *,
        sip_call_id: str | None = None,
        sip_headers: Mapping[str, Any] | None = None,
        call_id: str | None = None,
        call_type: str | None = None,
        recipient: str | None = None,
        caller_phone_number: str | None = None,
        recording_url: UrlSource = None,
        disconnection_reason: Told[str] = None,
        agent_version: int | str | None = None,
        call_cost: Cents | Callable[[UsageReported], Cents | None] | None = None,
        metadata: Mapping[str, Any] | None = None,
        trace: bool = False,
        config: TunerConfig | None = None,
        sink: CallSink | None = None,
        deadline_s: float = DEADLINE_S,
        on_error: Callable[[Exception], None] | None = None,
        strict: bool = False,
    ) -> None:
        super().__init__(observe_every_push=False)  # pyright: ignore[reportUnknownMemberType] - untyped **kwargs
        self._guard = Guard(logger, on_error=on_error, strict=strict)
        self._identity = identity_of(sip_call_id, sip_headers)
        self._call_id = call_id or uuid.uuid4().hex
        self._call_type = call_type
        self._recording_url = recording_url
        self._disconnection_reason = disconnection_reason
        self._call_cost = call_cost
        self._facts: CallFacts = {
            "recipient": recipient,
            "caller_phone_number": caller_phone_number,
            "agent_version": agent_version,
            "metadata": metadata,
        }
        # Made here, so that missing settings are told when the call begins, and what an earlier process left
        # goes out meanwhile.
        self._sink = sink or default_sink(config)
        self._deadline_s = deadline_s
        self._clock = FrameClock()
        self._translator = FrameTranslator()
        self._timeline = CallTimeline(call_id=self._call_id)
        self._senders: dict[type[FrameProcessor], Sender | None] = {}
        self._open = False
        self._early: list[CallEvent] = []
        self._finished = False
        self._outcome: DeliveryOutcome | None = None
        self._trace = self._started_trace(config) if trace else None

    @property
    def call_id(self) -> str:
        """The idempotency key of this call at Tuner."""
        return self._call_id

    @property
    def identity(self) -> SipIdentity:
        """The SIP identity as far as it is known."""
        return self._identity

    @property
    def outcome(self) -> DeliveryOutcome | None:
        """What became of the record, None until the pipeline is over."""
        return self._outcome

    @property
    def failures(self) -> int:
        """How many failures of the observer were kept away from the call."""
        return self._guard.failures

    def identify(
        self, *, sip_call_id: str | None = None, sip_headers: Mapping[str, Any] | None = None
    ) -> SipIdentity:
        """Tell the SIP identity while the call runs, for carriers that show it only then; never raises.

        What is known already stays; only its gaps are filled.
        """
        try:
            self._identity = merged(self._identity, identity_of(sip_call_id, sip_headers))
            self._tell()
        except Exception as error:
            self._guard.failed(error, "identify")
        return self._identity

    def describe(self, **facts: Unpack[CallFacts]) -> None:
        """Tell what the frames do not show, at any time until the call is over; never raises.

        For example `describe(in_voicemail=True)`, `describe(user_sentiment="positive", call_analysis={...})`. What
        is told last under a name counts, and it is part of the record also when the process dies.
        """
        try:
            self._identity = facts.pop("identity", None) or self._identity
            self._call_type = facts.pop("call_type", None) or self._call_type
            self._facts.update(facts)
            self._tell()
        except Exception as error:
            self._guard.failed(error, "describe")

    def add(self, *events: CallEvent) -> None:
        """Take in events that no frame shows, from any thread, until the call is over; never raises.

        For example those of a LangGraph graph behind the pipeline's model:
        `TunerCallbackHandler(observer.add)`, from `tuner_core.langchain`.
        """
        if self._finished:
            return
        try:
            for event in events:
                self._timeline.apply(event)
            if self._open:
                self._checkpoint(events)
            else:
                self._early.extend(events)
        except Exception as error:
            self._guard.failed(error, "add")

    async def on_push_frame(self, data: FramePushed) -> None:
        """Note one frame; called by Pipecat for the first push of each."""
        if self._finished or not data.first_push:
            return
        try:
            at = self._clock.unix(data.timestamp, now=time.time())
            if self._trace is not None:
                self._trace.saw(data.frame, data.source)
            upstream = data.direction == FrameDirection.UPSTREAM
            self._translator.take(data.frame, at=at, upstream=upstream, sender=self._sender(data.source))
            self._note(self._translator.events())
        except Exception as error:
            self._guard.failed(error, f"frame {type(data.frame).__name__}")

    async def cleanup(self) -> None:
        """Build the record and deliver it; called and awaited by Pipecat once the pipeline is over."""
        await super().cleanup()
        if self._finished:
            return
        self._finished = True
        try:
            if self._trace is not None:
                self._trace.end(deadline_s=self._deadline_s)
            if self._translator.started:
                await self._deliver()
        except Exception as error:
            self._guard.failed(error, "delivery")

    def _note(self, events: Sequence[CallEvent]) -> None:
        """Take events in; the first sight of the call and every finished turn are handed to the sink."""
        for event in events:
            self._timeline.apply(event)
        if not self._translator.started:
            return
        if not self._open:
            self._open = True
            self._tell([*events, *self._early])
        elif events:
            self._checkpoint([*self._translator.begun(), *events, self._translator.usage.report()])

    def _tell(self, events: Sequence[CallEvent] = ()) -> None:
        """Hand what is known of a call that has begun to the sink."""
        if self._open and not self._finished:
            self._checkpoint(events, **self._known())

    def _checkpoint(self, events: Sequence[CallEvent], **facts: Unpack[CallFacts]) -> None:
        if isinstance(self._sink, CheckpointSink):
            self._sink.checkpoint(self._call_id, events, **facts)

    def _known(self) -> CallFacts:
        """What is known besides the events."""
        facts = self._facts
        on_the_phone = self._identity.links or facts.get("caller_phone_number") or facts.get("recipient")
        call_type = self._call_type or ("phone_call" if on_the_phone else "web_call")
        known: CallFacts = {**facts, "call_type": call_type, "identity": self._identity}
        if isinstance(self._recording_url, str):
            known["recording_url"] = self._recording_url
        return known

    async def _deliver(self) -> None:
        reason = await self._told(self._disconnection_reason, "disconnection_reason")
        for event in self._translator.finish(at=time.time(), stated_reason=reason):
            self._timeline.apply(event)
        recording_url = await known_url(
            self._recording_url, on_error=lambda error: self._guard.failed(error, "recording_url")
        )
        facts = self._known()
        if facts.get("call_cost") is None:
            facts["call_cost"] = self._cost()
        facts["recording_url"] = recording_url or facts.get("recording_url")
        record = self._timeline.record(**facts)
        self._outcome = await self._sink.deliver(record, deadline_s=self._deadline_s)
        if self._outcome.state != "delivered":
            logger.warning("call %s is %s: %s", self._call_id, self._outcome.state, self._outcome.detail)

    def _started_trace(self, config: TunerConfig | None) -> PipelineTrace | None:
        try:
            return PipelineTrace(self._call_id, config)
        except Exception as error:
            self._guard.failed(error, "trace")
            return None

    def _cost(self) -> float | None:
        usage, failed = self._timeline.usage, self._guard.failed
        return cost_of(self._call_cost, usage, on_error=lambda error: failed(error, "call_cost"))

    async def _told(self, source: Told[str], name: str) -> str | None:
        """A value that the application gave, or what its function says now; a failing function says nothing."""
        if not callable(source):
            return source
        try:
            value = source()
            return await asyncio.wait_for(value, _TOLD_S) if inspect.isawaitable(value) else value
        except Exception as error:
            self._guard.failed(error, name)
            return None

    def _sender(self, source: FrameProcessor) -> Sender | None:
        kind = type(source)
        if kind not in self._senders:
            self._senders[kind] = next((name for base, name in _SENDERS if issubclass(kind, base)), None)
        return self._senders[kind]
