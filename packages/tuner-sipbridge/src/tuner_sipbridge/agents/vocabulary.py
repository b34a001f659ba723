"""How people talk to a front desk: the phrases that the recogniser's language model is made of.

Written from what a caller of a small delivery shop may want (orders, opening hours, addresses, cancelling),
not from any test scenario: the recogniser only learns which words tend to follow each other, and a large
share of the model stays with general English.
"""

from __future__ import annotations

import itertools
import re
from typing import TypeAlias

Place: TypeAlias = tuple[str, ...]
"""The words that may stand at one place of a sentence, all equally likely."""
Sentence: TypeAlias = tuple[Place, ...]

DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
"""The words for 0 to 9; "oh" is a second word for zero."""

_TEENS = "ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen".split()
_TENS = "twenty thirty forty fifty sixty seventy eighty ninety".split()
_STREETS = (
    "park oak main high church station garden king queen mill school elm maple river hill lake bridge green"
)

SLOTS: dict[str, Place] = {
    "digit": (*DIGITS, "oh"),
    "number": (*_TEENS, *_TENS, *DIGITS[1:]),
    "tens": tuple(_TENS),
    "unit": DIGITS[1:],
    "day": ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday", "weekends"),
    "street": tuple(_STREETS.split()),
    "way": ("street", "avenue", "road", "lane", "square", "drive"),
    "order": ("order", "parcel", "package", "delivery", "shipment"),
}
"""What may stand at a `<slot>` of a phrase."""

_GREETING = "hello|hi|hey|good morning|good afternoon|good evening|yes hello|hi there"

PHRASES = (
    f"({_GREETING})",
    f"({_GREETING}) where is my <order>",
    "where is my <order> [please|now|right now]",
    f"[{_GREETING}] i (would like|want|need|wanted) to know where my <order> is",
    f"[{_GREETING}] i am calling about (my|an|a) <order>",
    f"[{_GREETING}] i have a question about (my|an) <order>",
    f"[{_GREETING}] (can|could) you (tell me|check|find out) where my <order> is [please]",
    "(can|could) you check [on] (my|the status of my) <order> [please]",
    "what is the status of my <order>",
    "i am (still waiting|waiting) for my <order>",
    "my <order> has not (arrived|come) [yet]",
    "a <order> that has not (arrived|come) [yet]",
    "i have not (received|got) my <order> [yet]",
    "when (will|does|is) (it|my <order>) (arrive|be delivered|come|coming|delivered|get here)",
    "(can|could) you tell me when (it|my <order>) (arrives|will arrive|will be delivered|comes)",
    "how long (will|does) it take [to arrive]",
    "(has it|has my <order>) (shipped|left|arrived|been sent) [yet]",
    "<digit> <digit> <digit>",
    "(it is|it's|yes|sure|okay|yes it is) <digit> <digit> <digit>",
    "[it is] <digit> <digit> <digit> [please|thank you]",
    "(the|my) [order] number is <digit> <digit> <digit>",
    "order [number] <digit> <digit> <digit> [please]",
    "[it is|it's|yes] <digit> <digit> <digit> [please]",
    "(for|of|about|check|on) [my] order [number] <digit> <digit> <digit>",
    "(can|could) you (check|find|look up) order [number] <digit> <digit> <digit> [please]",
    "[i would like to|please] check the status of [my] order [number] <digit> <digit> <digit>",
    "(sorry|actually|no) [the number is|it is|it's] <digit> <digit> <digit>",
    "order <digit> <digit> <digit> where is it",
    "<digit> <tens> <unit>",
    "what are your opening hours [please]",
    "[and] what (are your|are the) (hours|opening times|business hours)",
    "(tell me|could you tell me|can you tell me) your opening hours [please]",
    "[and] when are you open [on <day>|<day>|today|tomorrow]",
    "[and] are you open [on <day>|<day>|today|tomorrow|at the weekend]",
    "[and] what time do you (open|close) [on <day>|<day>|today|tomorrow]",
    "when do you (open|close) [on <day>|<day>|today|tomorrow]",
    "how late are you open [on <day>|<day>|today|tomorrow]",
    "(what about|and on|and) (<day>|the weekend|today|tomorrow)",
    "i (want|need|would like|have) to change (my|the) [delivery|shipping] address",
    "(can|could) i change (my|the) [delivery|shipping] address [please]",
    "[please] (change|update) (my|the) [delivery|shipping] address",
    "[no] wait i (want|need|would like) to change (my|the) [delivery|shipping] address",
    "i (have moved|moved|am moving) [to a new address]",
    "(my|the) new address is <number> <street> <way>",
    "(my|the) new address is <tens> <unit> <street> <way>",
    "[it is|to] <number> <street> <way>",
    "[it is|to] <tens> <unit> <street> <way>",
    "please (send|deliver|bring) it to <number> <street> <way> [instead]",
    "(send|deliver) it to <tens> <unit> <street> <way> [instead]",
    "i (want|would like|need) to cancel (my|the) <order>",
    "(can|could) i cancel (my|the) <order> [please]",
    "[please] cancel (my|the) <order>",
    "i (want|would like|need) a refund [for my <order>]",
    "i (want|would like|need) to (speak|talk) to (a human|a person|someone|somebody|an agent)",
    "(can|could|may) i (speak|talk) to (a human|a person|someone|somebody) [please]",
    "(wait|no wait|stop|sorry|hold on|excuse me|actually|actually wait|one moment)",
    "(stop|sorry|actually|hold on|excuse me) i have (a different|another) question",
    "(actually|sorry|wait|stop) (never mind|forget) that",
    "(wait|no wait|stop|hold on|sorry|actually) that is not (right|correct|what i (asked|meant|want))",
    "(wait|no wait|stop|hold on|sorry|actually|no) where is my <order>",
    "(wait|no wait|stop|hold on|sorry|actually|no) what are your opening hours",
    "(wait|no wait|stop|hold on|sorry|actually|no) the number is <digit> <digit> <digit>",
    "(could|can|would) you (repeat|say) that [again] [please]",
    "(sorry|pardon) [i did not (hear|catch|understand) (that|you)]",
    "(yes|yeah|yes please|sure|okay|correct|that is right|that is correct|right|exactly)",
    "(no|no thank you|no thanks|nope|that is wrong|not right now)",
    "(no|no thank you) that is (all|everything|it)",
    "(thank you|thanks|great|great thanks|perfect|perfect thank you|okay thank you|okay|wonderful)",
    "[no] (thank you|thanks) that is (all|everything|it) [for today]",
    "(thank you|thanks) [very much] [for your help] [goodbye|bye|bye bye]",
    "[no] (thank you|thanks|great|perfect) that is (all|everything|it) (goodbye|bye)",
    "(great|perfect|okay|all right) (thank you|thanks) [for your help] (goodbye|bye)",
    "(goodbye|bye|bye bye|have a nice day|good night)",
    "(thank you|thanks|okay) (goodbye|bye|bye bye)",
)
"""Phrase templates: `<slot>`, `(one|of|these)`, `[perhaps|this]`; alternatives nest. All weigh the same."""

