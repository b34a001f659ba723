"""The plugin: listens to an `AgentSession` and its room, and hands over one record when the call is over."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from typing import Any, Unpack

from livekit.agents import AgentSession, JobContext

from tuner_core.config import TunerConfig
from tuner_core.delivery import CallFacts, CallSink, CheckpointSink, DeliveryOutcome, default_sink
from tuner_core.errors import ConfigError
from tuner_core.events import CallEvent, CallStarted
from tuner_core.guard import Guard
from tuner_core.identity.model import SipIdentity
from tuner_core.timeline import CallTimeline
from tuner_livekit._call_ids import CallIds
from tuner_livekit._ending import CRASHED, Left, ending_of
from tuner_livekit._events import ModelNames, SessionCapture
from tuner_livekit._facts import KnownFacts
from tuner_livekit._identity import CallerWatch
from tuner_livekit._posting import CallCost, Posting, RecordingUrl
from tuner_livekit._tracing import SessionTrace

logger = logging.getLogger("tuner_livekit")

DEADLINE_S = 8.0
"""Longest wait in the job's shutdown: a worker that is closing kills the job 10 s after asking it to end."""
_ENTRYPOINT_TASK = "job_user_entrypoint"
"""Name of the task in which LiveKit runs the entrypoint."""


class TunerPlugin:
    """Records the call of one `AgentSession` and posts it to Tuner when it is over.

    Make it after the session and before `session.start`; nothing else is needed:

    ```python
    session = AgentSession(...)
    TunerPlugin(session, ctx)
    await session.start(agent, room=ctx.room)
    ```

    The SIP identity is read from the attributes of the room's SIP participant. While the call runs, each finished
    turn is handed to the sink as a checkpoint, which a thread of the sink's own writes to disk: of a process that is
    killed, the next one sends what was said. The record is built when the session closes, stored on disk at once,
    and sent; the job's shutdown waits for the answer for at most `deadline_s` seconds, and what is not sent by then
    is sent by the next process.

    Nothing that happens in here reaches the agent: failures are logged once, counted in `failures` and told
    to `on_error`.

    Args:
        session: the session, not started yet.
        ctx: the job's context.
        sip_call_id: `Call-ID` of the caller's INVITE, when you know it; otherwise the participant shows it.
        sip_correlation_id: another name for `sip_call_id`, the one in Tuner's SIP guide.
        call_id_attribute: a participant attribute of your own that holds the Call-ID.
        participant_identity: whose call this is, in a room with several callers.
        call_id: idempotency key at Tuner; the job's id when omitted.
        call_type: `phone_call` when a SIP participant was seen, else `web_call`, when omitted.
        recipient: SIP URI that was dialled, verbatim, in an outbound simulation.
        caller_phone_number: the participant's `sip.phoneNumber` when omitted.
        recording_url: where the recording can be fetched, or a function of the job's context that tells, plain (it
            runs in a thread) or a coroutine function; asked once the call is over and waited for 2 s.
        agent_version: version of your agent.
        call_cost: cents, or a function of the call's usage that tells; when it raises, the record goes without.
        metadata: further keys for the record's `metadata`; any values.
        trace: send the OpenTelemetry spans of the job's first call to Tuner as well, without what was said
            (needs `tuner-core[otel]`, and a tracer provider: `livekit.agents.telemetry.set_tracer_provider`).
        config: credentials and addresses; from the environment when omitted.
        sink: takes the finished records instead of Tuner's delivery.
        deadline_s: longest wait at the job's shutdown, in seconds.
        on_error: told every failure that was kept away from the call.
        strict: raise failures instead, for tests.

    Raises:
        ConfigError: `sip_call_id` and `sip_correlation_id` are both given and differ.
    """

    def __init__(
        self,
        session: AgentSession[Any],
        ctx: JobContext,
        *,
        sip_call_id: str | None = None,
        sip_correlation_id: str | None = None,
        call_id_attribute: str | None = None,
        participant_identity: str | None = None,
        call_id: str | None = None,
        call_type: str | None = None,
        recipient: str | None = None,
        caller_phone_number: str | None = None,
        recording_url: RecordingUrl | None = None,
        agent_version: int | str | None = None,
        call_cost: CallCost | None = None,
        metadata: Mapping[str, Any] | None = None,
        trace: bool = False,
        config: TunerConfig | None = None,
        sink: CallSink | None = None,
        deadline_s: float = DEADLINE_S,
        on_error: Callable[[Exception], None] | None = None,
        strict: bool = False,
    ) -> None:
        if sip_call_id and sip_correlation_id and sip_call_id != sip_correlation_id:
            raise ConfigError(
                "sip_call_id and sip_correlation_id are two names for the SIP Call-ID and were given "
                "different values: pass one of them"
            )
        self._session: Any = session
        self._ctx = ctx
        self._guard = Guard(logger, on_error=on_error, strict=strict)
        self._watch = CallerWatch(participant_identity, call_id_attribute)
        self._call_ids = CallIds(ctx, call_id)
        given: CallFacts = {
            "call_type": call_type or "",
            "recipient": recipient,
            "caller_phone_number": caller_phone_number,
            "recording_url": recording_url if isinstance(recording_url, str) else None,
            "agent_version": agent_version,
            "metadata": metadata,
            "general_meta_data_raw": {"livekit": {"job_id": ctx.job.id, "room": ctx.job.room.name}},
        }
        self._facts = KnownFacts(
            self._watch, sip_call_id=sip_call_id or sip_correlation_id or None, given=given
        )
        self._created_at = time.time()
        self._run: SessionCapture | None = SessionCapture()
        self._told: frozenset[str] = frozenset()
        self._calls_told = 0
        self._room_left: Left | None = None
        self._crashed_at: float | None = None
        # Made now, so that missing settings are told when the call begins, and what an earlier process left
        # goes out meanwhile.
        self._sink = sink or default_sink(config)
        self._posting = Posting(
            ctx, self._facts, self._sink, self._guard, recording_url, call_cost, deadline_s
        )
        try:
            self._listen()
            if trace:
                self._posting.trace = SessionTrace(self._call_ids.current(), config)
        except Exception as error:
            self._guard.failed(error, "TunerPlugin")

    @property
    def failures(self) -> int:
        """How many failures of the plugin were kept away from the call."""
        return self._guard.failures

    @property
    def identity(self) -> SipIdentity:
        """The SIP identity as far as it is known: what was passed, else what the participant shows."""
        return self._facts.identity

    @property
    def outcome(self) -> DeliveryOutcome | None:
        """What became of the last record, None until its delivery was waited for."""
        return self._posting.outcome

    def describe(self, **facts: Unpack[CallFacts]) -> None:
        """Tell what the session does not show, at any time until the call is over; never raises.

        For example `describe(in_voicemail=True)`, `describe(user_sentiment="positive", call_analysis={...})`. What
        is told last under a name counts, and it is part of the record also when the process dies.
        """
        try:
            self._facts.tell(facts)
            self._checkpoint()
        except Exception as error:
            self._guard.failed(error, "describe")

    def add(self, *events: CallEvent) -> None:
        """Take in events that the session does not show, from any thread, until it closes; never raises.

        For example those of a LangGraph graph behind the session's model: `TunerCallbackHandler(plugin.add)`, from
        `tuner_core.langchain`.
        """
        if self._run is not None:
            self._run.add(*events)

    def _listen(self) -> None:
        self._ctx.add_shutdown_callback(self._on_job_shutdown)
        self._listen_to(
            self._session,
            {
                "conversation_item_added": self._on_item,
                "user_input_transcribed": self._on_transcript,
                "user_state_changed": self._on_user_state,
                "agent_state_changed": self._on_agent_state,
                "tool_execution_updated": self._on_tool,
                "function_tools_executed": self._on_tools_executed,
                "session_usage_updated": self._on_usage,
                "error": self._on_error,
                "close": self._on_close,
            },
        )
        self._listen_to(
            self._ctx.room,
            {
                "participant_connected": self._on_participant,
                "participant_attributes_changed": self._on_attributes,
                "participant_disconnected": self._on_participant_left,
                "connection_state_changed": self._on_connection_state,
                "disconnected": self._on_room_left,
                "sip_dtmf_received": self._on_digit,
            },
        )
        self._scan()
        entrypoint = asyncio.current_task()
        if entrypoint is not None and entrypoint.get_name() == _ENTRYPOINT_TASK:
            entrypoint.add_done_callback(self._guard.listener(self._on_entrypoint_done))

    def _listen_to(self, emitter: Any, listeners: Mapping[str, Callable[..., None]]) -> None:
        for name, listener in listeners.items():
            emitter.on(name, self._guard.listener(listener))

    def _scan(self) -> None:
        """Look for the caller: nobody tells of the participants who were in the room before the agent."""
        if not self._watch.has_sip_caller:
            self._watch.scan(list(self._ctx.room.remote_participants.values()), now=time.time())

    def _on_item(self, event: Any) -> None:
        self._scan()
        if self._run is not None:
            self._run.item_added(event.item)
            self._checkpoint()

    def _on_transcript(self, event: Any) -> None:
        if self._run is not None and event.is_final:
            self._run.transcribed(event.transcript, at=event.created_at)

    def _on_user_state(self, event: Any) -> None:
        if self._run is not None:
            self._run.user_state(event.new_state, at=event.created_at)

    def _on_agent_state(self, event: Any) -> None:
        self._scan()
        if self._posting.trace is not None:
            self._posting.trace.began(self._session)
        if self._run is None:
            # The session was started again. Nothing else begins a run: usage and tools may report after a close.
            self._run = SessionCapture(skip=self._told)
        self._run.agent_state(event.new_state, at=event.created_at)
        self._checkpoint()

    def _on_tool(self, event: Any) -> None:
        if self._run is not None:
            self._run.tool_updated(event.update, at=event.created_at)

    def _on_tools_executed(self, event: Any) -> None:
        if self._run is not None:
            self._run.tools_executed(event.zipped())
            self._checkpoint()

    def _on_usage(self, event: Any) -> None:
        if self._run is not None:
            self._run.usage(event.usage.model_usage)

    def _on_error(self, event: Any) -> None:
        if self._run is not None:
            recoverable = bool(getattr(event.error, "recoverable", True))
            self._run.error(recoverable=recoverable, at=event.created_at)

    def _on_close(self, event: Any) -> None:
        self._scan()
        at, failed_at = event.created_at, self._crashed_at
        if event.error is not None:
            failed_at = (self._run.failed_at if self._run is not None else None) or at
        self._tell(at=at, close_reason=str(event.reason.value), failed_at=failed_at, job_reason=None)

    def _on_participant(self, participant: Any) -> None:
        self._watch.saw(participant, now=time.time())

    def _on_attributes(self, _changed: Any, participant: Any) -> None:
        self._watch.saw(participant, now=time.time())
        self._checkpoint()

    def _on_participant_left(self, participant: Any) -> None:
        self._watch.left(participant, now=time.time())

    def _on_connection_state(self, _state: Any) -> None:
        self._scan()

    def _on_room_left(self, reason: Any) -> None:
        if self._room_left is None:
            self._room_left = Left.now(time.time(), reason)

    def _on_digit(self, event: Any) -> None:
        if self._run is not None and self._watch.is_caller(event.participant):
            self._run.digit(event.digit, at=time.time())

    def _on_entrypoint_done(self, task: asyncio.Task[Any]) -> None:
        if not task.cancelled() and task.exception() is not None:
            self._crashed_at = time.time()

    async def _on_job_shutdown(self, reason: str) -> None:
        """Wait for the record; make it now when the session never closed. LiveKit calls this last of all."""
        try:
            if self._run is not None and self._is_a_call(self._run, reason):
                self._tell(at=time.time(), close_reason=None, failed_at=self._crashed_at, job_reason=reason)
            await self._posting.wait()
        except Exception as error:
            self._guard.failed(error, "shutdown callback")

    def _is_a_call(self, run: SessionCapture, reason: str) -> bool:
        """A job that ended before anything began is a call only when somebody called or it crashed."""
        if self._calls_told:
            return bool(run.seen)
        known = run.started_at is not None or self._watch.caller is not None or self._crashed_at is not None
        return known or reason == CRASHED

    def _tell(
        self, *, at: float, close_reason: str | None, failed_at: float | None, job_reason: str | None
    ) -> None:
        """End the current run and start the delivery of its record."""
        self._calls_told += 1
        run, self._run = self._run or SessionCapture(skip=self._told), None
        ended = ending_of(
            at=at,
            caller_left=self._watch.caller.left if self._watch.caller else None,
            room_left=self._room_left,
            close_reason=close_reason,
            failed_at=failed_at,
            job_reason=job_reason,
        )
        timeline = CallTimeline(call_id=self._call_ids.current())
        timeline.apply(CallStarted(self._started_at(run)))
        fill = self._guard.listener(self._fill)
        fill(timeline, run, ended.at)
        timeline.apply(ended)
        self._told |= run.seen
        if run.is_open and isinstance(self._sink, CheckpointSink):
            self._sink.checkpoint(timeline.call_id, [ended])
        self._call_ids.over()
        self._facts.forget_told()
        self._posting.begin(timeline)

    def _fill(self, timeline: CallTimeline, run: SessionCapture, ended_at: float) -> None:
        for event in run.events(self._session.history.items, ended_at=ended_at, names=self._models()):
            timeline.apply(event)
        if run.untold:
            logger.error("%d items of the conversation could not be recorded", run.untold)

    def _checkpoint(self) -> None:
        """Hand what has happened since the last time to the sink, once there is a call."""
        run = self._run
        if run is None or run.started_at is None or not isinstance(self._sink, CheckpointSink):
            return
        if self._calls_told and not run.seen:
            return  # the states of a session that was closed: not another call
        call_id, events, facts = self._call_ids.current(), run.news(names=self._models()), self._facts.news()
        if not run.is_open:
            run.is_open = True
            events.insert(0, CallStarted(self._started_at(run)))
        if events or facts:
            self._sink.checkpoint(call_id, events, **facts)

    def _models(self) -> ModelNames:
        session = self._session
        return ModelNames(*map(_model_name, (session.stt, session.llm, session.tts)))

    def _started_at(self, run: SessionCapture) -> float:
        """When this run's call began: the answer for the first run, the restart for a later one."""
        caller = self._watch.caller
        started_at = run.started_at or self._created_at
        if self._call_ids.begun > 1 or caller is None or caller.answered_at is None:
            return started_at
        return caller.answered_at


def _model_name(model: Any) -> str | None:
    name = getattr(model, "model", None)
    return name if isinstance(name, str) else None
