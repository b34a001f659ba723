"""Which target is tried next: the user's trunks, the targets of each, and those that failed a moment ago."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from tuner_sipbridge.errors import LocalProtocolError
from tuner_sipbridge.sip.grammar import decimal
from tuner_sipbridge.sip.message import Response
from tuner_sipbridge.sip.uri import Uri

DEFAULT_PENALTY_S = 60.0
"""How long a target that failed is tried after all others, unless its 503 says another time."""

LONGEST_PENALTY_S = 3600.0
"""No Retry-After keeps a target away for longer."""

_TRUNK = re.compile(r"(.*?)(?:,[ ]*([0-9]+))?(?:,[ ]*([0-9]+))?", re.DOTALL)
_Place = TypeVar("_Place")


@dataclass(frozen=True, slots=True)
class Trunk:
    """A way out that the user gave: an outbound proxy or carrier, with its place among others.

    Attributes:
        uri: where the trunk is; located as RFC 3263 says, and put into Route (RFC 3261 §8.1.2).
        priority: the lowest is tried first, 0 to 65535.
        weight: share of the calls among those of one priority, 0 to 65535.

    Raises:
        LocalProtocolError: it is no SIP URI, or a number is out of range.
    """

    uri: Uri = field(repr=False)
    priority: int = 0
    weight: int = 1

    def __post_init__(self) -> None:
        if not self.uri.is_sip:
            raise LocalProtocolError(f"trunk: a {self.uri.scheme} URI is none of SIP")
        if not 0 <= self.priority <= 65535 or not 0 <= self.weight <= 65535:
            raise LocalProtocolError("trunk: priority and weight are from 0 to 65535")

    @classmethod
    def parse(cls, text: str) -> Trunk:
        """Read `URI`, or `URI,priority`, or `URI,priority,weight`.

        Raises:
            LocalProtocolError: it is not of that form.
        """
        match = _TRUNK.fullmatch(text)
        assert match is not None
        uri, *numbers = match.groups()
        given = [int(number[:6]) for number in numbers if number]
        return cls(Uri.parse(uri.strip(" "), error=LocalProtocolError), *given)


class Penalties(Generic[_Place]):
    """Targets that failed, until their time is over: they are tried last, not never.

    A caller with one target left would rather wait for it than be refused by our own memory.
    """

    def __init__(self) -> None:
        """Begin with none."""
        self._until: dict[_Place, tuple[float, str]] = {}

    def note(self, target: _Place, why: str, *, now: float, for_s: float = DEFAULT_PENALTY_S) -> None:
        """The target failed."""
        if for_s > 0:
            self._until[target] = (now + min(for_s, LONGEST_PENALTY_S), why)

    def lift(self, target: _Place) -> None:
        """The target works."""
        self._until.pop(target, None)

    def standing(self, *, now: float) -> Mapping[_Place, str]:
        """The targets that are penalised at `now`, each with why."""
        self._until = {target: entry for target, entry in self._until.items() if entry[0] > now}
        return {target: why for target, (_, why) in self._until.items()}

    def sort(self, targets: Iterable[_Place], *, now: float) -> list[_Place]:
        """The targets in their order, those that failed behind the others, soonest forgiven first."""
        self.standing(now=now)
        return sorted(targets, key=lambda target: self._until.get(target, (0.0, ""))[0])


def penalty_of(response: Response) -> float:
    """Seconds for which a 503 asks to be left alone (RFC 3261 §21.5.4); the default when it names none."""
    text = (response.headers.get("Retry-After") or "").split("(")[0].split(";")[0].strip(" \t")
    seconds = decimal(text, below=2**32)
    return DEFAULT_PENALTY_S if seconds is None else float(seconds)
