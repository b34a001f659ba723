"""Runs of digits in a text, as people write them and as speech recognisers write what people say."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

_SPOKEN = {
    "zero": "0",
    "oh": "0",
    "o": "0",
    "one": "1",
    "two": "2",
    "three": "3",
    "four": "4",
    "five": "5",
    "six": "6",
    "seven": "7",
    "eight": "8",
    "nine": "9",
}
_REPEATED = {"double": 2, "triple": 3}
_NAMES = "|".join(_SPOKEN)
_WORD = rf"\b(?:(?:double|triple)[ -](?:{_NAMES}|\d)|{_NAMES})\b"
_TOKEN = rf"(?:\d+|{_WORD})"
_GAP = r"[ \t\u00a0\u202f.()/,\u2010-\u2015-]{1,3}"
_RUN = re.compile(rf"(?:\+ ?|\bplus )?{_TOKEN}(?:{_GAP}{_TOKEN})*", re.IGNORECASE)
_GROUP = re.compile(_TOKEN, re.IGNORECASE)

_NOT_A_NUMBER = re.compile(
    r"(?<![\d./-])\d{4}([-./])\d{1,2}\1\d{1,2}(?![\d./-]*\d)"  # 2026-01-31
    r"|(?<![\d./-])\d{1,2}([-./])\d{1,2}\2(?:\d{4}|\d{2})(?![-./]?\d)"  # 31.01.2026
    r"|(?:\b|(?<=T))\d{1,2}:\d\d(?::\d\d(?:[.,]\d+)?)?(?:Z|[+-]\d\d:?\d\d)?(?!\w)"  # 10:30:00.125+02:00
    r"|\b[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}\b"  # UUID
    r"|(?<![\d.])(?:25[0-5]|2[0-4]\d|1?\d?\d)(?:\.(?:25[0-5]|2[0-4]\d|1?\d?\d)){3}(?!\.?\d)",  # IPv4
    re.IGNORECASE,
)
_DIGITS = b"0123456789"
_LETTER_O = re.compile(r"\bo\b")
_SHORT_NAMES = tuple(name for name in _SPOKEN if name != "o")


@dataclass(frozen=True, slots=True)
class Group:
    """Digits written together, or one spoken digit (`double five` is two of it).

    Attributes:
        start: first character in the text.
        end: behind its last character.
        digits: ASCII digits.
        gap: what stands between the group before and this one; empty for the first.
    """

    start: int
    end: int
    digits: str
    gap: str = ""


@dataclass(frozen=True, slots=True)
class Run:
    """Groups of digits with nothing but separators between them.

    Attributes:
        start: first character, the plus sign included.
        end: behind the last character.
        groups: at least one.
        plus: a plus sign, written or spoken, stands before the first.
    """

    start: int
    end: int
    groups: tuple[Group, ...]
    plus: bool = False

    @property
    def digits(self) -> str:
        """All digits in one."""
        return "".join(group.digits for group in self.groups)

    def part(self, first: int, last: int) -> Run:
        """The run of the groups `first` up to `last`, the latter left out."""
        groups = self.groups[first:last]
        start = self.start if first == 0 else groups[0].start
        return Run(start, groups[-1].end, groups, self.plus and first == 0)


def most_digits(text: str) -> int:
    """No run in `text` has more digits than this; cheap, for most texts hold none."""
    raw = text.encode("utf-8", "replace")
    written = len(raw) - len(raw.translate(None, _DIGITS))
    if len(raw) != len(text):
        written = sum(map(str.isdecimal, text))
    lowered = text.lower()
    spoken = 0
    for name in _SHORT_NAMES:
        if name in lowered:
            spoken += lowered.count(name)
    if spoken:
        spoken += len(_LETTER_O.findall(lowered))
    if "double" in lowered or "triple" in lowered:
        return (written + spoken) * 3
    return written + spoken


def runs(text: str, at_least: int) -> Iterator[Run]:
    """The runs of `at_least` digits or more, from the left; dates, times, UUIDs and IP addresses are none.

    No run goes on in the next line, so a long text costs what those of its lines cost that hold digits at all.
    """
    start = 0
    for line in text.split("\n"):
        if len(line) == len(text) or most_digits(line) >= at_least:
            yield from _runs_in(line, start, at_least)
        start += len(line) + 1


def _runs_in(line: str, offset: int, at_least: int) -> Iterator[Run]:
    """The runs of a line that begins at `offset` of its text."""
    blanked = _NOT_A_NUMBER.sub(lambda match: "\x00" * len(match[0]), line)
    for match in _RUN.finditer(blanked):
        groups = tuple(_groups(blanked, match, offset))
        run = Run(offset + match.start(), offset + match.end(), groups, match[0][:1] in "+pP")
        if len(run.digits) >= at_least:
            yield run


def _groups(line: str, run: re.Match[str], offset: int) -> Iterator[Group]:
    before = -1
    for match in _GROUP.finditer(line, *run.span()):
        gap = line[before : match.start()] if before >= 0 else ""
        yield Group(offset + match.start(), offset + match.end(), _digits(match[0]), gap)
        before = match.end()


def _digits(token: str) -> str:
    if token.isdecimal():
        return "".join(str(int(digit)) for digit in token)
    *repeat, word = token.lower().replace("-", " ").split()
    digit = _SPOKEN.get(word) or str(int(word))
    return digit * (_REPEATED[repeat[0]] if repeat else 1)
