"""DNS as SIP asks it: questions, the records that answer them, their order and how long they hold.

NAPTR (RFC 3403), SRV (RFC 2782), A and AAAA. What the questions are is said in `locating`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from operator import attrgetter
from typing import Literal, Protocol, TypeAlias, TypeVar

Kind: TypeAlias = Literal["NAPTR", "SRV", "A", "AAAA"]
Draw: TypeAlias = Callable[[int], int]
"""Gives a random whole number from 0 to its argument, both included."""

_MOST_ANSWERS = 4096


@dataclass(frozen=True, slots=True)
class Question:
    """What a name server is asked.

    Attributes:
        kind: type of the records asked for.
        name: in lower case, without the dot at the end.
    """

    kind: Kind
    name: str

    @classmethod
    def of(cls, kind: Kind, name: str) -> Question:
        """The question about a name as it is written in a URI or a record."""
        return cls(kind, name.rstrip(".").lower())

    def __str__(self) -> str:
        return f"{self.kind} {self.name}"


@dataclass(frozen=True, slots=True)
class Naptr:
    """One NAPTR record; `replacement` is the name to go on with."""

    order: int
    preference: int
    flags: str
    service: str
    replacement: str


@dataclass(frozen=True, slots=True)
class Srv:
    """One SRV record; the lowest priority comes first. Target `.` says that there is no such service."""

    priority: int
    weight: int
    port: int
    target: str


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of a question.

    Attributes:
        naptr: records of a NAPTR question.
        srv: records of an SRV question.
        addresses: those of an A or AAAA question, in the server's order.
        ttl_s: how long the answer holds, also when it has no records.
        problem: why there are none, in plain words; empty when there are some, or when the name just has none.
        failed: nobody could say: the name may have some.
    """

    naptr: tuple[Naptr, ...] = ()
    srv: tuple[Srv, ...] = ()
    addresses: tuple[str, ...] = ()
    ttl_s: float = 0.0
    problem: str = ""
    failed: bool = False

    def __str__(self) -> str:
        found = [
            *(f"{record.service} {record.replacement}" for record in self.naptr),
            *(f"{record.target}:{record.port}" for record in self.srv),
            *self.addresses,
        ]
        return ", ".join(found) or self.problem or "none"


class Weighted(Protocol):
    """What can be ordered as SRV records are."""

    @property
    def priority(self) -> int:
        """The lowest is tried first."""
        ...

    @property
    def weight(self) -> int:
        """Share among those of one priority; 0 is the least."""
        ...


_Item = TypeVar("_Item", bound=Weighted)


def by_priority_and_weight(items: Iterable[_Item], draw: Draw) -> list[_Item]:
    """The order in which to try them: by priority, and by chance within one as RFC 2782 has it.

    Args:
        items: SRV records or trunks.
        draw: asked once for each item that is not the last of its priority.
    """
    # Those of weight 0 stand first, so that they are picked by a draw of 0 only.
    waiting = sorted(items, key=lambda item: (item.priority, item.weight > 0))
    ordered: list[_Item] = []
    while waiting:
        group = [item for item in waiting if item.priority == waiting[0].priority]
        picked = group[0] if len(group) == 1 else _pick(group, draw)
        waiting.remove(picked)
        ordered.append(picked)
    return ordered


def _pick(group: list[_Item], draw: Draw) -> _Item:
    drawn = draw(sum(map(attrgetter("weight"), group)))
    running = 0
    for item in group:
        running += item.weight
        if running >= drawn:
            return item
    return group[-1]


class AnswerCache:
    """Answers until their time to live is over."""

    def __init__(self) -> None:
        """Begin with none."""
        self._answers: dict[Question, tuple[float, Answer]] = {}

    def __len__(self) -> int:
        return len(self._answers)

    def note(self, question: Question, answer: Answer, *, now: float) -> None:
        """Keep an answer for `answer.ttl_s` seconds; the oldest gives way when there are thousands."""
        self._answers.pop(question, None)
        if answer.ttl_s > 0:
            self._answers[question] = (now + answer.ttl_s, answer)
        if len(self._answers) > _MOST_ANSWERS:
            del self._answers[next(iter(self._answers))]

    def known(self, *, now: float) -> Mapping[Question, Answer]:
        """The answers that hold at `now`."""
        self._answers = {question: entry for question, entry in self._answers.items() if entry[0] > now}
        return {question: answer for question, (_, answer) in self._answers.items()}
