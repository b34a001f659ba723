"""Where the courier keeps things: the outbox file, and memory for what the disk does not take.

Everything here may be called while the disk is full, the file locked or gone: it answers with what could be done, and
says what could not be done in the log, once for each cause.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TypeVar

from tuner_core.delivery.handover import News
from tuner_core.delivery.journal import event_text, facts_json
from tuner_core.delivery.recovery import rebuilt
from tuner_core.errors import OutboxError
from tuner_core.outbox.bounds import Bounds
from tuner_core.outbox.parcels import Checkpoint, Destination, OutboxStatus, Parcel, Stored
from tuner_core.outbox.store import Outbox
from tuner_core.recordings.recording import Recording
from tuner_core.repair.headers import conform_headers
from tuner_core.repair.record import Conformed, ConformOptions, conform_call_id
from tuner_core.repair.values import Repairs

logger = logging.getLogger("tuner_core.delivery")

_TIDY_EVERY_S = 600.0
_TELL_DROPPED_EVERY_S = 60.0
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
        self._box = open_outbox(path, bounds)
        self._tidied_at = -math.inf
        self._dropped = 0
        self._dropped_told_at = -math.inf
        self._fallback: Outbox | None = None
        self._said: set[str] = set()

    def __iter__(self) -> Iterator[Outbox]:
        yield self._box
        if self._fallback is not None:
            yield self._fallback

    def store(self, conformed: Conformed, recording: Recording | None = None) -> tuple[Outbox, Stored]:
        """Into the outbox, or into memory when the disk will not take it: the call is sent in any case."""
        try:
            stored = store(self._box, self._to, conformed, recording)
            self._count_dropped(stored.dropped)
            return self._box, stored
        except OutboxError as error:
            logger.warning("call %s is kept in memory only: %s", conformed.call_id, error)
        if self._fallback is None:
            self._fallback = Outbox(None, self._bounds)
        return self._fallback, store(self._fallback, self._to, conformed, recording)

    def note(self, news: Sequence[News]) -> None:
        """Append to the journals of running calls."""
        checkpoints: list[Checkpoint] = []
        for one in news:
            try:
                checkpoints.append(self._checkpoint(one))
            except Exception as error:  # an odd value must not stop the others
                self.say_once(f"something that happened in a call was not noted, by {type(error).__name__}")
        full = self.guarded(lambda: self._box.calls.checkpoint(checkpoints, now=time.time()), [])
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
        for call_id in self.guarded(lambda: self._box.calls.recover(rebuilt, now=time.time()), []):
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
            self._count_dropped(self.guarded(lambda: self._box.tidy(now=time.time()), 0))
        self._count_dropped(0)

    def status(self) -> OutboxStatus:
        """The account of the outbox.

        Raises:
            OutboxError: it cannot be read.
        """
        return self._box.status()

    def close(self) -> None:
        """Close the outbox; leases and open calls of this process are free for others."""
        for box in self:
            box.close()

    def guarded(self, work: Callable[[], _T], otherwise: _T) -> _T:
        """An outbox that fails now costs a second delivery later, never the one under way."""
        try:
            return work()
        except OutboxError as error:
            logger.warning("%s", error)
            return otherwise

    def _count_dropped(self, dropped: int) -> None:
        """Tell of records that had to go: at once, and then of all that follow within a minute together."""
        self._dropped += dropped
        if self._dropped and time.monotonic() - self._dropped_told_at >= _TELL_DROPPED_EVERY_S:
            logger.warning(
                "%d undelivered calls were dropped: the outbox keeps %d calls, %d MB, %g days"
                " (TUNER_OUTBOX_MAX_RECORDS, _MAX_MB, _MAX_DAYS)",
                self._dropped,
                self._bounds.records,
                self._bounds.bytes // 1024**2,
                self._bounds.age_s / 86400,
            )
            self._dropped, self._dropped_told_at = 0, time.monotonic()

    def say_once(self, warning: str) -> None:
        """Log a warning unless this one was logged before."""
        if warning not in self._said:
            self._said.add(warning)
            logger.warning("%s", warning)


def store(box: Outbox, to: Destination, conformed: Conformed, recording: Recording | None) -> Stored:
    """Put a record, and the recording that follows it, into an outbox in one commit."""
    now = time.time()
    with box.changing():
        if recording is not None:
            path, delete_after = recording.path, recording.delete_after
            box.uploads.hold(to, conformed.call_id, path, delete_after=delete_after, now=now)
        return box.put(to, conformed.call_id, conformed.body(), repairs=conformed.repairs, now=now)


def open_outbox(path: Path, bounds: Bounds) -> Outbox:
    """The outbox at `path`, or one in memory with a warning when it cannot be opened."""
    try:
        return Outbox(path, bounds)
    except OutboxError as error:
        logger.warning("calls are kept in memory only, and lost when this process ends: %s", error)
        return Outbox(None, bounds)
