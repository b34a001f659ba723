from __future__ import annotations

import pytest

from tuner_sipbridge.agents.vocabulary import PHRASES, SLOTS, expand


def sentences(template: str) -> list[str]:
    return [" ".join(place[0] for place in sentence) for sentence in expand(template)]


def test_alternatives_and_options_nest() -> None:
    assert sentences("(a|b [c]) d") == ["a d", "b c d", "b d"]


def test_a_slot_stays_one_place_with_all_its_words() -> None:
    assert expand("order <digit>") == [(("order",), SLOTS["digit"])]


@pytest.mark.parametrize("wrong", ["(a|b", "a)", "[a", "<nothing>"])
def test_a_faulty_template_is_refused(wrong: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        expand(wrong)


def test_every_phrase_can_be_expanded() -> None:
    assert all(expand(phrase) for phrase in PHRASES)
