"""Faults on purpose: which posts are answered badly, and how. Pure but for the dice, which have a seed.

The grammar of a specification, as `tuner local --fault` takes it:

    FAULT[=SECONDS]:PROBABILITY[,FAULT[=SECONDS]:PROBABILITY]…

    429:0.2                 a fifth of the posts is answered with 429 and Retry-After: 1
    503=5:0.1               a tenth with 503 and Retry-After: 5
    hang:0.05               no answer until the client gives up (hang=30: the connection closes after 30 s)
    slow=2.5:0.1            the true answer, 2.5 s late
    reset:0.1               the connection is reset before anything is stored
    half:0.1                the call is stored, the answer breaks off in its middle
    take-and-reset:0.1      the call is stored, the connection reset instead of an answer

The probabilities add up to 1 at most; the rest is answered as it should be.
"""

from __future__ import annotations

import math
import random
import re
from collections.abc import Sequence
from dataclasses import dataclass
from threading import Lock
from typing import Literal, get_args

Kind = Literal["status", "hang", "slow", "reset", "half", "take-and-reset"]

GRAMMAR = "FAULT[=SECONDS]:PROBABILITY,…"
KINDS = "an HTTP status from 400 to 599, hang, slow, reset, half, take-and-reset"

_ITEM = re.compile(r"(?P<name>[a-z0-9-]+)(?:=(?P<seconds>[0-9.]+))?:(?P<probability>[0-9.]+)")
_NAMED: frozenset[str] = frozenset(get_args(Kind)) - {"status"}
_WITH_SECONDS = frozenset({"hang", "slow"})
_RETRY_AFTER = frozenset({429, 503})
_RETRY_AFTER_S = 1.0
_SLOW_S = 5.0
_CONFLICT = 409


class FaultSpecError(ValueError):
    """A specification of faults that cannot be read; the message says which part and what is meant."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One kind of fault.

    Attributes:
        name: as written: `429`, `hang`.
        kind: what is done.
        probability: for each post.
        status: the HTTP status of a `status` fault, 0 otherwise.
        seconds: the delay of `slow`, the bound of `hang` (infinite without one), or the Retry-After of a status
            (0 for none).
    """

    name: str
    kind: Kind
    probability: float
    status: int = 0
    seconds: float = 0.0

    @property
    def takes_the_call(self) -> bool:
        """Whether the post is looked at and stored although it is answered badly."""
        return self.kind in {"slow", "half", "take-and-reset"}


def parse_faults(text: str) -> tuple[Fault, ...]:
    """Read a specification such as `429:0.2,hang:0.05`.

    Raises:
        FaultSpecError: a part is not of the grammar, or the probabilities add up to more than 1.
    """
    faults = tuple(_parse(part.strip().lower()) for part in text.split(",") if part.strip())
    if not faults:
        raise FaultSpecError(f"no fault in it; write {GRAMMAR}, such as 429:0.2,hang:0.05")
    names = [fault.name for fault in faults]
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise FaultSpecError(f"{twice} is given twice; give each fault once")
    total = math.fsum(fault.probability for fault in faults)
    if total > 1.0 + 1e-9:
        raise FaultSpecError(f"the probabilities add up to {total:g}; they may reach 1 at most")
    return faults


class FaultDice:
    """Draws the fault of each post in turn; the same seed gives the same faults.

    Args:
        faults: what may happen.
        seed: of the dice.
    """

    def __init__(self, faults: Sequence[Fault], seed: int) -> None:
        self.faults = tuple(faults)
        self.seed = seed
        self._random = random.Random(seed)
        self._lock = Lock()

    def draw(self) -> Fault | None:
        """Give the fault of the next post, None for an honest answer."""
        with self._lock:
            at = self._random.random()
        for fault in self.faults:
            if at < fault.probability:
                return fault
            at -= fault.probability
        return None


def _parse(part: str) -> Fault:
    read = _ITEM.fullmatch(part)
    if read is None:
        raise FaultSpecError(f"cannot read {part!r}; write {GRAMMAR}, such as 429:0.2 or hang=30:0.05")
    name = read["name"]
    probability = _number(read["probability"], part)
    if probability > 1:
        raise FaultSpecError(f"{part!r}: a probability is from 0 to 1")
    seconds = None if read["seconds"] is None else _number(read["seconds"], part)
    if name.isdigit():
        return _status(part, int(name), probability, seconds)
    if name not in _NAMED:
        raise FaultSpecError(f"{part!r}: no such fault; there are {KINDS}")
    if seconds is not None and name not in _WITH_SECONDS:
        raise FaultSpecError(f"{part!r}: only hang, slow, 429 and 503 take seconds")
    kind: Kind = next(kind for kind in get_args(Kind) if kind == name)
    default = {"hang": math.inf, "slow": _SLOW_S}.get(name, 0.0)
    return Fault(name, kind, probability, seconds=default if seconds is None else seconds)


def _status(part: str, status: int, probability: float, seconds: float | None) -> Fault:
    if not 400 <= status <= 599:
        raise FaultSpecError(f"{part!r}: a status is from 400 to 599")
    if status == _CONFLICT:
        raise FaultSpecError(f"{part!r}: 409 says that the call is stored, which a fault must not claim")
    if seconds is not None and status not in _RETRY_AFTER:
        raise FaultSpecError(f"{part!r}: only hang, slow, 429 and 503 take seconds")
    default = _RETRY_AFTER_S if status in _RETRY_AFTER else 0.0
    return Fault(str(status), "status", probability, status, default if seconds is None else seconds)


def _number(text: str, part: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise FaultSpecError(f"{part!r}: {text!r} is no number") from None
