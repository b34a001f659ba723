"""An n-gram language model made of phrases, mixed with general English, written as ARPA text.

Interpolated (Jelinek-Mercer) trigrams: each order keeps a fixed share for the order below, which ARPA's
back-off weights express exactly. The lowest order mixes the phrases' own words with the general model's, so
that a caller who says something else is still heard, only less surely.
"""

from __future__ import annotations

import itertools
import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from tuner_sipbridge.agents.vocabulary import Sentence

_ORDER_SHARE = 0.75
"""How much of the probability the longest known context decides; the rest falls to the shorter one."""
_DOMAIN_SHARE = 0.5
"""The phrases' share of the single words; general English has the rest."""
_START, _END = "<s>", "</s>"


def arpa(phrases: Iterable[Sequence[Sentence]], general: Mapping[str, float]) -> str:
    """A trigram model in ARPA format.

    Args:
        phrases: groups of sentences, each a sequence of places with the words that may stand there; every
            group weighs the same however many sentences it holds.
        general: probability of each word of general English; need not sum to one.
    """
    counts = _weighted_counts(phrases)
    words = _unigrams(counts[0], general)
    probability: dict[tuple[str, ...], float] = {(word,): p for word, p in words.items()}
    lines = ["\\1-grams:"]
    bigram_contexts, trigram_contexts = _contexts(counts[1]), _contexts(counts[2])
    for word in (_START, *words):
        weight = _backoff((word,), bigram_contexts)
        lines.append(f"{_log(words.get(word, 0.0))} {word} {weight}")
    for order, contexts in ((2, bigram_contexts), (3, trigram_contexts)):
        lines += ["", f"\\{order}-grams:"]
        for gram, count in sorted(counts[order - 1].items()):
            below = probability[gram[1:]]
            share = count / contexts[gram[:-1]]
            probability[gram] = _ORDER_SHARE * share + (1 - _ORDER_SHARE) * below
            weight = f" {_backoff(gram, trigram_contexts)}" if order == 2 else ""
            lines.append(f"{_log(probability[gram])} {' '.join(gram)}{weight}")
    sizes = (len(words) + 1, len(counts[1]), len(counts[2]))
    head = ["\\data\\", *(f"ngram {order}={size}" for order, size in enumerate(sizes, start=1)), ""]
    return "\n".join([*head, *lines, "", "\\end\\", ""])


def _weighted_counts(phrases: Iterable[Sequence[Sentence]]) -> list[dict[tuple[str, ...], float]]:
    windows: list[dict[Sentence, float]] = [defaultdict(float) for _ in range(3)]
    for group in phrases:
        for sentence in group:
            padded = ((_START,), *sentence, (_END,))
            for order in (1, 2, 3):
                for index in range(len(padded) - order + 1):
                    windows[order - 1][padded[index : index + order]] += 1 / len(group)
    counts: list[dict[tuple[str, ...], float]] = [defaultdict(float) for _ in range(3)]
    for seen, total in zip(windows, counts, strict=True):
        for window, weight in seen.items():
            share = weight / math.prod(len(place) for place in window)
            for gram in itertools.product(*window):
                total[gram] += share
    counts[0].pop((_START,), None)
    return counts


def _unigrams(domain: Mapping[tuple[str, ...], float], general: Mapping[str, float]) -> dict[str, float]:
    domain_total, general_total = sum(domain.values()), sum(general.values())
    words = sorted({gram[0] for gram in domain} | set(general))
    domain_share = _DOMAIN_SHARE if general_total else 1.0
    return {
        word: domain_share * domain.get((word,), 0.0) / domain_total
        + (1 - domain_share) * general.get(word, 0.0) / (general_total or 1.0)
        for word in words
    }


def _contexts(counts: Mapping[tuple[str, ...], float]) -> dict[tuple[str, ...], float]:
    totals: dict[tuple[str, ...], float] = defaultdict(float)
    for gram, count in counts.items():
        totals[gram[:-1]] += count
    return dict(totals)


def _backoff(gram: tuple[str, ...], contexts: Mapping[tuple[str, ...], float]) -> str:
    return _log(1 - _ORDER_SHARE) if gram in contexts else _log(1.0)


def _log(probability: float) -> str:
    return f"{math.log10(probability):.4f}" if probability > 0 else "-99"
