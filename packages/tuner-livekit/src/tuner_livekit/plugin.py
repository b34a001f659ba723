"""The plugin: listens to an `AgentSession` and its room, and hands over one record when the call is over."""

from __future__ import annotations

import asyncio
import inspect
import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeAlias
from weakref import WeakKeyDictionary

from livekit.agents import AgentSession, JobContext

from tuner_core.config import TunerConfig
from tuner_core.delivery import default_sink
from tuner_core.delivery.sink import CallSink, DeliveryOutcome
from tuner_core.errors import ConfigError
from tuner_core.events import CallStarted
from tuner_core.guard import Guard
from tuner_core.identity.model import SipIdentity
from tuner_core.records import CallRecord
from tuner_core.timeline import CallTimeline
from tuner_livekit._ending import CRASHED, Left, ending_of
from tuner_livekit._events import ModelNames, SessionCapture
from tuner_livekit._identity import CallerWatch

logger = logging.getLogger("tuner_livekit")

RecordingUrl: TypeAlias = str | Callable[[JobContext], "str | Awaitable[str | None] | None"]

DEADLINE_S = 8.0
"""Longest wait in the job's shutdown: a worker that is closing kills the job 10 s after asking it to end."""
_RECORDING_URL_S = 2.0
_ENTRYPOINT_TASK = "job_user_entrypoint"
"""Name of the task in which LiveKit runs the entrypoint."""

_runs_of_job: WeakKeyDictionary[JobContext, int] = WeakKeyDictionary()
"""How many calls each job has told so far: the job's id names the first, the others get a number."""


