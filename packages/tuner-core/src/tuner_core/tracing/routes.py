"""Which call a span belongs to. Pure.

What was said nearest to the span counts: the context it was started in, when that was bound after its parent
started; else its parent's call. A span can also be given to a call by name (`adopt`), with all that descends from
it. A span that nothing ties to a call belongs to none: nothing is guessed.
"""

from __future__ import annotations

from dataclasses import dataclass

from tuner_core.tracing.call_spans import CallSpans, SpanKey

MAX_ENDED = 4096
"""Ended spans of a call that are remembered as possible parents."""


@dataclass(slots=True)
class _Known:
    """A span: its call, the call its context was bound to, its parent, and how it stands."""

    owner: CallSpans | None
    bound: CallSpans | None
    parent: SpanKey | None
    counted: bool = False
    ended: bool = False
    adopted: bool = False


class Routes:
    """The spans of the calls that run; of every other span nothing for longer than it is open."""

    def __init__(self) -> None:
        self._known: dict[SpanKey, _Known] = {}
        self._of_call: dict[CallSpans, set[SpanKey]] = {}

    def __len__(self) -> int:
        return len(self._known)

    def start(self, key: SpanKey, parent: SpanKey | None, bound: CallSpans | None) -> None:
        """Note a span that starts.

        Args:
            key: of the span.
            parent: of its parent, None for the first of a trace.
            bound: the call that the span's context is bound to.
        """
        above = self._known.get(parent) if parent is not None else None
        owner = above.owner if above is not None else None
        if bound is not None and (owner is None or above is None or above.bound is not bound):
            owner = bound
        known = self._known[key] = _Known(None, bound, parent, counted=True)
        if owner is not None:
            self._give(key, known, owner)

    def end(self, key: SpanKey, *, keep: bool = False) -> CallSpans | None:
        """Note that a span ended; the call that it belongs to.

        Args:
            key: of the span.
            keep: remember it although it belongs to no call, because one may still adopt it.
        """
        known = self._known.get(key)
        if known is None or known.ended:
            return None
        known.ended = True
        owner = known.owner
        if owner is not None:
            owner.open -= known.counted
            self._remember(key, owner)
        elif not keep:
            del self._known[key]
        return owner

    def adopt(
        self, root: SpanKey, call: CallSpans, *, is_open: bool = False
    ) -> dict[SpanKey, CallSpans | None]:
        """Give a span, and all that descends from it, to a call.

        What another call adopted stays with that call.

        Args:
            root: the span; it may have started before anybody looked.
            call: its call.
            is_open: the span is known to be open, so that the end of the call waits for it.

        Returns:
            The spans that changed hands, each with the call it belonged to before.
        """
        first = self._known.get(root)
        if first is None:
            first = self._known[root] = _Known(None, None, None, counted=is_open)
        elif first.adopted and first.owner is not call:
            return {}
        first.adopted = True
        changed: dict[SpanKey, CallSpans | None] = {}
        for key, known in self._known.items():
            if known.owner is not call and self._descends(key, root, call):
                changed[key] = known.owner
        for key in changed:
            self._give(key, self._known[key], call)
        return changed

    def forget(self, key: SpanKey) -> None:
        """Drop an ended span that no call adopted."""
        known = self._known.get(key)
        if known is not None and known.ended and known.owner is None:
            del self._known[key]

    def release(self, call: CallSpans) -> None:
        """Forget everything about a call; spans of it that are still open end unheard."""
        for key in self._of_call.pop(call, ()):
            del self._known[key]
        call.ended_keys.clear()
        call.open = 0

    def _give(self, key: SpanKey, known: _Known, call: CallSpans) -> None:
        before, known.owner = known.owner, call
        if before is not None:
            self._of_call[before].discard(key)
        self._of_call.setdefault(call, set()).add(key)
        if known.ended:
            self._remember(key, call)
        elif known.counted:
            call.open += 1
            if before is not None:
                before.open -= 1

    def _descends(self, key: SpanKey, root: SpanKey, call: CallSpans) -> bool:
        """Whether a span is below `root`, or is it, with nothing in between that another call adopted."""
        below: SpanKey | None = key
        while below is not None and below != root:
            known = self._known.get(below)
            if known is None or (known.adopted and known.owner is not call):
                return False
            below = known.parent
        return below is not None

    def _remember(self, key: SpanKey, call: CallSpans) -> None:
        call.ended_keys.append(key)
        while len(call.ended_keys) > MAX_ENDED:
            oldest = call.ended_keys.popleft()
            known = self._known.get(oldest)
            if known is not None and known.owner is call:
                del self._known[oldest]
                self._of_call[call].discard(oldest)
