"""What was changed in a record, in words without content."""

from __future__ import annotations

from collections.abc import Callable

MOST_VALUES = 2_000_000
"""Members of all containers in one record that are converted; what is behind them is cut.

The bound is on work: containers that share members can unfold to more than memory holds. So many values make a body
beyond every other bound.
"""


class Repairs:
    """Collects what was changed; the same change on many rows is one entry.

    Args:
        between_rows: called after each row of each pass, so that a long call can let other threads run.

    Attributes:
        between_rows: as given, or does nothing.
        values_left: how many more values of this record may be converted.
    """

    def __init__(self, between_rows: Callable[[], None] | None = None) -> None:
        self._counts: dict[str, int] = {}
        self.between_rows = between_rows or _go_on
        self.values_left = MOST_VALUES

    def note(self, field: str, what: str, count: int = 1) -> None:
        """Add a change: the field's name in the API, what was done to it, and how often."""
        text = f"{field}: {what}"
        self._counts[text] = self._counts.get(text, 0) + count

    def add(self, other: Repairs) -> None:
        """Add the changes that another collected."""
        for text, count in other._counts.items():
            self._counts[text] = self._counts.get(text, 0) + count

    def listed(self) -> tuple[str, ...]:
        """The changes in order of their first appearance, each with how often it happened."""
        return tuple(
            text if count == 1 else f"{text} ({count} times)" for text, count in self._counts.items()
        )


def _go_on() -> None:
    """Lets nobody run."""
