"""Where the courier keeps things: the outbox file, and memory for what the disk does not take.

Everything here may be called while the disk is full, the file locked, damaged or gone: it answers with what could be
done, and says what could not be done in the log, once for each cause. What memory had to take goes to the disk as soon
as that takes it.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from tuner_core.delivery.handover import News
from tuner_core.delivery.journal import event_text, facts_json
from tuner_core.delivery.recovery import rebuilt
from tuner_core.errors import OutboxError
from tuner_core.outbox.bounds import Bounds
from tuner_core.outbox.opening import DamagedOutbox
from tuner_core.outbox.parcels import Checkpoint, Destination, OutboxStatus, Parcel, Stored
from tuner_core.outbox.store import Outbox
from tuner_core.recordings.recording import Recording
from tuner_core.repair.headers import conform_headers
from tuner_core.repair.record import Conformed, ConformOptions, conform_call_id
from tuner_core.repair.values import Repairs

logger = logging.getLogger("tuner_core.delivery")

_TIDY_EVERY_S = 600.0
_TELL_DROPPED_EVERY_S = 60.0
_SAY_AGAIN_S = 3600.0
_DISK_AGAIN_S = 10.0
_MOST_UNWRITTEN = 10_000
_MOST_IN_MEMORY = Bounds(records=10_000, bytes=256 * 1024**2)
_T = TypeVar("_T")


class Boxes:
    """The outbox of a process, with memory behind it.

    Args:
        path: the outbox file.
        to: where records of this process go.
        bounds: how much the outbox keeps.
        options: arguments of `conform`; their redaction and allow-list hold for what running calls tell too.
    """

    def __init__(self, path: Path, to: Destination, *, bounds: Bounds, options: ConformOptions) -> None:
        self._to = to
        self._bounds = bounds
        self._redaction = options.get("redaction")
        self._allowed = options.get("allowed_sip_headers", ())
        self._path = path
        self._disk: Outbox | None = None
        # An agent's memory is no disk: its share of it is small whatever the file may hold.
        self._memory_bounds = replace(
            bounds,
            records=min(bounds.records, _MOST_IN_MEMORY.records),
            bytes=min(bounds.bytes, _MOST_IN_MEMORY.bytes),
        )
        self._memory = Outbox(None, self._memory_bounds)
        self._said: dict[str, float] = {}
        self._disk_again_at = -math.inf
        self._unwritten: list[Checkpoint] = []
        self._tidied_at = -math.inf
        self._dropped = 0
        self._dropped_told_at = -math.inf
        self.mend()

    def __iter__(self) -> Iterator[Outbox]:
        if self._disk is not None:
            yield self._disk
        yield self._memory

    def store(self, conformed: Conformed, recording: Recording | None = None) -> tuple[Outbox, Stored]:
        """Into the outbox, or into memory when the disk will not take it: the call is sent in any case."""
        if self._disk is not None:
            try:
                stored = _twice(lambda box: store(box, self._to, conformed, recording), self._disk)
                self._count_dropped(stored.dropped)
                return self._disk, stored
            except OutboxError as error:
                self._in_memory_only(error)
        stored = store(self._memory, self._to, conformed, recording)
        self._count_dropped(stored.dropped, self._memory_bounds)
        return self._memory, stored

    def store_all(self, records: Sequence[tuple[Conformed, Recording | None]]) -> list[tuple[Outbox, Stored]]:
        """As `store`, for several records in one commit: they wait for the disk together, not one after another."""
        disk = self._disk
        if disk is not None and len(records) > 1:
            with suppress(OutboxError):  # then each for itself, so that each finds its place
                with disk.changing():
                    kept = [(disk, store(disk, self._to, *record)) for record in records]
                self._count_dropped(sum(stored.dropped for _, stored in kept))
                return kept
        return [self.store(*record) for record in records]

    def mend(self) -> None:
        """Open the outbox if that failed before, and move to it what memory had to take."""
        if time.monotonic() < self._disk_again_at:
            return
        try:
            if self._disk is None:
                self._disk = Outbox(self._path, self._bounds)
            moved = self._disk.take_over(self._memory)
            self._write_checkpoints(self._disk)
        except OutboxError as error:
            self._in_memory_only(error)
        else:
            if moved:
                logger.info("the outbox takes calls again: %d that were in memory are on disk", moved)

    def _in_memory_only(self, error: OutboxError) -> None:
        self._disk_again_at = time.monotonic() + _DISK_AGAIN_S
        self.say_once(
            f"calls are kept in memory only, and lost if this process ends before they are sent: {error}"
        )

    def note(self, news: Sequence[News]) -> None:
        """Append to the journals of running calls."""
        checkpoints: list[Checkpoint] = []
        for one in news:
            try:
                checkpoints.append(self._checkpoint(one))
            except Exception as error:  # an odd value must not stop the others
                self.say_once(f"something that happened in a call was not noted, by {type(error).__name__}")
        self._unwritten += checkpoints
        if self._disk is None:
            del self._unwritten[:-_MOST_UNWRITTEN]
            return
        try:
            self._write_checkpoints(self._disk)
        except OutboxError as error:
            del self._unwritten[:-_MOST_UNWRITTEN]
            self._in_memory_only(error)

    def _write_checkpoints(self, disk: Outbox) -> None:
        waiting = self._unwritten
        if waiting:
            full = _twice(lambda box: box.calls.checkpoint(waiting, now=time.time()), disk)
            self._unwritten = []
            for call_id in full:
                self.say_once(f"the journal of call {call_id} is full: what follows is kept in memory only")

    def _checkpoint(self, news: News) -> Checkpoint:
        redaction, events, facts = self._redaction, news.events, facts_json(news.facts)
        if "sip_headers" in facts:
            facts["sip_headers"] = conform_headers(facts["sip_headers"], self._allowed, Repairs())
        if redaction is not None:
            events = [redaction.redact_event(event) for event in events]
            identity = facts.pop("identity", None)
            facts, _ = redaction.redact_payload(facts)
            facts |= {"identity": identity} if identity else {}
        lines = (event_text(event) for event in events)
        return Checkpoint(
            to=self._to,
            call_id=conform_call_id(news.call_id, Repairs()),
            events=tuple(line for line in lines if line is not None),
            facts=facts,
        )

    def recover(self) -> None:
        """Make records of calls whose process is gone."""
        disk = self._disk
        if disk is None:
            return
        for call_id in self.guarded(lambda: disk.calls.recover(rebuilt, now=time.time()), []):
            logger.warning(
                "call %s was cut short; its record was made of what its process had noted", call_id
            )

    def claimed(self, limit: int, *, hurry: bool) -> list[tuple[Outbox, Parcel]]:
        """Lease records that no lane carries, at most `limit` of each box."""
        to, now = self._to, time.time()
        return [
            (box, parcel)
            for box in self
            for parcel in self.guarded(
                lambda box=box: box.claim(to.base_url, to.workspace_id, now=now, limit=limit, hurry=hurry), []
            )
        ]

    def next_due(self) -> float | None:
        """Unix seconds at which the next record is due, None when none is pending."""
        to = self._to
        dues = [
            self.guarded(lambda box=box: box.next_due(to.base_url, to.workspace_id), None) for box in self
        ]
        return min((due for due in dues if due is not None), default=None)

    def tidy(self) -> None:
        """Once in a while: forget what was settled long ago, drop what is too old, give free space back."""
        if time.monotonic() - self._tidied_at >= _TIDY_EVERY_S:
            self._tidied_at = time.monotonic()
            for box in self:
                self._count_dropped(self.guarded(lambda box=box: box.tidy(now=time.time()), 0))
        self._count_dropped(0)

    def status(self) -> OutboxStatus:
        """The account of the outbox.

        Raises:
            OutboxError: it cannot be read.
        """
        return (self._disk or self._memory).status()

    def close(self) -> None:
        """Close the outbox; leases and open calls of this process are free for others."""
        self._disk_again_at = -math.inf
        if self._unwritten or self._memory.holds_something():
            self.mend()
        for box in self:
            box.close()

    def guarded(self, work: Callable[[], _T], otherwise: _T) -> _T:
        """An outbox that fails now costs a second delivery later, never the one under way."""
        try:
            return work()
        except OutboxError as error:
            self.say_once(str(error))
            return otherwise

    def _count_dropped(self, dropped: int, bounds: Bounds | None = None) -> None:
        """Tell of records that had to go: at once, and then of all that follow within a minute together."""
        self._dropped += dropped
        bounds = bounds or self._bounds
        if self._dropped and time.monotonic() - self._dropped_told_at >= _TELL_DROPPED_EVERY_S:
            logger.warning(
                "%d undelivered calls were dropped: the outbox%s keeps %d calls, %d MB, %g days"
                " (TUNER_OUTBOX_MAX_RECORDS, _MAX_MB, _MAX_DAYS)",
                self._dropped,
                " in memory" if bounds is self._memory_bounds else "",
                bounds.records,
                bounds.bytes // 1024**2,
                bounds.age_s / 86400,
            )
            self._dropped, self._dropped_told_at = 0, time.monotonic()

    def say_once(self, warning: str) -> None:
        """Log a warning unless this one was logged within the hour."""
        if time.monotonic() - self._said.get(warning, -math.inf) > _SAY_AGAIN_S:
            self._said[warning] = time.monotonic()
            logger.warning("%s", warning)


def store(box: Outbox, to: Destination, conformed: Conformed, recording: Recording | None) -> Stored:
    """Put a record, and the recording that follows it, into an outbox in one commit."""
    now = time.time()
    with box.changing():
        if recording is not None:
            path, delete_after = recording.path, recording.delete_after
            box.uploads.hold(to, conformed.call_id, path, delete_after=delete_after, now=now)
        return box.put(to, conformed.call_id, conformed.body(), repairs=conformed.repairs, now=now)


def _twice(work: Callable[[Outbox], _T], box: Outbox) -> _T:
    """Do it again when the file was damaged: the second time there is a new one."""
    try:
        return work(box)
    except DamagedOutbox:
        return work(box)
