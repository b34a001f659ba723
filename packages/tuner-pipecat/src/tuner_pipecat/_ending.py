"""Why a pipeline ended, in Create Call's words. Pure."""

from __future__ import annotations

from typing import Any, Literal, TypeAlias

from tuner_core.events import CallEnded

Reason: TypeAlias = Literal["user_hangup", "agent_hangup", "error", "timeout", "unknown"]
Ending: TypeAlias = Literal["end", "cancel", "stop", "none"]

REASONS: tuple[Reason, ...] = ("user_hangup", "agent_hangup", "error", "timeout", "unknown")
_CLUES: tuple[tuple[Reason, tuple[str, ...]], ...] = (
    ("timeout", ("idle", "timeout", "timed out")),
    ("error", ("error", "exception", "no longer do its job", "crash")),
    ("agent_hangup", ("agent", "bot ", "assistant", "goodbye")),
    ("user_hangup", ("hang up", "hung up", "hangup", "disconnect", "client", "caller", "user", "left")),
    ("unknown", ("interrupt signal", "signal", "shutdown", "shutting down")),
)


def ended(ending: Ending, reason: Any, *, at: float, stated: str | None = None) -> CallEnded:
    """The end of a call.

    Args:
        ending: which frame ended the pipeline. By convention a bot that is done queues `EndFrame`, and an
            application whose caller left cancels; so they say who hung up when nothing else does.
        reason: what came with the frame, or with the call that made it.
        at: Unix seconds.
        stated: the application's own word, which wins. One of Create Call's is the reason, another is the detail.
    """
    words = stated or ("" if reason is None else str(reason))
    found = _reason_in(words.lower())
    if found is None and not stated:
        found = "agent_hangup" if ending == "end" else "user_hangup" if ending == "cancel" else None
    return CallEnded(at, found or "unknown", "error" if found == "error" else "call_ended", detail=words)


def _reason_in(words: str) -> Reason | None:
    if words in REASONS:
        return words
    return next((reason for reason, clues in _CLUES if any(clue in words for clue in clues)), None)
