"""Uploads the recordings of calls that were delivered.

Runs in the courier's event loop beside the dispatch of records, with places of its own, so that a large recording never
holds up a call. An upload of this process begins with its call's delivery and is tried again after short waits; what
earlier processes left, and what failed too often, waits its turn and goes one at a time. A target that has expired is
replaced by posting the call's record again, which creates nothing new.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import AsyncGenerator, Callable, Coroutine
from concurrent.futures import Future
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from typing import Any, Literal

from tuner_core.delivery.boxes import Boxes
from tuner_core.delivery.handover import Uploaded
from tuner_core.delivery.sender import Sender
from tuner_core.delivery.sink import RecordingState
from tuner_core.errors import AuthenticationError, TunerError, UploadError
from tuner_core.http import RetryPolicy
from tuner_core.outbox.parcels import Destination, Parcel
from tuner_core.outbox.store import Outbox
from tuner_core.outbox.uploads import LEASE_S, Upload
from tuner_core.recordings.next_step import next_step
from tuner_core.recordings.tries import NO_TARGET
from tuner_core.records import Receipt
from tuner_core.repair.record import Conformed

logger = logging.getLogger("tuner_core.recordings")

LEFT_OVER = RetryPolicy(base_s=2.0, cap_s=300.0)
"""Waits of uploads that no lane carries."""

GIVE_UP_AFTER_S = 7 * 24 * 3600.0
"""How long an upload is tried, in seconds since its call was delivered."""

_AT_ONCE = 2
_LOOK_AGAIN_S = 5.0
_SHORTEST_WAIT_S = 0.1


class Uploading:
    """Owns every upload of this process.

    Args:
        boxes: where uploads are kept.
        to: whose leftovers are sent.
        retry: tries and waits of an upload that begins here.
        sender: uploads, and posts a call's record once more.
        settled: called when an upload is settled.
    """

    def __init__(
        self,
        boxes: Boxes,
        to: Destination,
        *,
        retry: RetryPolicy,
        sender: Sender,
        settled: Callable[[], None],
    ) -> None:
        self._boxes = boxes
        self._to = to
        self._retry = retry
        self._sender = sender
        self._on_settled = settled
        self._places = asyncio.Semaphore(_AT_ONCE)
        self._lanes: set[asyncio.Task[None]] = set()
        self._watched: dict[tuple[Outbox, Destination, str], list[Future[Uploaded]]] = {}
        self._due = asyncio.Event()
        self.hurry = False

    def watch(self, box: Outbox, call_id: str, done: Future[Uploaded]) -> None:
        """Answer `done` when the upload of a call is settled, or this process gives up on it."""
        self._watched.setdefault((box, self._to, call_id), []).append(done)

    def resume(self, box: Outbox, conformed: Conformed) -> None:
        """A call that had been delivered was handed over again with a recording: upload that, unless it is done."""
        call_id, to = conformed.call_id, self._to
        parcel = Parcel(to, call_id, conformed.body(), (), 1)
        known = Receipt(call_id, None, is_new=False)
        self._boxes.guarded(lambda: self.begin(box, parcel, known, body=parcel.body), lambda: None)()
        state = self._boxes.guarded(lambda: box.uploads.state_of(to, call_id), None)
        if state is not None and state[0] == "uploaded":
            self._tell(box, to, call_id, "uploaded", "it had been uploaded before")

    def begin(
        self, box: Outbox, parcel: Parcel, receipt: Receipt, *, body: bytes | None = None
    ) -> Callable[[], None]:
        """In the commit that marks a call as delivered: free its upload. Gives what to call after the commit.

        Args:
            box: has the call.
            parcel: the call.
            receipt: the API's answer.
            body: the call's record, when its row has it no more; then the upload asks for a target itself.
        """
        target = receipt.upload
        upload = box.uploads.free(parcel.to, parcel.call_id, target, body=body, now=time.time())
        if upload is None:
            return lambda: None
        if target is None and body is None:
            return lambda: self._settle(box, upload, "failed", receipt.upload_problem or NO_TARGET)
        return lambda: self._follow(self._carry(box, upload))

    async def send_leftovers(self) -> None:
        """Upload what no lane carries, until cancelled. The first round does not wait for anything's turn."""
        first, failures = True, 0
        while True:
            self._due.clear()
            claimed = self._claimed(hurry=first or self.hurry)
            if not claimed:
                first = False
                await self._wait_until_due()
            for box, upload in claimed:
                error = await self._send_leftover(box, upload)
                failures = failures + 1 if error else 0
                if error:
                    first = False
                    await asyncio.sleep(
                        min(LEFT_OVER.wait_s(failures, error, random.random()), _LOOK_AGAIN_S)
                    )

    def next_due(self) -> float | None:
        """Unix seconds at which the next upload is due, None when none waits."""
        to = self._to
        dues = [
            self._boxes.guarded(lambda box=box: box.uploads.next_due(to.base_url, to.workspace_id), None)
            for box in self._boxes
        ]
        return min((due for due in dues if due is not None), default=None)

    def drain(self, *, hurry: bool) -> None:
        """Wait for nothing's turn while somebody drains."""
        self.hurry = hurry
        if hurry:
            self._due.set()

    async def wind_up(self, deadline_s: float) -> None:
        """Let uploads end within `deadline_s` seconds, stop the rest and give their leases back."""
        if self._lanes:
            await asyncio.wait(self._lanes, timeout=deadline_s)
        for lane in self._lanes:
            lane.cancel()
        await asyncio.gather(*self._lanes, return_exceptions=True)
        for box, to, call_id in list(self._watched):
            self._tell(box, to, call_id, "waiting", "this process stopped uploading")

    def _follow(self, lane: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(lane)
        self._lanes.add(task)
        task.add_done_callback(self._lanes.discard)
        task.add_done_callback(lambda _: self._due.set())

    async def _carry(self, box: Outbox, upload: Upload) -> None:
        """A lane: try, wait, try again; after the last try the upload waits with the others."""
        attempt, wait = 1, 0.0
        failed: tuple[Upload, TunerError] | None = None
        try:
            while (failed := await self._try(box, upload)) is not None:
                upload, error = failed
                wait = self._retry.wait_s(attempt, error, random.random())
                if attempt >= self._retry.max_attempts:
                    self._tell(box, upload.to, upload.call_id, "waiting", str(error))
                    return
                await asyncio.sleep(wait)
                attempt += 1
        except asyncio.CancelledError:
            failed, wait = failed or (upload, UploadError("")), 0.0
            raise
        finally:
            if failed is not None:
                self._postpone(box, *failed, wait_s=wait)

    async def _send_leftover(self, box: Outbox, upload: Upload) -> TunerError | None:
        try:
            failed = await self._try(box, upload)
        except asyncio.CancelledError:
            self._postpone(box, upload, UploadError(""), wait_s=0.0)
            raise
        if failed is None:
            return None
        again, error = failed
        self._postpone(box, again, error, wait_s=LEFT_OVER.wait_s(upload.attempts, error, random.random()))
        return error

    async def _try(self, box: Outbox, upload: Upload) -> tuple[Upload, TunerError] | None:
        """Upload once; None when it is settled, else the upload as it should be tried again, and why.

        A target that is refused is replaced at once.
        """
        async with self._places, self._leased(box, upload) as ours:
            while ours:
                try:
                    upload = await self._aimed(box, upload)
                    await self._send(upload)
                    break
                except Exception as error:
                    failed = self._judged(box, upload, _as_upload_error(error))
                if failed is None or failed[0].target is not None or upload.target is None:
                    return failed
                upload = failed[0]
            else:
                return None
        if upload.delete_after:
            with suppress(OSError):
                upload.path.unlink()
        self._settle(box, upload, "uploaded", "")
        return None

    async def _aimed(self, box: Outbox, upload: Upload) -> Upload:
        """The upload with a target: its own, or one that the API gives to the same record posted again."""
        if upload.target is not None:
            return upload
        receipt = await self._sender.post(Parcel(upload.to, upload.call_id, upload.body, (), upload.attempts))
        target = receipt.upload
        if target is None:
            raise UploadError(receipt.upload_problem or NO_TARGET)
        now = time.time()
        self._boxes.guarded(lambda: box.uploads.aim(upload, target, now=now), None)
        return replace(upload, target=target, target_at=now)

    async def _send(self, upload: Upload) -> None:
        assert upload.target is not None
        await self._sender.upload(upload.target, upload.path)

    def _judged(self, box: Outbox, upload: Upload, error: UploadError) -> tuple[Upload, TunerError] | None:
        now = time.time()
        step, refusals = next_step(error, refusals=upload.refusals, target_age_s=now - upload.target_at)
        if step != "give up" and now - upload.stored_at > GIVE_UP_AFTER_S:
            step, error = "give up", UploadError(f"given up after {GIVE_UP_AFTER_S / 86400:g} days: {error}")
        if step == "give up":
            self._settle(box, upload, "failed", str(error))
            return None
        logger.info("recording of call %s: another try follows: %s", upload.call_id, error)
        target = None if step == "renew" else upload.target
        return replace(upload, target=target, refusals=refusals), error

    @asynccontextmanager
    async def _leased(self, box: Outbox, upload: Upload) -> AsyncGenerator[bool]:
        """Keeps the lease for as long as the block lasts; False when it is another process's meanwhile."""

        def renewed() -> bool:
            return self._boxes.guarded(lambda: box.uploads.renew(upload, now=time.time()), True)

        async def keep() -> None:
            while True:
                await asyncio.sleep(LEASE_S / 3)
                renewed()

        ours = renewed()
        keeping = asyncio.create_task(keep())
        try:
            yield ours
        finally:
            keeping.cancel()

    def _postpone(self, box: Outbox, upload: Upload, error: TunerError, *, wait_s: float) -> None:
        until, detail = time.time() + wait_s, str(error)
        self._boxes.guarded(lambda: box.uploads.postpone(upload, until=until, detail=detail), None)

    def _settle(self, box: Outbox, upload: Upload, state: Literal["uploaded", "failed"], detail: str) -> None:
        if state == "failed":
            logger.error("recording of call %s: %s", upload.call_id, detail)
        else:
            logger.info("recording of call %s uploaded", upload.call_id)
        now = time.time()
        self._boxes.guarded(lambda: box.uploads.settle(upload, state, detail=detail, now=now), None)
        self._tell(box, upload.to, upload.call_id, state, detail)
        self._on_settled()

    def _tell(self, box: Outbox, to: Destination, call_id: str, state: RecordingState, detail: str) -> None:
        for done in self._watched.pop((box, to, call_id), ()):
            if not done.done():
                done.set_result((state, detail))

    def _claimed(self, *, hurry: bool) -> list[tuple[Outbox, Upload]]:
        to, now = self._to, time.time()
        return [
            (box, upload)
            for box in self._boxes
            for upload in self._boxes.guarded(
                lambda box=box: box.uploads.claim(
                    to.base_url, to.workspace_id, now=now, limit=1, hurry=hurry
                ),
                [],
            )
        ]

    async def _wait_until_due(self) -> None:
        due = self.next_due()
        longest = _SHORTEST_WAIT_S if self.hurry else _LOOK_AGAIN_S
        wait = longest if due is None else due - time.time()
        await _within(min(max(wait, _SHORTEST_WAIT_S), longest), self._due)


def _as_upload_error(error: Exception) -> UploadError:
    if isinstance(error, UploadError):
        return error
    if isinstance(error, TunerError):
        # A wrong key here must not condemn what processes with a right one have stored.
        passing = error.retryable or isinstance(error, AuthenticationError)
        return UploadError(f"no other upload target was given: {error}", retryable=passing)
    # No TLS, or an interpreter that shuts down and takes the threads away.
    return UploadError(f"the recording was not uploaded: {type(error).__name__}", retryable=True)


async def _within(wait_s: float, event: asyncio.Event) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(wait_s):
            await event.wait()
