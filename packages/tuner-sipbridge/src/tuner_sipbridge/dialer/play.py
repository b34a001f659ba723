"""Plays a scenario on an answered call: the turn machine decides, this carries out."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Mapping
from typing import Any, TypeVar

from tuner_sipbridge.caller.events import (
    Answered,
    CallerEvent,
    GaveUp,
    HangUp,
    Order,
    Say,
    SendDigits,
    StopSpeaking,
)
from tuner_sipbridge.caller.scenario import Scenario
from tuner_sipbridge.caller.turns import Caller
from tuner_sipbridge.caller.utterance import Utterance
from tuner_sipbridge.dialer.call_speech import CallSpeech
from tuner_sipbridge.net import clock

_T = TypeVar("_T")


async def unless(stop: asyncio.Event | None, work: Coroutine[Any, Any, _T]) -> _T | None:
    """What `work` gives; None when `stop` is set before, and then it is cancelled."""
    if stop is None:
        return await work
    task, told = asyncio.ensure_future(work), asyncio.ensure_future(stop.wait())
    try:
        await asyncio.wait({task, told}, return_when=asyncio.FIRST_COMPLETED)
        return task.result() if task.done() else None
    finally:
        task.cancel()
        told.cancel()
        await asyncio.gather(task, told, return_exceptions=True)


async def play(call: CallSpeech, scenario: Scenario, utterances: Mapping[int, Utterance]) -> bool:
    """Play the scenario until it is over or the call is; gives True when every step was played.

    Args:
        call: an answered call.
        scenario: what to do.
        utterances: the rendered speech of each spoken step, by index of the step.
    """
    caller = Caller(scenario, {step: utterance.duration_s for step, utterance in utterances.items()})
    caller.receive(Answered(), now=clock.now())
    while True:
        for order in caller.outgoing():
            _carry_out(order, call, utterances)
        for event in caller.events():
            _note(event, call)
        if caller.finished:
            return caller.completed
        deadline = caller.next_deadline()
        try:
            async with asyncio.timeout(None if deadline is None else max(0.0, deadline - clock.now())):
                heard = await call.inputs.get()
        except TimeoutError:
            caller.handle_timer(now=clock.now())
        else:
            caller.receive(heard, now=clock.now())


def _carry_out(order: Order, call: CallSpeech, utterances: Mapping[int, Utterance]) -> None:
    match order:
        case Say():
            call.say(order, utterances[order.step])
        case SendDigits():
            call.send_digits(order)
        case StopSpeaking():
            call.stop_speaking()
        case HangUp():
            call.hang_up()


def _note(event: CallerEvent, call: CallSpeech) -> None:
    if isinstance(event, GaveUp):
        waited_s = round(event.waited_s, 3)
        own = {"own_fault": True} if event.own_fault else {}
        call.trace.note(
            "caller.gave_up", at=clock.now(), step=event.step, waited_s=waited_s, why=event.why, **own
        )
