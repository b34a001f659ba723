"""Whose payload it is: every known shape is tried, the best match wins, equal ones by the registry's order."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from tuner_core.identity.description import Provider, Shape
from tuner_core.identity.fields import Fields
from tuner_core.identity.registry import providers, registered_providers

_WITH_PATTERN = 3


@dataclass(frozen=True, slots=True)
class Match:
    """A provider and the shape in which it shows this payload; None for a payload of unknown shape."""

    provider: Provider
    shape: Shape | None


def detect(fields: Fields) -> Match | None:
    """The provider that the payload's shape gives away, a registered one before all built-in ones."""
    own = registered_providers()
    return _best(own, fields) or _best((known for known in providers() if known not in own), fields)


def shape_of(provider: Provider, fields: Fields) -> Match:
    """The shape in which a provider, known beforehand, shows this payload."""
    return _best((provider,), fields) or Match(provider, None)


def _best(candidates: Iterable[Provider], fields: Fields) -> Match | None:
    best: Match | None = None
    highest = 0
    for provider in candidates:
        fitting = [(shape, score) for shape in provider.shapes if (score := _score(shape, fields))]
        score = max((score for _, score in fitting), default=0)
        if score > highest:
            best, highest = Match(provider, fitting[0][0]), score
    return best


def _score(shape: Shape, fields: Fields) -> int:
    """How well a payload fits a shape: 0 when something it needs is missing."""
    total = 0
    for place, pattern in shape.needs.items():
        found = fields.at(place)
        if not found or (pattern and not any(re.fullmatch(pattern, entry.text) for entry in found)):
            return 0
        total += _WITH_PATTERN if pattern else 1
    return total + sum(1 for place in shape.also if fields.at(place))
