"""A call that our answering side takes, steered by a test."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TypeVar

from tuner_sipbridge.answered_line import AnsweredLine
from tuner_sipbridge.call.events import CallEvent
from tuner_sipbridge.call.inbound import InboundCall
from tuner_sipbridge.sip.message import Message
from tuner_sipbridge.sip.routing import Hop

Event = TypeVar("Event", bound=CallEvent)


class Taken:
    """One call that is taken, and steered by the test.

    Attributes:
        happened: what happened so far.
    """

    def __init__(self, line: AnsweredLine, media: tuple[str, int]) -> None:
        self.line, self._media = line, media
        self.happened: list[CallEvent] = []
        self._news = asyncio.Event()
        self._leg = line.hand_over(self)

    def act(self, step: Callable[[InboundCall, float], None]) -> None:
        self._leg.act(lambda now: step(self.line.machine, now))

    def begin_media(self) -> None:
        address, port = self._media
        self.act(lambda call, now: call.begin_media(now=now, address=address, port=port))

    def accept(self) -> None:
        address, port = self._media
        self.act(lambda call, now: call.accept(now=now, address=address, port=port))

    async def told(self, kind: type[Event], count: int = 1) -> Event:
        """The event of a kind of which there are so many, as soon as it is there."""
        async with asyncio.timeout(10):
            while len(found := [event for event in self.happened if isinstance(event, kind)]) < count:
                self._news.clear()
                await self._news.wait()
            return found[count - 1]

    def on_event(self, event: CallEvent, *, now: float) -> None:
        self.happened.append(event)
        self._news.set()

    def on_message(self, message: Message, peer: Hop, *, sent: bool, now: float) -> None:
        pass
