"""The brain of the reference agents: the front desk of a small shop, as a pure function of the conversation.

It stands where a language model would stand: each time the framework wants an answer it hands over the whole
conversation, and gets back what to say, which tool to call, and whether the call is over. It matches loosely,
because a telephone recogniser mishears.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from tuner_sipbridge.agents.vocabulary import DIGITS

MODEL = "front-desk-rules"
"""Name of this brain where a record names the language model."""

GREETING = "Hello, this is the front desk of Harbour Books. How can I help you?"
"""What the agent says when it answers."""

LOOK_UP_ORDER = "look_up_order"
"""Name of the tool; its one argument is `order_number`, a string of three digits."""

_FILLER = "One moment, I will look that up."
_ASK_NUMBER = (
    "I can look that up for you. What is your order number? Say it, or type it on your keypad and press hash."
)
_ASK_ADDRESS = "Of course. What is the new delivery address?"
_HOURS = (
    "We are open from nine in the morning until six in the evening, Monday to Friday. "
    "On Saturday we are open from ten until four. On Sunday we are closed."
)
_ANYTHING_ELSE = "Is there anything else?"
_CALL_BACK = f"I am passing that on to a colleague, who will call you back today. {_ANYTHING_ELSE}"
_GO_AHEAD = "Sure, go ahead."
_OFFER = "What can I do for you?"
_GOODBYE = "Thank you for calling Harbour Books. Goodbye."
_SORRY = (
    "Sorry, I did not catch that. I can look up an order, change an address, or tell you when we are open."
)
_MORE = "Is there anything else I can do for you?"

FIRST_SENTENCES = (
    "Hello, this is the front desk of Harbour Books.",
    _FILLER,
    *(
        text.partition(". ")[0] + "." if ". " in text else text
        for text in (
            _ASK_NUMBER,
            _ASK_ADDRESS,
            _HOURS,
            _CALL_BACK,
            _GO_AHEAD,
            _OFFER,
            _GOODBYE,
            _SORRY,
            _MORE,
        )
    ),
)
"""How each fixed answer begins: rendered beforehand, the caller does not wait for the voice."""

_STATUSES = (
    "left our warehouse this morning and will be delivered tomorrow before noon",
    "is out for delivery and will be with you this afternoon",
    "is being packed and will leave our warehouse tonight",
)
_NUMBER_LENGTH = 3
_HOMOPHONES = {"oh": "0", "o": "0", "won": "1", "to": "2", "too": "2", "for": "4", "ate": "8"}
_DIGIT_OF = {word: str(value) for value, word in enumerate(DIGITS)}
_TENS = ("twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
_TENS_DIGIT = {word: str(value) for value, word in enumerate(_TENS, start=2)}
_KEYPAD = re.compile(r"^dtmf:?\s*([0-9*#]+)$")


@dataclass(frozen=True, slots=True)
class Message:
    """One entry of the conversation.

    Attributes:
        role: who: the caller, the agent, or a tool that returned.
        text: what was said; keys pressed are written `DTMF: 427#`.
        result: what the tool gave, for the role `tool`.
    """

    role: Literal["caller", "agent", "tool"]
    text: str = ""
    result: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """What the agent does next.

    Attributes:
        text: to be spoken, first; empty for nothing.
        tool: name of the tool to call, empty for none; the result comes back as a `Message`.
        arguments: the tool's arguments.
        hang_up: True when the call is over once the text has been spoken.
    """

    text: str = ""
    tool: str = ""
    arguments: Mapping[str, str] | None = None
    hang_up: bool = False


def answer(conversation: Sequence[Message]) -> Answer:
    """What to do after the last message; an empty answer when that was the agent's own or there is none."""
    desk, given = _Desk(), Answer()
    for message in conversation:
        desk, given = desk.take(message)
    return given


def look_up_order(order_number: str) -> dict[str, Any]:
    """The tool: where an order is. Orders from 900 on do not exist."""
    number = re.sub(r"\D", "", order_number)
    if len(number) != _NUMBER_LENGTH or number.startswith("9"):
        return {"order_number": number, "found": False}
    return {"order_number": number, "found": True, "status": _STATUSES[int(number) % len(_STATUSES)]}


def digits_in(text: str, *, loosely: bool = False) -> str:
    """The digits spoken or typed in `text`.

    Args:
        text: lower-case words, or `dtmf: 427#`.
        loosely: also take words that sound like digits ("to", "for"): right only where a number is expected.
    """
    keyed = _KEYPAD.match(text.strip().lower())
    if keyed:
        return re.sub(r"\D", "", keyed[1])
    found = tens = ""
    for word in _words(text):
        digit = _DIGIT_OF.get(word) or (_HOMOPHONES.get(word) if loosely else None)
        if digit:
            found, tens = found + tens + digit, ""
            continue
        found, tens = found + (tens and tens + "0"), _TENS_DIGIT.get(word, "")
        if word.isdigit():
            found += word
    return found + (tens and tens + "0")