_TOKEN = re.compile(r"<\w+>|[()\[\]|]|[^\s()\[\]|<>]+")


def expand(template: str) -> list[Sentence]:
    """Every sentence that a phrase template stands for; a slot stays one place with several words.

    Raises:
        ValueError: brackets do not match, or a slot is unknown.
    """
    sentences, rest = _alternatives(_TOKEN.findall(template))
    if rest:
        raise ValueError(f"unexpected {rest[0]!r} in phrase {template!r}")
    return sentences


def _alternatives(tokens: list[str]) -> tuple[list[Sentence], list[str]]:
    """Read `a|b|c` up to a closing bracket or the end; gives the sentences and the tokens not read."""
    found: list[Sentence] = []
    while True:
        sequence, tokens = _sequence(tokens)
        found.extend(sequence)
        if not tokens or tokens[0] != "|":
            return found, tokens
        tokens = tokens[1:]


def _sequence(tokens: list[str]) -> tuple[list[Sentence], list[str]]:
    parts: list[list[Sentence]] = []
    while tokens and tokens[0] not in ("|", ")", "]"):
        head, tokens = tokens[0], tokens[1:]
        if head in ("(", "["):
            options, tokens = _alternatives(tokens)
            if not tokens or tokens[0] != (")" if head == "(" else "]"):
                raise ValueError(f"{head!r} is not closed")
            tokens = tokens[1:]
            parts.append(options if head == "(" else [*options, ()])
        elif head.startswith("<"):
            if head[1:-1] not in SLOTS:
                raise ValueError(f"unknown slot {head}")
            parts.append([(SLOTS[head[1:-1]],)])
        else:
            parts.append([((head,),)])
    joined = [tuple(itertools.chain.from_iterable(choice)) for choice in itertools.product(*parts)]
    return joined, tokens
