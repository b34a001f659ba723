"""What a proof found: figures, and whether every promise held."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Figures:
    """The outcome of one proof.

    Attributes:
        records: acknowledged as being on disk.
        open_calls: noted in a journal while they ran.
        cut_short: of those, made into a record after their process was killed.
        kills: processes ended with SIGKILL.
        processes: processes that lived.
        lost: acknowledged or noted, and not at the API at the end.
        stored_twice: calls at the API that nobody made: another one's record under an id of its own.
        altered: calls at the API without what was said in them.
        sent_at_once: requests for one call by two living processes, or twice by one, at the same time.
        taken_over: requests for a call whose earlier request the kernel still closed for a process just killed.
        overwritten: open calls that ended and were acknowledged, and of which the API has the cut-short record.
        refused: records that were turned away.
        late: hand-overs that were not acknowledged in time, and repeated.
        checks: how often the account was read from outside.
        breaches: how it did not balance, or contradicted what was acknowledged or delivered; a line each.
        left: accepted and not delivered at the end.
        answers: requests by their answer, or by their fault.
        duplicates: requests for calls that were stored already, answered with 409 or `is_new` false.
        seconds: from the first process to the last delivery.
    """

    records: int
    open_calls: int
    cut_short: int
    kills: int
    processes: int
    lost: int
    stored_twice: int
    altered: int
    sent_at_once: int
    taken_over: int
    overwritten: int
    refused: int
    late: int
    checks: int
    breaches: Sequence[str]
    left: int
    answers: Mapping[str, int]
    duplicates: int
    seconds: float

    @property
    def holds(self) -> bool:
        """Whether every promise held."""
        broken = (
            self.lost,
            self.stored_twice,
            self.altered,
            self.sent_at_once,
            self.overwritten,
            self.refused,
        )
        return not any(broken) and not self.left and not self.breaches

    @property
    def per_second(self) -> float:
        """Calls delivered in a second."""
        return (self.records + self.open_calls) / self.seconds

    def to_json(self) -> dict[str, Any]:
        """For a file."""
        return {**asdict(self), "per_second": round(self.per_second, 1), "holds": self.holds}

    def lines(self) -> list[str]:
        """In words."""
        answers = ", ".join(f"{answer} {count:,}" for answer, count in sorted(self.answers.items()))
        return [
            f"{self.records:,} records and {self.open_calls:,} open calls ({self.cut_short:,} cut short);"
            f" {self.kills:,} of {self.processes:,} processes killed",
            f"lost {self.lost}, stored twice {self.stored_twice}, sent by two at once {self.sent_at_once},"
            f" altered {self.altered}, overwritten {self.overwritten}, refused {self.refused},"
            f" not delivered at the end {self.left}",
            f"account read {self.checks:,} times, {len(self.breaches)} times out of balance",
            *(f"  {breach}" for breach in self.breaches[:20]),
            f"{sum(self.answers.values()):,} requests: {answers}",
            f"  {self.duplicates:,} of them for a call that was stored already, {self.taken_over} while the kernel"
            f" closed those of a killed process; {self.late} hand-overs repeated as late",
            f"{self.seconds:.1f} s, {self.per_second:,.0f} calls/s",
        ]
