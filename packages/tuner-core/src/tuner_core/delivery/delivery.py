"""Delivery that loses nothing: a record is on disk before its first byte goes out.

```python
delivery = Delivery()                                  # TUNER_API_KEY, TUNER_WORKSPACE_ID, TUNER_AGENT_ID
outcome = await delivery.deliver(record, deadline_s=8.0)
```
"""

from __future__ import annotations

import asyncio
import atexit
import functools
import logging
import os
import sys
import threading
import time
import weakref
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from types import TracebackType
from typing import Any, Self, Unpack

from tuner_core.config import TunerConfig
from tuner_core.delivery.boxes import Boxes
from tuner_core.delivery.courier import OWN_LANE, Courier
from tuner_core.delivery.handover import Handover, News, handover_of
from tuner_core.delivery.sink import CallFacts, CallSink, DeliveryOutcome, DeliveryState
from tuner_core.delivery.waiting import blocked, held, waited
from tuner_core.errors import ConfigError, InvalidRecord, TunerError
from tuner_core.events import CallEvent
from tuner_core.http import TIMEOUT_S, RetryPolicy
from tuner_core.outbox.parcels import Destination, OutboxStatus
from tuner_core.recordings.recording import Recording
from tuner_core.recordings.source import WAIT_S, UrlSource
from tuner_core.records import CallRecord
from tuner_core.redaction import Redaction

__all__ = ["CallSink", "Delivery", "DeliveryOutcome", "DeliveryState", "default_sink"]

logger = logging.getLogger("tuner_core.delivery")

_STORE_WITHIN_S = 2.0
"""A hand-over waits for the disk this long even when its deadline is shorter."""

_EXIT_GRACE_S = 0.5
_FORGOTTEN_GRACE_S = 30.0
"""Time for the tries of a delivery that nobody refers to any more."""


