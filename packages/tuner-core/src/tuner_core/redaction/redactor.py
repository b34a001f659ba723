"""`Redaction`: what must not leave this machine, or rest on its disk, taken out of texts and tool values."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from tuner_core.errors import ConfigError
from tuner_core.events import CallEvent
from tuner_core.redaction import events, payload
from tuner_core.redaction.rules import BUILT_IN
from tuner_core.redaction.texts import Hook, Redactor, rules_from
from tuner_core.repair.values import Repairs, as_json


class Redaction:
    r"""Takes card numbers, telephone numbers, e-mail addresses and what you name out of every text.

    ```python
    redaction = Redaction()                                                   # cards, phones, emails
    redaction = Redaction(["cards"], patterns={"account": r"\bAC-\d{8}\b"})   # AC-12345678 becomes [account]
    redaction = Redaction(hook=lambda text, place: scrub(text))
    conform(record, redaction=redaction)
    ```

    It is applied before a record or a checkpoint is stored. What is found becomes `[card]`, `[phone]`, `[email]`;
    the repairs of the record say how often in which field, never what. In a row the `words` lose what their `text`
    loses. Numbers in tool values are looked at as well as texts.

    Left alone are the fields that say which call it is: `call_id`, `sip_call_id`, `sip_headers`, `recipient`,
    recording URLs, ids and names of tools, ids of turns. A number that is spread over several turns is not found.

    Pure: the same input gives the same output, nothing is kept.

    Args:
        rules: names of built-in rules: `cards` (13 to 19 digits whose Luhn sum holds), `phones`, `emails`. Grouped,
            spoken in English digit by digit, or written out (`name at example dot com`) all count.
        patterns: your own regular expressions by name; the replacement is the name in brackets, unless a pair of
            pattern and replacement (as `re.sub` takes it) is given. They are tried before the built-in rules.
        hook: called as `hook(text, place)` with each text and number after the rules; gives the text to keep. The
            place is its field, such as `transcript_with_tool_calls[3].tool.params.card`, or for a checkpoint
            `tool.params.card`. When it raises or gives no text, the text is withheld.
        caller_number: mask `caller_phone_number` too.

    Raises:
        ConfigError: a rule's name is unknown, or a pattern does not compile.
    """

    def __init__(
        self,
        rules: Iterable[str] = tuple(BUILT_IN),
        *,
        patterns: Mapping[str, str | re.Pattern[str] | tuple[str | re.Pattern[str], str]] | None = None,
        hook: Hook | None = None,
        caller_number: bool = False,
    ) -> None:
        if isinstance(rules, str):
            raise ConfigError("rules is a list of names, such as ['cards'], not one text")
        self._redactor = Redactor(rules_from(tuple(rules), patterns or {}), hook)
        self._caller_number = caller_number

    def __repr__(self) -> str:
        extras = ", with a hook" if self._redactor.hook else ""
        return f"<Redaction by {', '.join(self._redactor.names) or 'no rule'}{extras}>"

    def redact_text(self, text: str, *, place: str = "") -> str:
        """`text` redacted.

        Args:
            text: any text.
            place: told to the hook.
        """
        return self._redactor.text(text, place, {})

    def redact_value(self, value: Any, *, place: str = "") -> Any:
        """Any value as a JSON value, with the texts and numbers in it redacted.

        Args:
            value: it is not changed.
            place: told to the hook, with the member's own path behind it.
        """
        return self._redactor.value(as_json(value, field=place, repairs=Repairs()), place, {})

    def redact_payload(self, body: Mapping[str, Any]) -> tuple[dict[str, Any], tuple[str, ...]]:
        """A Create Call body redacted, and what was redacted by field and count.

        Args:
            body: as `conform` gives it; it is not changed.
        """
        repairs = Repairs()
        return self.redact_into(body, repairs), repairs.listed()

    def redact_into(self, body: Mapping[str, Any], repairs: Repairs) -> dict[str, Any]:
        """As `redact_payload`; the notes join those of other repairs.

        Args:
            body: as `conform` gives it; it is not changed.
            repairs: gets the notes.
        """
        return payload.redact(body, self._redactor, repairs, caller_number=self._caller_number)

    def redact_event(self, event: CallEvent) -> CallEvent:
        """One event redacted, for a checkpoint.

        A pressed key becomes `x`, since one digit alone does not show what number it belongs to. Tool values become
        JSON values.

        Args:
            event: it is not changed.
        """
        return events.redact(event, self._redactor)
