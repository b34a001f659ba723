from __future__ import annotations

import re
from collections import defaultdict

from tuner_sipbridge.agents.language_model import arpa

PHRASES = [[(("where",), ("is",), ("it", "that"))], [(("yes",),), (("no",),)]]
GENERAL = {"hello": 0.01, "is": 0.02}


def parsed(text: str) -> dict[tuple[str, ...], tuple[float, float]]:
    """Words to probability and back-off weight."""
    grams: dict[tuple[str, ...], tuple[float, float]] = {}
    order = 0
    for line in text.splitlines():
        section = re.fullmatch(r"\\(\d)-grams:", line)
        if section:
            order = int(section[1])
        elif order and line and not line.startswith("\\"):
            score, *rest = line.split()
            weight = float(rest[order]) if len(rest) > order else 0.0
            grams[tuple(rest[:order])] = (10 ** float(score), 10**weight)
    return grams


def probability(
    grams: dict[tuple[str, ...], tuple[float, float]], context: tuple[str, ...], word: str
) -> float:
    if (*context, word) in grams:
        return grams[(*context, word)][0]
    weight = grams.get(context, (0.0, 1.0))[1]
    return weight * probability(grams, context[1:], word)


def test_every_context_is_a_distribution() -> None:
    grams = parsed(arpa(PHRASES, GENERAL))
    words = [gram[0] for gram in grams if len(gram) == 1 and gram[0] != "<s>"]
    contexts = {gram[:-1] for gram in grams}
    for context in contexts:
        assert abs(sum(probability(grams, context, word) for word in words) - 1) < 0.01, context


def test_each_group_of_phrases_weighs_the_same() -> None:
    grams = parsed(arpa(PHRASES, {}))
    assert abs(probability(grams, ("<s>",), "where") - 2 * probability(grams, ("<s>",), "yes")) < 0.1


def test_words_outside_the_phrases_stay_possible() -> None:
    assert probability(parsed(arpa(PHRASES, GENERAL)), ("where", "is"), "hello") > 0


def test_the_head_counts_what_follows() -> None:
    text = arpa(PHRASES, GENERAL)
    counts: dict[int, int] = defaultdict(int)
    for gram in parsed(text):
        counts[len(gram)] += 1
    for order in (1, 2, 3):
        assert f"ngram {order}={counts[order]}" in text
