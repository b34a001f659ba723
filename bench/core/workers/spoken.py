"""One call as plain values: what is told to both SDKs alike."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

TURN_S, TURNS_A_TOOL = 3.0, 4

_QUESTIONS = (
    "Where is my order number {n}, it should have been here on Monday morning?",
    "And could you change the delivery address to the office, please?",
    "Yes, that is right. What will the express shipping cost me on top of it?",
    "You reach me at five five five, oh one two {n}, any time after lunch.",
)
_ANSWERS = (
    "I have found it: order {n} left our warehouse yesterday evening and is with the carrier. It arrives tomorrow.",
    "Of course. I have changed the address for this and all further parcels, and sent you a confirmation by mail.",
    "Express shipping is four dollars and ninety cents for a parcel of that size. Shall I book it for you at once?",
    "Thank you. A colleague calls you on that number between two and four; nothing else is needed from your side.",
)


@dataclass(frozen=True, slots=True)
class Turn:
    """Somebody spoke; seconds from the start of the call."""

    user: bool
    text: str
    at: float
    lasts_s: float


@dataclass(frozen=True, slots=True)
class ToolUse:
    """The agent used a tool; seconds from the start of the call."""

    request_id: str
    name: str
    params: dict[str, Any]
    result: dict[str, Any]
    at: float
    took_s: float


def call_of(turns: int) -> Iterator[Turn | ToolUse]:
    """So many turns of 3 s, the caller and the agent in turn, with a tool after every fourth."""
    for number in range(turns):
        user, at = number % 2 == 0, number * TURN_S
        text = (_QUESTIONS if user else _ANSWERS)[number // 2 % 4].format(n=1000 + number)
        yield Turn(user, text, at + 0.4, 2.2)
        if number % TURNS_A_TOOL == TURNS_A_TOOL - 1:
            yield ToolUse(
                f"tool-{number}",
                "look_up_order",
                {"number": 1000 + number, "fields": ["state", "carrier", "due"]},
                {
                    "state": "shipped",
                    "carrier": "parcel service",
                    "due": "2026-11-23",
                    "items": 3,
                    "paid": True,
                },
                at + 2.7,
                0.2,
            )
