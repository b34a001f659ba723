"""What the application's threads hand to the courier's."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias

from tuner_core.delivery.courtesy import Courtesy
from tuner_core.delivery.late_url import LateUrl, late_url, with_url
from tuner_core.delivery.sink import DeliveryOutcome, RecordingState
from tuner_core.events import CallEvent
from tuner_core.recordings.recording import Recording
from tuner_core.recordings.source import UrlSource
from tuner_core.records import CallRecord
from tuner_core.repair.record import Conformed, ConformOptions, conform

logger = logging.getLogger("tuner_core.recordings")

Uploaded: TypeAlias = tuple[RecordingState, str]
"""What became of an upload, and why."""


@dataclass(eq=False, slots=True)
class Handover:
    """One record on its way into the outbox and out of it.

    Attributes:
        record: as handed over.
        recording: to be uploaded once the record is delivered.
        late_url: the recording's URL, when the record waits for it before it is sent.
        uploaded: done when the recording is, or will not be, or waits for another process.
        stored: done when it is in the outbox; True when that is on disk.
        settled: done when it was delivered or refused, or when this process gave up on it.
        problem: why the last try failed.
    """

    record: CallRecord | Mapping[str, Any] = field(repr=False)
    recording: Recording | None = None
    late_url: LateUrl | None = None
    uploaded: Future[Uploaded] = field(default_factory=Future[Uploaded])
    stored: Future[bool] = field(default_factory=Future[bool])
    settled: Future[DeliveryOutcome] = field(default_factory=Future[DeliveryOutcome])
    problem: str = ""

    def conformed(self, options: ConformOptions) -> Conformed:
        """The record as it is stored, with what is known of its recording by now; reads the recording's header.

        Args:
            options: arguments of `conform`.

        Raises:
            InvalidRecord: no repair makes it one that the API takes.
        """
        record, notes = self.record, ()
        if self.recording is not None:
            recording, notes = self.recording.checked()
            record = recording.described_in(record)
        if self.late_url is not None:
            record = with_url(record, self.late_url.known())
        conformed = conform(record, **options, between_rows=Courtesy())
        return replace(conformed, repairs=(*conformed.repairs, *notes)) if notes else conformed

    def has_upload(self, settled: DeliveryOutcome | None) -> bool:
        """Whether there is an upload to wait for once the record is settled."""
        return self.recording is not None and settled is not None and settled.state == "delivered"

    def told(self, outcome: DeliveryOutcome) -> DeliveryOutcome:
        """The outcome with what has become of the recording by now."""
        if self.recording is None and not self.uploaded.done():
            return outcome
        state, detail = self.uploaded.result() if self.uploaded.done() else ("waiting", "")
        if state == "waiting" and outcome.state == "refused" and not self.stored.result():
            state, detail = "failed", "its call was not accepted"
        return replace(outcome, recording=state, recording_detail=detail)

    def settle(self, outcome: DeliveryOutcome) -> None:
        """Answer both waits, whichever is still open."""
        if not self.stored.done():
            self.stored.set_result(False)
        if not self.settled.done():
            self.settled.set_result(outcome)


def handover_of(
    record: CallRecord | Mapping[str, Any],
    recording: Recording | None,
    recording_url: UrlSource,
    url_wait_s: float,
) -> Handover:
    """A hand-over as an application asks for it; a URL that is not known yet is asked for from now on."""
    handover = Handover(record)
    given: Any = recording
    if given is not None and not isinstance(given, Recording):
        problem = f"a recording is a Recording, not {type(given).__name__}"
        logger.error("a call goes without its recording: %s", problem)
        handover.uploaded.set_result(("failed", problem))
    else:
        handover.recording = recording
    if isinstance(recording_url, str):
        handover.record = with_url(record, recording_url or None)
    elif recording_url is not None:
        handover.late_url = late_url(recording_url, url_wait_s)
    return handover


@dataclass(eq=False, slots=True)
class News:
    """What became known of a running call, on its way into the call's journal."""

    call_id: str
    events: Sequence[CallEvent] = field(repr=False)
    facts: Mapping[str, Any] = field(repr=False)
