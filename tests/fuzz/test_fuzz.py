"""The saved inputs, and a few thousand damaged ones: `make fuzz` has more."""

from __future__ import annotations

from itertools import islice

import pytest
from tests.fuzz.targets import TARGETS, corpus_of

from tuner_sipbridge.testing.mutation import mutations

INPUTS = {"call": 300, "description": 1000}
"""Fewer than of the others, for one costs more."""


@pytest.mark.parametrize("name", TARGETS)
def test_saved_inputs_pass(name: str):
    corpus = corpus_of(name)
    assert len(corpus) >= 5
    for data in corpus:
        TARGETS[name](data)


@pytest.mark.parametrize("name", TARGETS)
def test_damaged_inputs_pass(name: str):
    for data in islice(mutations(corpus_of(name), seed=4475), INPUTS.get(name, 3000)):
        TARGETS[name](data)


def test_damage_is_the_same_for_the_same_seed():
    seeds = corpus_of("message")
    first, again, other = (list(islice(mutations(seeds, seed=seed), 50)) for seed in (1, 1, 2))
    assert first == again
    assert first != other
