"""The spans of one call between their end and their delivery: bounded, and every loss counted."""

from __future__ import annotations

from collections import deque
from collections.abc import Container
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from pydantic import SecretStr

SpanKey: TypeAlias = tuple[int, int]
"""Trace id and span id."""

TRACES_PATH = "/api/v1/traces"
"""Below the base URL: OTLP over HTTP, protobuf."""

FULL_BATCH = 128
"""Spans in one post; as many waiting ones are sent without waiting for more."""

MAX_WAITING = 2048
"""Ended spans of a call that wait to be sent; a call that ends more of them between two posts loses the rest."""


@dataclass(frozen=True, slots=True)
class TraceOutcome:
    """What became of a call's spans.

    Attributes:
        sent: spans that Tuner took.
        dropped: spans that were lost: too many at once, no answer in time, or refused.
        detail: why spans were lost, in words without content; empty when none was.
    """

    sent: int
    dropped: int
    detail: str = ""


@dataclass(eq=False, slots=True)
class CallSpans:
    """One call's spans: how many are open, which have ended, and where they go.

    Attributes:
        call_id: value of `tuner.call_id` on each of them.
        url: of the traces endpoint.
        api_key: of the tenant whose call it is.
        with_content: send attributes that may hold what was said.
        waiting: ended spans, oldest first.
        in_flight: spans that are being posted.
        open: how many have started and not ended.
        ended_keys: of the ended spans that are still known, so that late children find their parents.
        awaits_root: True until the call has a span or a context of its own.
        closing: True once the call is over.
        grace_s: after the end of the call, seconds to wait for open spans.
        deadline_s: after the end of the call, seconds until what is not sent is dropped.
        refused: True once the endpoint answered that it will never take them.
        sent: spans that were taken.
        dropped: spans that were lost.
        problem: why, as far as known.
        finished: set when everything is sent or given up.
    """

    call_id: str
    url: str
    api_key: SecretStr = field(repr=False)
    with_content: bool = False
    waiting: deque[tuple[SpanKey, Any]] = field(default_factory=deque[tuple[SpanKey, Any]], repr=False)
    in_flight: int = 0
    open: int = 0
    ended_keys: deque[SpanKey] = field(default_factory=deque[SpanKey], repr=False)
    awaits_root: bool = False
    closing: bool = False
    grace_s: float = 0.0
    deadline_s: float = 0.0
    refused: bool = False
    sent: int = 0
    dropped: int = 0
    problem: str = ""
    finished: Future[TraceOutcome] = field(default_factory=Future[TraceOutcome], repr=False)

    @property
    def outcome(self) -> TraceOutcome:
        """The account so far."""
        return TraceOutcome(self.sent, self.dropped, self.problem if self.dropped else "")

    def put(self, key: SpanKey, span: Any) -> None:
        """Take in an ended span, or count it as dropped."""
        if self.refused:
            self.dropped += 1
        elif len(self.waiting) >= MAX_WAITING:
            self.drop(1, f"more than {MAX_WAITING} spans waited at once")
        else:
            self.waiting.append((key, span))

    def take(self, count: int) -> list[tuple[SpanKey, Any]]:
        """The oldest spans, at most `count`; they wait no more."""
        return [self.waiting.popleft() for _ in range(min(count, len(self.waiting)))]

    def take_back(self, batch: list[tuple[SpanKey, Any]]) -> None:
        """Let spans that could not be sent wait again, ahead of the others."""
        self.waiting.extendleft(reversed(batch))

    def without(self, keys: Container[SpanKey]) -> list[tuple[SpanKey, Any]]:
        """Remove and give the waiting spans among `keys`."""
        gone = [item for item in self.waiting if item[0] in keys]
        if gone:
            self.waiting = deque(item for item in self.waiting if item[0] not in keys)
        return gone

    def drop(self, count: int, why: str) -> None:
        """Count spans as lost."""
        self.dropped += count
        self.problem = self.problem or why if count else self.problem

    def refuse(self, why: str) -> None:
        """The endpoint will take none of them, now or later."""
        self.refused = True
        self.drop(len(self.waiting), why)
        self.waiting.clear()
