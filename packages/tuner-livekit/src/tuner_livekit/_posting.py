"""The last part of a call: its record is made and handed to the sink, in a task that the job's end waits for."""

from __future__ import annotations

import asyncio
import functools
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from livekit.agents import JobContext

from tuner_core.costs import Cents, cost_of
from tuner_core.delivery.sink import CallSink, DeliveryOutcome
from tuner_core.events import UsageReported
from tuner_core.guard import Guard
from tuner_core.recordings import known_url
from tuner_core.records import CallRecord
from tuner_core.timeline import CallTimeline
from tuner_livekit._facts import KnownFacts
from tuner_livekit._tracing import SessionTrace

logger = logging.getLogger("tuner_livekit")

RecordingUrl: TypeAlias = str | Callable[[JobContext], "str | Awaitable[str | None] | None"]
CallCost: TypeAlias = Cents | Callable[[UsageReported], Cents | None]


@dataclass(slots=True)
class Posting:
    """Delivers the calls of one plugin.

    Attributes:
        ctx: what the function for the recording's URL is given.
        facts: what is known besides the events.
        sink: takes the records.
        guard: told what fails.
        recording_url: asked for once the call is over.
        call_cost: asked for once the call is over.
        deadline_s: longest wait for the sink, in seconds.
        trace: ends with the first call.
        outcome: what became of the last record, None until its delivery was waited for.
    """

    ctx: JobContext
    facts: KnownFacts = field(repr=False)
    sink: CallSink
    guard: Guard
    recording_url: RecordingUrl | None
    call_cost: CallCost | None
    deadline_s: float
    trace: SessionTrace | None = None
    outcome: DeliveryOutcome | None = None
    _begun: list[asyncio.Future[Any]] = field(default_factory=list[asyncio.Future[Any]])

    def begin(self, timeline: CallTimeline) -> None:
        """Start to deliver the record of a call that is over."""
        task = asyncio.get_running_loop().create_task(self._deliver(timeline), name="tuner_delivery")
        self._begun.append(task)
        if self.trace is not None:
            self._begun.append(asyncio.wrap_future(self.trace.end(deadline_s=self.deadline_s)))
            self.trace = None

    async def wait(self) -> None:
        """Wait for what was begun, at most `deadline_s` seconds."""
        if self._begun:
            await asyncio.wait(self._begun, timeout=self.deadline_s)

    async def _deliver(self, timeline: CallTimeline) -> None:
        try:
            try:
                url, deadline_s = await self._known_url(), self.deadline_s
            except asyncio.CancelledError:
                # The loop is closing and waits for nobody: what matters now is that the record is on disk.
                url, deadline_s = None, 0.0
            record = self._record(timeline, url)
            outcome = await self.sink.deliver(record, deadline_s=deadline_s)
            self.outcome = outcome
            if outcome.state != "delivered":
                logger.warning("call %s is %s: %s", record.call_id, outcome.state, outcome.detail)
        except Exception as error:
            self.guard.failed(error, "delivery")

    def _record(self, timeline: CallTimeline, recording_url: str | None) -> CallRecord:
        facts = self.facts.known()
        facts["recording_url"] = recording_url or facts.get("recording_url")
        if facts.get("call_cost") is None:
            failed = self.guard.failed
            cost = cost_of(self.call_cost, timeline.usage, on_error=lambda error: failed(error, "call_cost"))
            facts["call_cost"] = cost
        return timeline.record(**facts)

    async def _known_url(self) -> str | None:
        source, failed = self.recording_url, self.guard.failed
        if source is None or isinstance(source, str):
            return source
        bound = functools.partial(source, self.ctx)
        return await known_url(bound, on_error=lambda error: failed(error, "recording_url"))