class Delivery:
    """Stores records in the outbox and sends them, in a thread of its own.

    Any number of threads and event loops may share one, and any number of processes one outbox. Nothing starts
    before the first use; then what earlier processes left is sent too. At the end of the interpreter everything
    handed over is on disk.

    Args:
        config: where records go; from the environment when omitted.
        retry: tries and waits for a record of this process, before it waits with what others left.
        timeout_s: seconds for one try.
        redaction: applied to records and checkpoints before anything is stored, in the delivery's own thread; what
            `TUNER_REDACT` asks for when omitted.

    Raises:
        ConfigError: a setting is missing or wrong.
    """

    def __init__(
        self,
        config: TunerConfig | None = None,
        *,
        retry: RetryPolicy = OWN_LANE,
        timeout_s: float = TIMEOUT_S,
        redaction: Redaction | None = None,
    ) -> None:
        self._config = config or TunerConfig()
        self._redaction = redaction or self._config.redaction
        self._retry = retry
        self._timeout_s = timeout_s
        self._mutex = threading.Lock()
        self._courier: Courier | None = None
        _deliveries.add(self)

    def __repr__(self) -> str:
        config = self._config
        return f"<Delivery to {config.base_url} workspace {config.workspace_id} agent {config.agent_id!r}>"

    async def deliver(
        self,
        record: CallRecord | Mapping[str, Any],
        *,
        deadline_s: float = 8.0,
        recording: Recording | None = None,
        recording_url: UrlSource = None,
        url_wait_s: float = WAIT_S,
    ) -> DeliveryOutcome:
        """Store a record, send it, and wait for the answer at most `deadline_s` seconds. Never raises.

        The deadline bounds the wait, not the record: what is pending goes on being sent by this process and, after
        it, by the next one. Cancelling the wait does not stop the delivery, and takes effect when the record is on
        disk. With a deadline of 0 the wait ends then, too.

        A `recording` is stored with the record and uploaded once that is delivered, by this process or the next one.
        A `recording_url` that is not known yet is waited for before the record is sent, because the API takes a
        call's URL only once; the record is on disk meanwhile, and goes without the URL when the wait is over.

        Args:
            record: a `CallRecord`, or a mapping with the API's field names.
            deadline_s: longest wait, in seconds; for the recording too.
            recording: a file to upload.
            recording_url: where the recording can be fetched, or what will tell: a function, an awaitable, a future.
            url_wait_s: longest wait for the URL, in seconds.
        """
        give_up_at = time.monotonic() + deadline_s
        try:
            handover = handover_of(record, recording, recording_url, url_wait_s)
            self._submit(handover)
            stored = await held(handover.stored, max(deadline_s, _STORE_WITHIN_S))
            settled = await waited(handover.settled, give_up_at - time.monotonic())
            if handover.has_upload(settled):
                await waited(handover.uploaded, give_up_at - time.monotonic())
        except Exception as error:
            return _failed(error)
        return handover.told(settled or _pending(stored, handover.problem))

    def deliver_sync(
        self,
        record: CallRecord | Mapping[str, Any],
        *,
        deadline_s: float = 8.0,
        recording: Recording | None = None,
        recording_url: UrlSource = None,
        url_wait_s: float = WAIT_S,
    ) -> DeliveryOutcome:
        """As `deliver`, for code without an event loop; blocks the calling thread."""
        give_up_at = time.monotonic() + deadline_s
        try:
            handover = handover_of(record, recording, recording_url, url_wait_s)
            self._submit(handover)
            stored = blocked(handover.stored, max(deadline_s, _STORE_WITHIN_S))
            settled = blocked(handover.settled, give_up_at - time.monotonic())
            if handover.has_upload(settled):
                blocked(handover.uploaded, give_up_at - time.monotonic())
        except Exception as error:
            return _failed(error)
        return handover.told(settled or _pending(stored, handover.problem))

    def checkpoint(self, call_id: str, events: Sequence[CallEvent] = (), **facts: Unpack[CallFacts]) -> None:
        """Keep what has happened since the last checkpoint of a running call. Returns at once and never raises.

        When this process dies before it delivers the call, the next one that starts, or `tuner outbox drain`, makes
        the record out of the checkpoints: every turn that was told, marked as cut short. `deliver` of a record with
        this `call_id` ends its checkpoints. The cost of one does not depend on how long the call is.

        Args:
            call_id: of the running call.
            events: new ones, in the order in which the call's `CallTimeline` would take them.
            facts: each replaces what an earlier checkpoint said under its name.
        """
        try:
            news = News(call_id, tuple(events), facts)
            while not (courier := self._running()).submit(news):
                self._replace(courier)
        except Exception as error:
            logger.info("a checkpoint was not kept, by %s", type(error).__name__)

    def start(self) -> None:
        """Begin to send, in the background, what earlier processes left. Returns at once and never raises."""
        try:
            self._running().start()
        except RuntimeError:
            logger.info("delivery does not start while the interpreter shuts down")

    async def drain(self, *, deadline_s: float = 60.0) -> OutboxStatus | None:
        """Send everything pending, whoever left it; the account when nothing is, None when the deadline passed.

        Args:
            deadline_s: longest wait, in seconds.

        Raises:
            OutboxError: the outbox cannot be read, or the delivery was closed meanwhile.
        """
        return await waited(self._drained(), deadline_s)

    def drain_sync(self, *, deadline_s: float = 60.0) -> OutboxStatus | None:
        """As `drain`, for code without an event loop; blocks the calling thread."""
        return blocked(self._drained(), deadline_s)

    def close(self, *, deadline_s: float = 2.0) -> None:
        """Let what is being sent finish within `deadline_s` seconds, then stop; the rest stays on disk.

        Blocks. A record handed over later starts the delivery anew.
        """
        with self._mutex:
            courier, self._courier = self._courier, None
        if courier is not None:
            courier.stop(deadline_s)

    async def aclose(self, *, deadline_s: float = 2.0) -> None:
        """As `close`, without blocking the event loop."""
        await asyncio.to_thread(self.close, deadline_s=deadline_s)

    def after_fork(self) -> None:
        """In a forked child: leave the parent's work to the parent."""
        self._mutex = threading.Lock()
        self._courier = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    async def __aenter__(self) -> Self:
        self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    def _running(self) -> Courier:
        with self._mutex:
            if self._courier is None:
                _end_with_child(os.getpid())
                self._courier = courier = Courier(
                    self._config, retry=self._retry, timeout_s=self._timeout_s, redaction=self._redaction
                )
                _couriers.add(courier)
                # A delivery that is forgotten instead of closed must not leave its thread behind.
                weakref.finalize(self, courier.stop, _FORGOTTEN_GRACE_S, wait=False).atexit = False
            return self._courier

    def _submit(self, handover: Handover) -> None:
        try:
            while not (courier := self._running()).submit(handover):
                self._replace(courier)
        except RuntimeError:
            self._store_only(handover)

    def _drained(self) -> Future[OutboxStatus]:
        done: Future[OutboxStatus] = Future()
        while not (courier := self._running()).submit(done):
            self._replace(courier)
        return done

    def _replace(self, stopped: Courier) -> None:
        with self._mutex:
            if self._courier is stopped:
                self._courier = None

    def _store_only(self, handover: Handover) -> None:
        """No thread can be started any more: put the record on disk for the next start."""
        config, options = self._config, self._config.conform_options(self._redaction)
        to = Destination(config.base_url, config.workspace_id, config.agent_id)
        conformed = handover.conformed(options)
        boxes = Boxes(config.outbox_path, to, bounds=config.outbox_bounds, options=options)
        try:
            box, _ = boxes.store(conformed, handover.recording)
            handover.stored.set_result(box.durable)
        finally:
            boxes.close()
        handover.settle(_pending(box.durable, "the interpreter is shutting down"))


