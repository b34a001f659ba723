"""What to do after an upload failed."""

from __future__ import annotations

from typing import Literal, TypeAlias

from tuner_core.errors import UploadError

FRESH_S = 60.0
"""A target that is refused so soon after it was given did not expire: something else is wrong with it."""

MOST_REFUSALS = 3
"""Fresh targets that may be refused in a row before the upload is given up."""

NextStep: TypeAlias = Literal["again", "renew", "give up"]


def next_step(error: UploadError, *, refusals: int, target_age_s: float) -> tuple[NextStep, int]:
    """Try again with the same target, ask for another one first, or give up; and the refusals in a row so far.

    Args:
        error: why the upload failed.
        refusals: in a row before this failure.
        target_age_s: seconds since the target was given.
    """
    if error.retryable:
        return "again", refusals
    if not error.target_refused:
        return "give up", refusals
    refusals = refusals + 1 if target_age_s < FRESH_S else 0
    return ("give up" if refusals >= MOST_REFUSALS else "renew"), refusals