@dataclass(frozen=True, slots=True)
class _Desk:
    """What the desk remembers of the conversation.

    Attributes:
        awaits: what the last question asked for.
        digits: digits of the order number heard so far.
        order: the last complete order number.
        last: what the agent wanted to say last, for "could you repeat that".
    """

    awaits: Literal["", "number", "address"] = ""
    digits: str = ""
    order: str = ""
    last: str = GREETING

    def take(self, message: Message) -> tuple[_Desk, Answer]:
        if message.role == "agent":
            return self, Answer()
        if message.role == "tool":
            return self._say(_told(message.result or {}), awaits=_awaits_after(message.result or {}))
        return self._hear(message.text.lower())

    def _say(self, text: str, **changes: Any) -> tuple[_Desk, Answer]:
        return replace(self, last=text, **{"awaits": "", "digits": "", **changes}), Answer(text)

    def _hear(self, text: str) -> tuple[_Desk, Answer]:
        words = set(_words(text))
        asks_for = _topic(text, words)
        declined = asks_for == "no" and self.last.endswith((_MORE, _ANYTHING_ELSE))
        if asks_for == "goodbye" or declined:
            return replace(self, awaits=""), Answer(_GOODBYE, hang_up=True)
        if asks_for in _ANSWERS:
            return self._say(_ANSWERS[asks_for], awaits="address" if asks_for == "address" else "")
        if self.awaits == "address" and len(words) >= 2:
            return self._say(f"Thank you. We will deliver to {_address_in(text)}. {_MORE}")
        if digits := digits_in(text, loosely=self.awaits == "number"):
            return self._take_digits(digits)
        if asks_for == "order":
            return self._look_up(self.order) if self.order else self._say(_ASK_NUMBER, awaits="number")
        if asks_for == "repeat":
            return self, Answer(self.last)
        return self._say(_SMALL_TALK.get(asks_for, _SORRY), awaits=self.awaits, digits=self.digits)

    def _take_digits(self, digits: str) -> tuple[_Desk, Answer]:
        together = digits if len(digits) >= _NUMBER_LENGTH else self.digits + digits
        if len(together) == _NUMBER_LENGTH:
            return self._look_up(together)
        if len(together) > _NUMBER_LENGTH:
            sorry = f"I heard {_spelt(together)}, but a number has three digits. Could you say it again?"
            return self._say(sorry, awaits="number")
        more = f"I heard {_spelt(together)}. An order number has three digits. What is the rest of it?"
        return self._say(more, awaits="number", digits=together)

    def _look_up(self, order: str) -> tuple[_Desk, Answer]:
        desk = replace(self, awaits="", digits="", order=order)
        return desk, Answer(_FILLER, tool=LOOK_UP_ORDER, arguments={"order_number": order})


_ANSWERS = {"hours": _HOURS, "address": _ASK_ADDRESS, "colleague": _CALL_BACK}
_SMALL_TALK = {"greeting": _OFFER, "yes": _OFFER, "thanks": _MORE, "wait": _GO_AHEAD, "no": _GO_AHEAD}

_TOPICS: tuple[tuple[str, frozenset[str]], ...] = tuple(
    (topic, frozenset(words.split()))
    for topic, words in (
        ("goodbye", "goodbye bye"),
        ("colleague", "cancel refund human person someone somebody agent colleague"),
        ("address", "address addresses moved moving"),
        ("hours", "hours open opening close closed closing times late"),
        ("order", "order orders parcel package shipment delivery delivered deliver"),
        ("order", "arrive arrives arrived coming shipped waiting status where"),
        ("repeat", "repeat again pardon"),
        ("wait", "wait stop hold sorry actually moment excuse question"),
        ("thanks", "thanks thank"),
        ("yes", "yes yeah sure okay correct"),
        ("no", "no nope"),
        ("greeting", "hello hi hey morning afternoon evening"),
    )
)
"""Which words speak for which topic; the first topic with a word that was heard wins."""
_DONE = re.compile(r"\bthat(?: i|')s (?:all|everything|it)\b|\bno (?:thank you|thanks)\b|\bnothing else\b")
_NEW_ADDRESS = re.compile(r"\baddress (?:is|to) (?P<address>\w+ \w+.*)")
_ADDRESS_LEAD = re.compile(r"^(?:it(?: i|')s|to|please|send it to|yes|okay)\s+")


def _topic(text: str, words: set[str]) -> str:
    if _DONE.search(text):
        return "goodbye"
    if _NEW_ADDRESS.search(text):
        return ""
    return next((topic for topic, clues in _TOPICS if words & clues), "")


def _address_in(text: str) -> str:
    named = _NEW_ADDRESS.search(text)
    return named["address"] if named else _ADDRESS_LEAD.sub("", " ".join(_words(text)))


def _told(result: Mapping[str, Any]) -> str:
    number = _spelt(str(result.get("order_number", "")))
    if result.get("found"):
        return f"Order {number} {result.get('status')}. {_MORE}"
    if "found" in result:
        return f"I cannot find an order with the number {number}. Could you say the number again?"
    return f"I am afraid our order system does not answer right now. {_CALL_BACK}"


def _awaits_after(result: Mapping[str, Any]) -> str:
    return "number" if result.get("found") is False else ""


def _spelt(digits: str) -> str:
    return " ".join(DIGITS[int(digit)] for digit in digits)


def _words(text: str) -> list[str]:
    return re.findall(r"[a-z0-9']+", text.lower())
