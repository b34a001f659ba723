"""What a refusal of a description quotes of the far end, kept short whatever the far end wrote."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice

_LONGEST_QUOTE = 64
_MOST_LISTED = 8


def quoted(text: str) -> str:
    """A word of the far end's, cut where it is longer than any that is meant seriously."""
    return text if len(text) <= _LONGEST_QUOTE else f"{text[:_LONGEST_QUOTE]}…"


def listed(items: Sequence[str], separator: str = ", ") -> str:
    """Some of the far end's words, or some reasons, each once, and how many more there are; empty for none."""
    different = dict.fromkeys(items)
    shown = separator.join(islice(different, _MOST_LISTED))
    more = len(different) - _MOST_LISTED
    return f"{shown}{separator}and {more} more" if more > 0 else shown
