"""The rules of one redaction applied to a text, a JSON value, and a list of words."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias, cast

from tuner_core.errors import ConfigError
from tuner_core.redaction.digits import most_digits
from tuner_core.redaction.rules import BUILT_IN

Hook: TypeAlias = Callable[[str, str], str]
"""`hook(text, place)` gives the text to keep; see `Redaction`."""

Found: TypeAlias = dict[str, int]
"""How often each rule found something."""

WITHHELD = "[withheld]"
"""Stands for a text whose hook failed."""

FAILED_HOOK = "a hook that failed"
_BY_HOOK = "the hook"
_SHORTEST_NUMBER = 10**6
_SHORTEST_FIND = 6
_PLAIN_KEY = re.compile(r"[A-Za-z_]{1,64}")
_LARGEST_EXACT_FLOAT = 2.0**53


@dataclass(frozen=True, slots=True)
class Finding:
    """A place in a text, and what stands there instead."""

    start: int
    end: int
    replacement: str


@dataclass(frozen=True, slots=True)
class Rule:
    """A name for the notes, what finds, and how many digits a text must have to be worth a look."""

    name: str
    find: Callable[[str], Sequence[Finding]]
    least_digits: int = 0


def built_in(name: str) -> Rule:
    """The rule of this name.

    Raises:
        ConfigError: there is none.
    """
    known = BUILT_IN.get(name)
    if known is None:
        raise ConfigError(
            f"no redaction rule is called {name[:40]!r}: there are {', '.join(sorted(BUILT_IN))}"
        )
    spans, replacement = known.find, known.replacement
    return Rule(
        name,
        lambda text: [Finding(start, end, replacement) for start, end in spans(text)],
        known.least_digits,
    )


def custom(name: str, pattern: str | re.Pattern[str], replacement: str | None = None) -> Rule:
    r"""A rule of the user's.

    Args:
        name: for the notes, and in brackets the replacement when none is given.
        pattern: a regular expression; a match of no length counts as none.
        replacement: as `re.sub` takes it, so `\1` is the first group.

    Raises:
        ConfigError: the pattern or the replacement does not compile.
    """
    template = f"[{name}]".replace("\\", r"\\") if replacement is None else replacement
    try:
        compiled = re.compile(pattern)
        compiled.sub(template, "")
    except (re.error, IndexError, TypeError) as error:
        raise ConfigError(f"redaction pattern {name[:40]!r} does not compile: {error}") from None

    def find(text: str) -> list[Finding]:
        return [
            Finding(match.start(), match.end(), match.expand(template))
            for match in compiled.finditer(text)
            if match.end() > match.start()
        ]

    return Rule(name, find)


class Redactor:
    """Rules, then the hook, over texts and values.

    Args:
        rules: applied in this order, each to what the one before left.
        hook: called with each text after the rules, None for no hook.
    """

    def __init__(self, rules: Sequence[Rule], hook: Hook | None) -> None:
        self._rules = tuple(rules)
        self.hook = hook
        self.names = tuple(rule.name for rule in rules)
        self._counts_digits = any(rule.least_digits for rule in rules)
        self._shortest = _SHORTEST_FIND if all(name in BUILT_IN for name in self.names) else 0

    def text(self, text: str, place: str, found: Found) -> str:
        """`text` after rules and hook.

        Args:
            text: to be redacted.
            place: told to the hook.
            found: counts what was redacted.
        """
        text = self.by_rules(text, found)
        return text if self.hook is None else self._by_hook(self.hook, text, place, found)

    def by_rules(self, text: str, found: Found) -> str:
        """`text` after the rules alone."""
        if len(text) < self._shortest:
            return text
        digits = most_digits(text) if self._counts_digits else 0
        for rule in self._rules:
            if rule.least_digits > digits:
                continue
            findings = rule.find(text)
            if findings:
                found[rule.name] = found.get(rule.name, 0) + len(findings)
                text = _replaced(text, findings)
        return text

    def value(self, value: Any, place: str, found: Found) -> Any:
        """A JSON value with every text in it redacted; a number that a rule finds becomes text.

        Keys of letters alone stay; in others the rules are looked for too.
        """
        kind = cast("type[Any]", type(value))
        if kind is str:
            return self.text(value, place, found)
        if value is None or kind is bool:
            return value
        if kind is int or kind is float:
            short = self.hook is None and -_SHORTEST_NUMBER < value < _SHORTEST_NUMBER
            return value if short else self._number(value, place, found)
        hooked = self.hook is not None
        if kind is list:
            return [
                self.value(item, f"{place}[{index}]" if hooked else "", found)
                for index, item in enumerate(value)
            ]
        return self._object(value, place, found) if kind is dict else value

    def words(self, words: Sequence[str], lost: Found) -> list[tuple[int, int, str]] | None:
        """The words that may stay when their text was redacted.

        Args:
            words: in order.
            lost: what the rules and the hook found in the text that these words make.

        Returns:
            For each word that stays its first and last index (they differ where several became one replacement)
            and its text; None when the words may hold what the text lost, so that none can stay.
        """
        if _BY_HOOK in lost or FAILED_HOOK in lost:
            return None
        joined = " ".join(words)
        findings: list[Finding] = []
        for rule, own in self._findings(joined):
            findings.extend(own)
            lost = {name: count - len(own) * (name == rule.name) for name, count in lost.items()}
        if any(count > 0 for count in lost.values()):
            return None
        return _masked(words, sorted(findings, key=lambda finding: finding.start))

    def finds_nothing(self, text: str) -> bool:
        """True when no rule finds anything in `text`."""
        return next(self._findings(text), None) is None

    def _findings(self, text: str) -> Iterator[tuple[Rule, Sequence[Finding]]]:
        digits = most_digits(text) if self._counts_digits else 0
        for rule in self._rules:
            if rule.least_digits <= digits:
                findings = rule.find(text)
                if findings:
                    yield rule, findings

    def _object(self, value: dict[str, Any], place: str, found: Found) -> dict[str, Any]:
        hooked = self.hook is not None
        kept: dict[str, Any] = {}
        for key, member in value.items():
            name = key if _PLAIN_KEY.fullmatch(key) else self.by_rules(key, found)
            if name != key and name in value:
                name = f"{name} {len(kept) + 1}"
            while name in kept:
                name = f"{name}'"
            kept[name] = self.value(member, f"{place}.{name}" if hooked else "", found)
        return kept

    def _number(self, value: int | float, place: str, found: Found) -> Any:
        whole = value
        if isinstance(value, float):
            whole = int(value) if value.is_integer() and abs(value) <= _LARGEST_EXACT_FLOAT else 0
        if self.hook is None and not whole:
            return value
        text = str(whole) if abs(whole) >= _SHORTEST_NUMBER else repr(value)
        redacted = self.text(text, place, found)
        return value if redacted == text else redacted

    @staticmethod
    def _by_hook(hook: Hook, text: str, place: str, found: Found) -> str:
        try:
            kept = hook(text, place)
        except Exception:  # a hook is the user's code
            kept = None
        if not isinstance(kept, str):
            found[FAILED_HOOK] = found.get(FAILED_HOOK, 0) + 1
            return WITHHELD
        if kept != text:
            found[_BY_HOOK] = found.get(_BY_HOOK, 0) + 1
        return kept


def rules_from(
    names: Sequence[str], patterns: Mapping[str, str | re.Pattern[str] | tuple[str | re.Pattern[str], str]]
) -> list[Rule]:
    """The user's patterns, then the built-in rules, in the order given.

    Raises:
        ConfigError: a name is unknown, or a pattern does not compile.
    """
    rules: list[Rule] = []
    for name, given in patterns.items():
        rules.append(custom(name, *given) if isinstance(given, tuple) else custom(name, given))
    return rules + [built_in(name) for name in names]


def _replaced(text: str, findings: Sequence[Finding]) -> str:
    parts: list[str] = []
    position = 0
    for finding in findings:
        if finding.start < position:
            position = max(position, finding.end)
            continue
        parts += (text[position : finding.start], finding.replacement)
        position = finding.end
    return "".join((*parts, text[position:]))


def _masked(words: Sequence[str], findings: Sequence[Finding]) -> list[tuple[int, int, str]]:
    kept: list[tuple[int, int, str]] = []
    current: Finding | None = None
    waiting = iter(findings)
    finding = next(waiting, None)
    start = 0
    for index, word in enumerate(words):
        while finding is not None and finding.end <= start:
            finding = next(waiting, None)
        if finding is None or finding.start >= start + max(len(word), 1):
            kept.append((index, index, word))
        elif finding is current:
            first, _, text = kept[-1]
            kept[-1] = (first, index, text)
        else:
            kept.append((index, index, finding.replacement))
            current = finding
        start += len(word) + 1
    return kept