class TunerPlugin:
    """Records the call of one `AgentSession` and posts it to Tuner when it is over.

    Make it after the session and before `session.start`; nothing else is needed:

    ```python
    session = AgentSession(...)
    TunerPlugin(session, ctx)
    await session.start(agent, room=ctx.room)
    ```

    The SIP identity is read from the attributes of the room's SIP participant. The record is built when the
    session closes, stored on disk at once, and sent; the job's shutdown waits for the answer for at most
    `deadline_s` seconds, and what is not sent by then is sent by the next process.

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
        recording_url: where the recording can be fetched, or a function of the job's context that tells,
            awaited for 2 s when it is a coroutine function.
        agent_version: version of your agent.
        metadata: further keys for the record's `metadata`; any values.
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
        metadata: Mapping[str, Any] | None = None,
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
        self._given_call_id = sip_call_id or sip_correlation_id or None
        self._call_id = call_id
        self._call_type = call_type
        self._recipient = recipient
        self._caller_phone_number = caller_phone_number
        self._recording_url = recording_url
        self._agent_version = agent_version
        self._metadata = metadata
        self._deadline_s = deadline_s
        self._guard = Guard(logger, on_error=on_error, strict=strict)
        self._watch = CallerWatch(participant_identity, call_id_attribute)
        self._created_at = time.time()
        self._run: SessionCapture | None = SessionCapture()
        self._told: frozenset[str] = frozenset()
        self._runs = 0
        self._room_left: Left | None = None
        self._crashed_at: float | None = None
        self._deliveries: list[asyncio.Task[None]] = []
        self._outcome: DeliveryOutcome | None = None
        # Made now, so that missing settings are told when the call begins, and what an earlier process left
        # goes out meanwhile.
        self._sink = sink or default_sink(config)
        try:
            self._listen()
        except Exception as error:
            self._guard.failed(error, "TunerPlugin")

    @property
    def failures(self) -> int:
        """How many failures of the plugin were kept away from the call."""
        return self._guard.failures

    @property
    def identity(self) -> SipIdentity:
        """The SIP identity as far as it is known: what was passed, else what the participant shows."""
        shown = self._watch.identity
        if self._given_call_id is None:
            return shown
        given = SipIdentity(
            sip_call_id=self._given_call_id, provider="livekit", found_at={"sip_call_id": "argument"}
        )
        return given.filled_from(shown)

    @property
    def outcome(self) -> DeliveryOutcome | None:
        """What became of the last record, None until its delivery was waited for."""
        return self._outcome

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

    def _on_transcript(self, event: Any) -> None:
        if self._run is not None and event.is_final:
            self._run.transcribed(event.transcript, at=event.created_at)

    def _on_user_state(self, event: Any) -> None:
        if self._run is not None:
            self._run.user_state(event.new_state, at=event.created_at)

    def _on_agent_state(self, event: Any) -> None:
        self._scan()
        if self._run is None:
            # The session was started again. Nothing else begins a run: usage and tools may report after a close.
            self._run = SessionCapture(skip=self._told)
        self._run.agent_state(event.new_state, at=event.created_at)

    def _on_tool(self, event: Any) -> None:
        if self._run is not None:
            self._run.tool_updated(event.update, at=event.created_at)

    def _on_tools_executed(self, event: Any) -> None:
        if self._run is not None:
            self._run.tools_executed(event.zipped())

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
            if self._deliveries:
                await asyncio.wait(self._deliveries, timeout=self._deadline_s)
        except Exception as error:
            self._guard.failed(error, "shutdown callback")

    def _is_a_call(self, run: SessionCapture, reason: str) -> bool:
        """A job that ended before anything began is a call only when somebody called or it crashed."""
        if self._runs:
            return bool(run.seen)
        known = run.started_at is not None or self._watch.caller is not None or self._crashed_at is not None
        return known or reason == CRASHED

    def _tell(
        self, *, at: float, close_reason: str | None, failed_at: float | None, job_reason: str | None
    ) -> None:
        """End the current run and start the delivery of its record."""
        run, self._run = self._run or SessionCapture(skip=self._told), None
        ended = ending_of(
            at=at,
            caller_left=self._watch.caller.left if self._watch.caller else None,
            room_left=self._room_left,
            close_reason=close_reason,
            failed_at=failed_at,
            job_reason=job_reason,
        )
        timeline = CallTimeline(call_id=self._next_call_id(), call_type=self._type_of_call())
        timeline.apply(CallStarted(self._started_at(run)))
        fill = self._guard.listener(self._fill)
        fill(timeline, run, ended.at)
        timeline.apply(ended)
        self._told |= run.seen
        delivery = asyncio.get_running_loop().create_task(self._deliver(timeline), name="tuner_delivery")
        self._deliveries.append(delivery)

    def _fill(self, timeline: CallTimeline, run: SessionCapture, ended_at: float) -> None:
        session = self._session
        names = ModelNames(*map(_model_name, (session.stt, session.llm, session.tts)))
        for event in run.events(session.history.items, ended_at=ended_at, names=names):
            timeline.apply(event)
        if run.untold:
            logger.error("%d items of the conversation could not be recorded", run.untold)

    def _started_at(self, run: SessionCapture) -> float:
        """When this run's call began: the answer for the first run, the restart for a later one."""
        caller = self._watch.caller
        started_at = run.started_at or self._created_at
        if self._runs > 1 or caller is None or caller.answered_at is None:
            return started_at
        return caller.answered_at

    async def _deliver(self, timeline: CallTimeline) -> None:
        try:
            try:
                url, deadline_s = await self._resolved_recording_url(), self._deadline_s
            except asyncio.CancelledError:
                # The loop is closing and waits for nobody: what matters now is that the record is on disk.
                url, deadline_s = None, 0.0
            record = self._record(timeline, url)
            outcome = await self._sink.deliver(record, deadline_s=deadline_s)
            self._outcome = outcome
            if outcome.state != "delivered":
                logger.warning("call %s is %s: %s", record.call_id, outcome.state, outcome.detail)
        except Exception as error:
            self._guard.failed(error, "delivery")

    def _record(self, timeline: CallTimeline, recording_url: str | None) -> CallRecord:
        return timeline.record(
            identity=self.identity,
            recording_url=recording_url,
            recipient=self._recipient,
            caller_phone_number=self._caller_phone_number or self._watch.phone_number,
            agent_version=self._agent_version,
            metadata=self._metadata,
            general_meta_data_raw={"livekit": {"job_id": self._ctx.job.id, "room": self._ctx.job.room.name}},
        )

    async def _resolved_recording_url(self) -> str | None:
        source = self._recording_url
        if source is None or isinstance(source, str):
            return source
        try:
            url = source(self._ctx)
            if inspect.isawaitable(url):
                return await asyncio.wait_for(url, _RECORDING_URL_S)
        except Exception as error:
            self._guard.failed(error, "recording_url")
            return None
        return url

    def _type_of_call(self) -> str:
        return self._call_type or ("phone_call" if self._watch.has_sip_caller else "web_call")

    def _next_call_id(self) -> str:
        self._runs += 1
        if self._call_id is not None:
            return self._call_id if self._runs == 1 else f"{self._call_id}-{self._runs}"
        number = _runs_of_job.get(self._ctx, 0) + 1
        _runs_of_job[self._ctx] = number
        return self._ctx.job.id if number == 1 else f"{self._ctx.job.id}-{number}"


def _model_name(model: Any) -> str | None:
    name = getattr(model, "model", None)
    return name if isinstance(name, str) else None