class _Unconfigured:
    """The sink of a process without settings: says so once, takes nothing, breaks nothing."""

    def __init__(self, problem: str) -> None:
        self._problem = problem
        logger.error("calls will not be posted: %s", problem)

    async def deliver(self, record: CallRecord, *, deadline_s: float = 8.0) -> DeliveryOutcome:
        del record, deadline_s
        return DeliveryOutcome("refused", detail=self._problem)


def default_sink(config: TunerConfig | None = None) -> CallSink:
    """The delivery that this process shares for a configuration, started; never raises.

    When a setting is missing, the sink says so once in the log and answers each record with `refused`.

    Args:
        config: where records go; from the environment when omitted.
    """
    try:
        settings = config or TunerConfig()
    except ConfigError as error:
        problem = str(error)
        with _shared_lock:
            if problem not in _unconfigured:
                _unconfigured[problem] = _Unconfigured(problem)
            return _unconfigured[problem]
    key = (
        settings.base_url,
        settings.workspace_id,
        settings.agent_id,
        settings.api_key,
        settings.outbox_path,
        settings.redact,
        settings.outbox_bounds,
    )
    with _shared_lock:
        if key not in _shared:
            _shared[key] = Delivery(settings)
        delivery = _shared[key]
    delivery.start()
    return delivery


def _pending(stored: bool | None, problem: str) -> DeliveryOutcome:
    where = "stored on disk, not delivered yet" if stored else "not delivered yet, and not on disk"
    return DeliveryOutcome("pending", detail=f"{where}: {problem}" if problem else where)


def _failed(error: Exception) -> DeliveryOutcome:
    if isinstance(error, InvalidRecord):
        return DeliveryOutcome("refused", detail=str(error))
    logger.error(
        "a call was not handed over: %s", error if isinstance(error, TunerError) else type(error).__name__
    )
    return DeliveryOutcome("refused", detail=f"not handed over: {type(error).__name__}")


_shared: dict[tuple[object, ...], Delivery] = {}
_unconfigured: dict[str, _Unconfigured] = {}
_shared_lock = threading.Lock()
_deliveries: weakref.WeakSet[Delivery] = weakref.WeakSet()
_couriers: weakref.WeakSet[Courier] = weakref.WeakSet()


@atexit.register
def _at_exit() -> None:
    # Not the deliveries: one that was forgotten has a courier that may still be about to store.
    for courier in list(_couriers):
        courier.stop(_EXIT_GRACE_S)


@functools.cache
def _end_with_child(pid: int) -> None:
    """A child of multiprocessing ends without what `atexit` was told, but runs finalizers of its own."""
    del pid
    processes = sys.modules.get("multiprocessing.process")
    if processes is not None and processes.parent_process() is not None:
        from multiprocessing.util import Finalize

        Finalize(None, _at_exit, exitpriority=0)


def _after_fork() -> None:
    """A forked child has its parent's couriers without their threads, and locks that nobody will release."""
    global _shared_lock  # noqa: PLW0603
    _shared_lock = threading.Lock()
    _couriers.clear()
    for delivery in list(_deliveries):
        delivery.after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
