"""The built-in rules: where a text holds a payment card, a telephone number or an e-mail address."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import MappingProxyType
from typing import TypeAlias

from tuner_core.redaction.digits import Run, runs

Span: TypeAlias = tuple[int, int]
"""First character and the one behind the last."""

_CARD_DIGITS = (16, 15, 14, 13, 19, 18, 17)
_CARD_SHORTEST = min(_CARD_DIGITS)
_PHONE_DIGITS = (7, 15)
_BARE_PHONE_DIGITS = (10, 13)
_DOUBLED = (0, 2, 4, 6, 8, 1, 3, 5, 7, 9)


def cards(text: str) -> list[Span]:
    """Payment card numbers (ISO/IEC 7812): 13 to 19 digits, also grouped or spoken, whose Luhn sum holds.

    A first digit 0, 1 or 7 is no bank's, which leaves Unix times in milliseconds alone.
    """
    return [span for run in runs(text, _CARD_SHORTEST) for span in _cards_in(run)]


def phones(text: str) -> list[Span]:
    """Telephone numbers of 7 to 15 digits (E.164), international or national, grouped or spoken.

    Digits in one piece count when they start with `+`, `00` or `0`, or are 10 to 13 and no Unix time. Digits in
    groups count from 7 up. Dates, times, decimals, IP addresses, UUIDs and cards do not.
    """
    spans: list[Span] = []
    for run in runs(text, _PHONE_DIGITS[0]):
        for part in _without_cards(run):
            spans.extend(_phones_in(part, text))
    return spans


_ADDRESS = re.compile(
    r"(?:(?<=[\s<(\[{\"',:;=])|^)[^\s@<>(){}\[\]\"',:;=]{1,64}@(?:[\w-]{1,63}\.){1,8}[^\W\d_][\w-]{0,62}",
    re.MULTILINE,
)
_TLD = (
    r"(?:com|org|net|edu|gov|info|biz|io|ai|dev|app|me|co|tv|cloud|email|online|uk|us|ca|au|nz|ie|in|de|at|ch|fr|es"
    r"|it|nl|be|pt|pl|se|no|dk|fi|cz|hu|ro|gr|il|za|br|mx|ar|cl|jp|kr|cn|hk|sg|tr|ru|ua)"
)
_JOINT = r"(?: (?:dot|underscore|dash|hyphen|plus|minus) |[.+-])"
_HEARD_DOMAIN = (
    rf" (?:at|@) (?:[\w-]{{1,63}} ){{0,3}}?[\w-]{{1,63}}(?: dot |\.)(?:\w{{1,20}}(?: dot |\.))?{_TLD}\b"
)
_HEARD_ADDRESS = re.compile(
    rf"(?:(?:\b\w[ -]){{2,30}}|\b)\w{{1,64}}(?:{_JOINT}\w{{1,64}}){{0,5}}{_HEARD_DOMAIN}", re.IGNORECASE
)
_HEARD_AT = re.compile(_HEARD_DOMAIN, re.IGNORECASE)


def emails(text: str) -> list[Span]:
    """E-mail addresses: `name@example.com`, and as heard: `name at example dot com`, `n a m e at example.com`.

    A phrase of that form (`look at example dot com`) is taken for one: better one too many.
    """
    written = "@" in text
    spans = [match.span() for match in _ADDRESS.finditer(text)] if written else []
    heard = " at " in text or (written and " @ " in text) or " at " in text.lower()
    if heard and _HEARD_AT.search(text):
        spans += [match.span() for match in _HEARD_ADDRESS.finditer(text)]
        spans.sort()
    return spans


@dataclass(frozen=True, slots=True)
class BuiltIn:
    """One built-in rule.

    Attributes:
        find: gives the spans, from the left.
        replacement: what stands in their place.
        least_digits: a text that holds fewer digits need not be looked at.
    """

    find: Callable[[str], list[Span]]
    replacement: str
    least_digits: int = 0


BUILT_IN: MappingProxyType[str, BuiltIn] = MappingProxyType(
    {
        "cards": BuiltIn(cards, "[card]", _CARD_SHORTEST),
        "phones": BuiltIn(phones, "[phone]", _PHONE_DIGITS[0]),
        "emails": BuiltIn(emails, "[email]"),
    }
)
"""The built-in rules by name."""


def luhn_holds(digits: str) -> bool:
    """True when the check digit of ISO/IEC 7812-1, Annex B, is right."""
    total = sum(map(int, digits[-1::-2])) + sum(_DOUBLED[int(digit)] for digit in digits[-2::-2])
    return total % 10 == 0


def _card_groups(run: Run) -> Iterator[tuple[int, int]]:
    """Each card as the run's first group and the one behind its last."""
    if run.plus and len(run.digits) <= _PHONE_DIGITS[1]:
        return
    first, count = 0, len(run.groups)
    while first < count:
        last = _card_end(run, first)
        if last is not None:
            yield first, last
        first = last or first + 1


