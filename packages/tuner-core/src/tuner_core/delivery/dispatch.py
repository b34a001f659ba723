"""What happens to records once they are handed over: stored, sent, tried again, settled.

Runs in the courier's event loop, one coroutine at a time, so it has no locks. A record of this process has a lane of
its own: it is sent at once and tried again after short waits. What earlier processes left, and what failed too often
in its lane, goes beside them at a pace that the API sets.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Callable, Coroutine, Sequence
from concurrent.futures import Future
from dataclasses import replace
from typing import Any

from tuner_core.config import TunerConfig
from tuner_core.delivery.boxes import Boxes
from tuner_core.delivery.handover import Handover, News
from tuner_core.delivery.leftovers import Leftovers
from tuner_core.delivery.pace import LEFT_OVER
from tuner_core.delivery.sender import Sender
from tuner_core.delivery.sink import DeliveryOutcome
from tuner_core.delivery.uploading import Uploading
from tuner_core.errors import AuthenticationError, InvalidRecord, TransportError, TunerError
from tuner_core.http import RetryPolicy
from tuner_core.outbox.parcels import Destination, OutboxStatus, Parcel, Stored
from tuner_core.outbox.store import LEASE_S, Outbox
from tuner_core.records import Receipt
from tuner_core.redaction import Redaction
from tuner_core.repair.record import Conformed

logger = logging.getLogger("tuner_core.delivery")

_SENDERS = 8


class Dispatch:
    """Owns the outbox and every record that this process sends.

    Args:
        config: where records go, and the key.
        retry: tries and waits of a lane.
        timeout_s: seconds for one try.
        redaction: applied before anything is stored.
    """

    def __init__(
        self, config: TunerConfig, *, retry: RetryPolicy, timeout_s: float, redaction: Redaction | None
    ) -> None:
        self._config = config
        self._retry = retry
        self._sender = Sender(config.api_key, timeout_s=timeout_s)
        self._to = Destination(config.base_url, config.workspace_id, config.agent_id)
        self._options = options = config.conform_options(redaction)
        self._boxes = Boxes(config.outbox_path, self._to, bounds=config.outbox_bounds, options=options)
        self._watched: dict[tuple[Outbox, Destination, str], list[Handover]] = {}
        self._lanes: set[asyncio.Task[None]] = set()
        self._senders = asyncio.Semaphore(_SENDERS)
        self._due = asyncio.Event()
        self._hurry = asyncio.Event()
        self._uploading = Uploading(
            self._boxes, self._to, retry=retry, sender=self._sender, settled=self._due.set
        )
        self._leftovers = Leftovers(self._boxes, self._uploading, self._send_leftover, self._due)

    def take(self, handovers: Sequence[Handover]) -> None:
        """Store records in one commit and start their lanes."""
        conformed = [
            (one, handover) for handover in handovers if (one := self._conformed(handover)) is not None
        ]
        kept = self._boxes.store_all([(one, handover.recording) for one, handover in conformed])
        for (one, handover), (box, stored) in zip(conformed, kept, strict=True):
            self._stored(handover, one, box, stored)

    def _conformed(self, handover: Handover) -> Conformed | None:
        try:
            conformed = handover.conformed(self._options)
        except InvalidRecord as error:
            logger.error("a call was not accepted: %s", error)
            handover.settle(DeliveryOutcome("refused", detail=str(error)))
            return None
        if conformed.repairs:
            logger.info("call %s was repaired: %s", conformed.call_id, "; ".join(conformed.repairs))
        return conformed

    def _stored(self, handover: Handover, conformed: Conformed, box: Outbox, stored: Stored) -> None:
        handover.stored.set_result(box.durable)
        if handover.recording is not None:
            self._uploading.watch(box, conformed.call_id, handover.uploaded)
        if stored.state == "delivered":
            receipt = Receipt(conformed.call_id, stored.tuner_id, is_new=False, repairs=conformed.repairs)
            if handover.recording is not None:
                self._uploading.resume(box, conformed)
            handover.settle(DeliveryOutcome("delivered", receipt, "it had been delivered before"))
        elif stored.parcel is not None:
            self._watched[box, self._to, conformed.call_id] = [handover]
            self._follow(self._carry(box, stored.parcel, handover))
        elif stored.held_here:
            self._watched.setdefault((box, self._to, conformed.call_id), []).append(handover)
        else:
            handover.settle(DeliveryOutcome("pending", detail="another process is sending it"))

    def note(self, news: Sequence[News]) -> None:
        """Keep what became known of running calls."""
        self._boxes.note(news)

    def drain(self, done: Future[OutboxStatus]) -> None:
        """Send what is pending without waiting for its turn; answer `done` when nothing is pending any more."""
        self._leftovers.drain(done)

    async def warm_up(self) -> None:
        """Load what sending needs."""
        await self._sender.warm_up()

    async def send_leftovers(self) -> None:
        """Send what no lane carries, until cancelled."""
        await self._leftovers.run()

    async def send_recordings(self) -> None:
        """Upload recordings that no lane carries, until cancelled."""
        await self._uploading.send_leftovers()

    async def wind_up(self, deadline_s: float) -> None:
        """Let lanes end within `deadline_s` seconds, stop the rest and give its leases back."""
        loop = asyncio.get_running_loop()
        give_up_at = loop.time() + deadline_s
        # Who waits for a recording's URL still has time to be sent without it.
        loop.call_later(deadline_s / 2, self._hurry.set)
        if self._lanes:
            await asyncio.wait(self._lanes, timeout=deadline_s)
        for lane in self._lanes:
            lane.cancel()
        await asyncio.gather(*self._lanes, return_exceptions=True)
        await self._uploading.wind_up(max(give_up_at - loop.time(), 0.0))
        for handover in [one for watching in self._watched.values() for one in watching]:
            handover.settle(DeliveryOutcome("pending", detail="stored; this process stopped sending"))
        self._leftovers.close()

    async def close(self) -> None:
        """Close the connections and the outbox."""
        self._boxes.close()
        await self._sender.close()

    def _follow(self, lane: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(lane)
        self._lanes.add(task)
        task.add_done_callback(self._lane_ended)

    def _lane_ended(self, task: asyncio.Task[None]) -> None:
        self._lanes.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            logger.error("a call stays in the outbox: sending it broke off, by %s", type(error).__name__)
        if not self._lanes:  # who drains may have waited for the last
            self._due.set()

    async def _with_url(self, box: Outbox, parcel: Parcel, handover: Handover) -> Parcel:
        """The record once its recording's URL is known, as it is when the wait for that is over."""
        late = handover.late_url
        if late is None:
            return parcel

        def keep() -> None:
            self._boxes.guarded(lambda: box.extend(parcel, now=time.time()), None)

        if await late.wait(keep=keep, hurry=self._hurry):
            conformed = handover.conformed(self._options)
            parcel = replace(parcel, body=conformed.body(), repairs=conformed.repairs)
            self._boxes.guarded(lambda: box.amend(parcel), None)
        keep()
        return parcel

    async def _carry(self, box: Outbox, parcel: Parcel, handover: Handover) -> None:
        """A lane: try, wait, try again; after the last try the record waits with the others."""
        attempt, wait = 1, 0.0
        error: TunerError | None = None
        try:
            parcel, leased_at = await self._with_url(box, parcel, handover), time.time()
            while True:
                error = await self._try(box, parcel, leased_at=leased_at, own=True, renew=attempt > 1)
                if error is None:
                    return
                wait = self._retry.wait_s(attempt, error, random.random())
                if attempt >= self._retry.max_attempts:
                    break
                await asyncio.sleep(wait)
                attempt, leased_at = attempt + 1, time.time()
        except asyncio.CancelledError:
            wait = 0.0
            raise
        finally:
            if (box, parcel.to, parcel.call_id) in self._watched:
                self._postpone(box, parcel, wait, error)

    async def _send_leftover(self, box: Outbox, parcel: Parcel) -> TunerError | None:
        error: TunerError | None = None
        try:
            error = await self._try(box, parcel, leased_at=time.time(), own=False)
        except asyncio.CancelledError:
            self._postpone(box, parcel, 0.0, None)
            raise
        if error is not None:
            self._postpone(box, parcel, LEFT_OVER.wait_s(parcel.attempts, error, random.random()), error)
        return error

    def _postpone(self, box: Outbox, parcel: Parcel, wait_s: float, error: TunerError | None) -> None:
        until = time.time() + wait_s
        self._boxes.guarded(lambda: box.postpone(parcel, until=until, detail=str(error or "")), None)
        self._due.set()

    async def _try(
        self, box: Outbox, parcel: Parcel, *, leased_at: float, own: bool, renew: bool = False
    ) -> TunerError | None:
        """Send a record once; the error when another try may help, None when it is settled."""
        async with self._senders:
            late = time.time() - leased_at > LEASE_S / 2
            if (renew or late) and not self._boxes.guarded(lambda: box.renew(parcel, now=time.time()), True):
                self._settle(
                    box, parcel, DeliveryOutcome("pending", detail="another process took the call over")
                )
                return None
            try:
                receipt = await self._sender.post(parcel)
            except TunerError as error:
                if error.retryable or (isinstance(error, AuthenticationError) and not own):
                    # A wrong key here must not condemn what processes with a right one have stored.
                    return self._failed(box, parcel, error)
                self._refused(box, parcel, error)
            except Exception as error:  # no TLS, or an interpreter that shuts down and takes the sockets away
                problem = TransportError(f"call {parcel.call_id}: {type(error).__name__} while sending")
                return self._failed(box, parcel, problem)
            else:
                self._delivered(box, parcel, receipt)
        return None

    def _delivered(self, box: Outbox, parcel: Parcel, receipt: Receipt) -> None:
        logger.info("call %s delivered%s", parcel.call_id, "" if receipt.is_new else ", Tuner had it already")
        now = time.time()

        def mark() -> Callable[[], None]:
            with box.changing(durable=False):
                upload = self._uploading.begin(box, parcel, receipt)
                box.mark_delivered(parcel, tuner_id=receipt.id, is_new=receipt.is_new, now=now)
            return upload

        upload = self._boxes.guarded(mark, None)
        self._settle(box, parcel, DeliveryOutcome("delivered", receipt))
        if upload is not None:
            upload()
        self._leftovers.hope()

    def _refused(self, box: Outbox, parcel: Parcel, error: TunerError) -> None:
        logger.error("refused, and kept for `tuner outbox retry`: %s", error)
        now, detail = time.time(), str(error)
        self._boxes.guarded(lambda: box.mark_refused(parcel, detail=detail, now=now), None)
        self._settle(box, parcel, DeliveryOutcome("refused", detail=detail))

    def _failed(self, box: Outbox, parcel: Parcel, error: TunerError) -> TunerError:
        logger.info("a try failed and the call stays in the outbox: %s", error)
        for handover in self._watched.get((box, parcel.to, parcel.call_id), ()):
            handover.problem = str(error)
        return error

    def _settle(self, box: Outbox, parcel: Parcel, outcome: DeliveryOutcome) -> None:
        for handover in self._watched.pop((box, parcel.to, parcel.call_id), ()):
            handover.settle(outcome)
