"""The traces of a process: which calls run, whose a span is, and the thread that sends.

One per process. It holds what it must while calls run and nothing afterwards: no call, no span, no thread.
"""

from __future__ import annotations

import itertools
import logging
import os
import threading
from collections import deque
from typing import TYPE_CHECKING, Any

from tuner_core.tracing.call_spans import FULL_BATCH, CallSpans, SpanKey
from tuner_core.tracing.routes import Routes

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.sdk.trace import ReadableSpan

    from tuner_core.tracing.sender import TraceSender

logger = logging.getLogger("tuner_core.tracing")

_MAX_UNCLAIMED = 512


class Hub:
    """Everything shared; safe in any thread.

    Attributes:
        mutex: held while the state of a call changes.
        is_idle: True while no call runs.
    """

    def __init__(self) -> None:
        # Reentrant: a span may end in a finalizer that runs while this thread is in here.
        self.mutex = threading.RLock()
        self._routes = Routes()
        self._calls: dict[int, CallSpans] = {}
        self._unclaimed: deque[tuple[SpanKey, ReadableSpan]] = deque()
        self._numbers = itertools.count(1)
        self._sender: TraceSender | None = None
        self.is_idle = True

    @property
    def running(self) -> int:
        """How many calls have not been released yet."""
        return len(self._calls)

    @property
    def known_spans(self) -> int:
        """How many spans are remembered."""
        return len(self._routes) + len(self._unclaimed)

    def open_call(self, call: CallSpans) -> int:
        """Begin to take spans for a call; the number that contexts name it by."""
        with self.mutex:
            number = next(self._numbers)
            self._calls[number] = call
            self.is_idle = False
            return number

    def bound_call(self, context: Context | None) -> CallSpans | None:
        """The running call that a context is bound to; the current context when None."""
        from tuner_core.tracing.binding import bound_number

        number = bound_number(context)
        return self._calls.get(number) if number is not None else None

    def span_started(self, key: SpanKey, parent: SpanKey | None, context: Context | None) -> None:
        """Note whose span it is."""
        with self.mutex:
            self._routes.start(key, parent, self.bound_call(context))

    def span_ended(self, key: SpanKey, span: ReadableSpan) -> None:
        """Put a span with its call's, or aside while a call still looks for its root."""
        with self.mutex:
            claimable = any(call.awaits_root for call in self._calls.values())
            call = self._routes.end(key, keep=claimable)
            if call is not None:
                call.put(key, span)
                if len(call.waiting) >= FULL_BATCH or call.closing:
                    self._wake(call)
            elif claimable:
                self._unclaimed.append((key, span))
                if len(self._unclaimed) > _MAX_UNCLAIMED:
                    self._routes.forget(self._unclaimed.popleft()[0])

    def adopt(self, root: SpanKey, call: CallSpans, *, is_open: bool) -> None:
        """Give a span and its descendants to a call, those included that have ended and not been sent."""
        with self.mutex:
            changed = self._routes.adopt(root, call, is_open=is_open)
            call.awaits_root = False
            for before in {owner for owner in changed.values() if owner is not None}:
                for key, span in before.without(changed):
                    call.put(key, span)
            for key, span in [item for item in self._unclaimed if item[0] in changed]:
                call.put(key, span)
            self._sort_unclaimed(changed)

    def close_call(self, call: CallSpans, *, grace_s: float, deadline_s: float) -> None:
        """The call is over: send the rest, then release it. Returns at once; a second time does nothing."""
        with self.mutex:
            if call.closing:
                return
            call.grace_s, call.deadline_s = min(grace_s, deadline_s), deadline_s
            call.awaits_root = False
            call.closing = True
            self._sort_unclaimed({})
        self._wake(call)

    def send(self, call: CallSpans) -> None:
        """Have the thread take care of a call until it is over."""
        from tuner_core.tracing.sender import TraceSender

        with self.mutex:
            if self._sender is None:
                self._sender = TraceSender(self)
            self._sender.add(call)

    def release(self, call: CallSpans) -> None:
        """Everything is sent or given up: forget the call and tell who waits."""
        with self.mutex:
            self._routes.release(call)
            for number in [number for number, known in self._calls.items() if known is call]:
                del self._calls[number]
            self.is_idle = not self._calls
            if self.is_idle:
                self._routes = Routes()
                self._unclaimed.clear()
        if call.outcome.dropped:
            logger.warning(
                "%d of %d spans of call %s were lost: %s",
                call.dropped,
                call.dropped + call.sent,
                call.call_id,
                call.problem,
            )
        if not call.finished.done():
            call.finished.set_result(call.outcome)

    def flush(self, timeout_s: float) -> bool:
        """Send what has ended; False when that takes longer than `timeout_s` seconds."""
        sender = self._sender
        return sender.flush(timeout_s) if sender is not None else True

    def close_all(self, deadline_s: float) -> None:
        """End every call, and wait; for the end of the interpreter."""
        calls = list(self._calls.values())
        for call in calls:
            self.close_call(call, grace_s=0.0, deadline_s=deadline_s)
        for call in calls:
            try:
                call.finished.result(deadline_s)
            except TimeoutError:
                return

    def after_fork(self) -> None:
        """In a forked child: the parent sends what is the parent's."""
        self.__init__()

    def _wake(self, call: CallSpans) -> None:
        if self._sender is not None:
            self._sender.wake(call)

    def _sort_unclaimed(self, taken: dict[SpanKey, Any] | dict[SpanKey, CallSpans | None]) -> None:
        """Keep what nobody took for as long as a call still looks for its root."""
        left = [item for item in self._unclaimed if item[0] not in taken]
        self._unclaimed.clear()
        if any(call.awaits_root for call in self._calls.values()):
            self._unclaimed.extend(left)
        else:
            for key, _ in left:
                self._routes.forget(key)


hub = Hub()
"""Of this process."""

if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=hub.after_fork)