def _card_end(run: Run, first: int) -> int | None:
    if run.groups[first].digits[0] in "017":
        return None
    ends: dict[int, int] = {}
    digits = ""
    for index in range(first, len(run.groups)):
        digits += run.groups[index].digits
        if len(digits) > max(_CARD_DIGITS):
            break
        ends[len(digits)] = index + 1
    for length in _CARD_DIGITS:
        if length in ends and len(set(digits[:length])) > 1 and luhn_holds(digits[:length]):
            return ends[length]
    return None


def _cards_in(run: Run) -> Iterator[Span]:
    for first, last in _card_groups(run):
        yield run.groups[first].start, run.groups[last - 1].end


def _without_cards(run: Run) -> Iterator[Run]:
    start = 0
    for first, last in _card_groups(run):
        if first > start:
            yield run.part(start, first)
        start = last
    if start < len(run.groups):
        yield run.part(start, len(run.groups))


def _phones_in(run: Run, text: str) -> Iterator[Span]:
    for part in _split(run):
        if _is_phone(part, text):
            start = part.start
            if start > 0 and text[start - 1] == "(":
                start -= 1
            yield start, part.end


def _split(run: Run) -> Iterator[Run]:
    """Numbers listed one behind the other, apart."""
    if _reads_as_one(run):
        yield run
        return
    start = 0
    spaced = any(gap.strip(" \t") for gap in (group.gap for group in run.groups[1:]) if "," not in gap)
    for index, group in enumerate(run.groups):
        listed = "," in group.gap or "(" in group.gap or (spaced and group.gap.isspace())
        if index and listed:
            yield run.part(start, index)
            start = index
    yield run.part(start, len(run.groups))


def _reads_as_one(run: Run) -> bool:
    count = len(run.digits)
    if any("," in group.gap for group in run.groups):
        return count in {7, 10, 11} and (len(run.groups[-1].digits) == 4 or count == len(run.groups))
    return count <= _PHONE_DIGITS[1]


def _is_phone(run: Run, text: str) -> bool:
    digits, least, most = run.digits, *_PHONE_DIGITS
    if not least <= len(digits) <= most + 2 or _inside_a_word(run, text):
        return False
    if run.plus:
        return len(digits) <= most
    if digits.startswith("00") and digits[2:3] != "0":
        return len(digits) >= least + 2
    if len(digits) > most:
        return False
    if len(run.groups) == 1:
        return _is_bare_phone(digits)
    decimal = len(run.groups) == 2 and run.groups[1].gap in {".", ",", "/"}
    return not decimal


def _is_bare_phone(digits: str) -> bool:
    least, most = _BARE_PHONE_DIGITS
    if digits[0] == "0":
        return digits[1] != "0" and least - 1 <= len(digits) <= most
    if digits[0] == "1":
        return len(digits) == 11 and digits[1] in "23456789"
    return least <= len(digits) <= most


def _inside_a_word(run: Run, text: str) -> bool:
    before, behind = text[run.start - 1 : run.start], text[run.end : run.end + 1]
    return before.isalpha() or before == "_" or behind.isalpha() or behind == "_"
