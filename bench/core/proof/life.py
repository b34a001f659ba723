"""One life of an agent's process, which may be killed at any moment of it.

It opens calls, hands over the records of others, sends what is pending, its own and what the dead left, then ends its
calls and itself. It tells what was acknowledged on a pipe, a line each, so that whatever was told before a kill
arrives:

    stored ID       the record of a call was acknowledged as being on disk
    open ID         a call is in its journal on disk, and runs
    whole ID        an open call ended, and its record was acknowledged as being on disk
    late ID         a record was not acknowledged in time
    refused ID      a record was turned away, which must not happen
"""

from __future__ import annotations

import asyncio
import logging
import os
import time
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path

from tuner_core.config import TunerConfig
from tuner_core.delivery import Delivery, DeliveryOutcome
from tuner_core.events import AgentTurn, CallEnded, CallStarted, UserTurn
from tuner_core.http import RetryPolicy
from tuner_core.outbox import Destination, Outbox
from tuner_core.records import CallRecord, Segment
from tuner_core.timeline import CallTimeline

TRY_S = 1.5
"""Longest try: what hangs costs little time."""

_RETRY = RetryPolicy(max_attempts=5, base_s=0.02, cap_s=0.25)
_AT_ONCE = 4
_ON_DISK = ("stored on disk", "another process is sending it")
_WORKSPACE, _AGENT = 1, "front desk"
_STAYS_S = 5.0


@dataclass(frozen=True, slots=True)
class Work:
    """What a life is for.

    Attributes:
        key: its API key, by which the server knows it.
        base_url: of the API.
        outbox: the file that all lives share.
        records: ids of the calls whose records to hand over.
        calls: ids of the calls to hold open.
        asynchronous: hand over from an event loop, a few at once, as an agent with several calls does.
    """

    key: str
    base_url: str
    outbox: Path
    records: tuple[str, ...]
    calls: tuple[str, ...]
    asynchronous: bool


def said_in(call_id: str) -> str:
    """What the user says in a call, which is said in no other."""
    return f"A refund for {call_id}, please."


def live(work: Work, told: Connection) -> None:
    """Live through the work; the parent may end it at any moment."""
    # Hundreds of lines on calls cut short, as they should be.
    logging.getLogger("tuner_core").setLevel(logging.ERROR)
    config = TunerConfig(
        api_key=work.key,
        workspace_id=_WORKSPACE,
        agent_id=_AGENT,
        base_url=work.base_url,
        outbox=work.outbox,
    )
    delivery = Delivery(config, retry=_RETRY, timeout_s=TRY_S)
    delivery.start()
    calls = {call_id: _opened(delivery, call_id) for call_id in work.calls}
    if calls:
        _tell_when_noted(work, told)
    if work.asynchronous:
        asyncio.run(_hand_over_in_a_loop(delivery, work, told))
    else:
        for call_id in work.records:
            _tell(told, "stored", call_id, delivery.deliver_sync(_record(call_id), deadline_s=0))
    delivery.drain_sync(deadline_s=_STAYS_S)
    for call_id, call in calls.items():
        call.apply(CallEnded(time.time()))
        _tell(told, "whole", call_id, delivery.deliver_sync(call.record(), deadline_s=0))
    delivery.close(deadline_s=TRY_S)


async def _hand_over_in_a_loop(delivery: Delivery, work: Work, told: Connection) -> None:
    async def hand_over(call_id: str) -> None:
        _tell(told, "stored", call_id, await delivery.deliver(_record(call_id), deadline_s=0))

    for begin in range(0, len(work.records), _AT_ONCE):
        await asyncio.gather(*(hand_over(call_id) for call_id in work.records[begin : begin + _AT_ONCE]))


def _tell(told: Connection, what: str, call_id: str, outcome: DeliveryOutcome) -> None:
    if outcome.state == "refused":
        what = "refused"
    elif outcome.state == "pending" and not outcome.detail.startswith(_ON_DISK):
        what = "late"
    os.write(told.fileno(), f"{what} {call_id}\n".encode())


def _tell_when_noted(work: Work, told: Connection) -> None:
    """Look into the file, as nothing acknowledges a checkpoint."""
    to = Destination(work.base_url, _WORKSPACE, _AGENT)
    box = Outbox(work.outbox)
    for call_id in work.calls:
        while not box.calls.length(to, call_id):
            time.sleep(0.002)
        os.write(told.fileno(), f"open {call_id}\n".encode())
    box.close()


def _opened(delivery: Delivery, call_id: str) -> CallTimeline:
    begin = time.time()
    call = CallTimeline(call_id=call_id, journal=delivery)
    call.apply(CallStarted(begin))
    call.apply(AgentTurn("Hello!", begin + 0.6, begin + 1.4))
    call.apply(UserTurn(said_in(call_id), begin + 2.0, begin + 3.0, id="u1"))
    return call


def _record(call_id: str) -> CallRecord:
    now = time.time()
    return CallRecord(
        call_id=call_id,
        call_type="phone_call",
        start_timestamp=now - 42.0,
        end_timestamp=now,
        transcript_with_tool_calls=[
            Segment.agent("Hello!", start_ms=600, end_ms=1400),
            Segment.user(said_in(call_id), start_ms=2000, end_ms=4200),
            Segment.agent("It is on its way. Anything else?", start_ms=4900, end_ms=6800),
        ],
    )
