"""When and how the record leaves: at the close, within the job's time, and never at the call's cost."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest
from livekit import rtc

from tuner_core.delivery.sink import DeliveryOutcome
from tuner_sipbridge.agents.livekit_job import run_job
from tuner_sipbridge.agents.livekit_room import SipRoom


class Slow:
    """Takes over at once, and answers much later."""

    def __init__(self) -> None:
        self.taken: list[Any] = []
        self.finished = asyncio.Event()

    async def deliver(self, record: Any, *, deadline_s: float = 8.0) -> DeliveryOutcome:
        self.taken.append(record)
        await asyncio.sleep(30)
        return DeliveryOutcome("pending")


class Broken:
    """Breaks its promise never to raise."""

    async def deliver(self, record: Any, *, deadline_s: float = 8.0) -> DeliveryOutcome:
        raise OSError("disk full")


async def test_the_record_is_handed_over_when_the_session_closes_not_when_the_job_ends(call: Any):
    await call.start()
    await call.session.aclose()
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert len(call.sink.records) == 1
    await call.shutdown()
    assert len(call.sink.records) == 1
    assert call.plugin.outcome.state == "delivered"


async def test_the_default_deadline_leaves_time_before_livekit_kills_the_job(call: Any):
    seen: list[float] = []

    class Noting:
        async def deliver(self, record: Any, *, deadline_s: float = 0.0) -> DeliveryOutcome:
            seen.append(deadline_s)
            return DeliveryOutcome("delivered")

    await call.start(sink=Noting())
    await call.shutdown()
    assert seen[0] < 10.0


async def test_the_jobs_end_waits_no_longer_than_the_deadline(call: Any):
    sink = Slow()
    await call.start(sink=sink, deadline_s=0.2)
    started = time.monotonic()
    await call.shutdown()
    assert 0.2 <= time.monotonic() - started < 1.5
    assert len(sink.taken) == 1


async def test_a_neighbours_failing_callback_does_not_cancel_a_delivery_under_way(call: Any):
    delivered = asyncio.Event()

    class Steady:
        async def deliver(self, record: Any, *, deadline_s: float = 8.0) -> DeliveryOutcome:
            await asyncio.sleep(0.1)
            delivered.set()
            return DeliveryOutcome("delivered")

    async def neighbour(_reason: str) -> None:
        raise RuntimeError("another plugin fails")

    call.ctx.add_shutdown_callback(neighbour)
    await call.start(sink=Steady())
    with pytest.raises(RuntimeError):
        await call.shutdown()
    await asyncio.wait_for(delivered.wait(), 2)


async def test_a_sink_that_fails_is_counted_and_told(call: Any):
    told: list[Exception] = []
    await call.start(sink=Broken(), on_error=told.append)
    await call.shutdown()
    assert [type(error) for error in told] == [OSError]
    assert call.plugin.failures == 1


async def test_an_event_that_the_plugin_cannot_read_does_not_reach_the_session(call: Any):
    await call.start()
    for name in ("conversation_item_added", "tool_execution_updated", "session_usage_updated"):
        call.plugin._session.emit(name, None)
    call.room.emit("participant_attributes_changed", None, None)
    assert call.plugin.failures >= 3
    await call.writes("hello")
    await call.shutdown()
    assert call.rows("agent")


async def test_a_translation_that_fails_still_gives_a_record(call: Any, monkeypatch: pytest.MonkeyPatch):
    call.joins()
    call.shows_the_rest()
    await call.start()
    monkeypatch.setattr(type(call.session), "history", property(lambda _self: 1 / 0))
    await call.shutdown()
    assert call.payload["sip_call_id"]
    assert call.plugin.failures == 1


async def test_a_job_that_ends_before_the_session_began_tells_of_the_caller(call: Any):
    call.joins()
    call.shows_the_rest()
    call.make()
    for callback in call.ctx._shutdown_callbacks:
        await callback("room disconnected")
    assert call.payload["sip_call_id"]
    assert call.payload["disconnection_reason"] == "agent_hangup"


async def test_a_job_without_caller_and_session_was_no_call(call: Any):
    call.make()
    for callback in call.ctx._shutdown_callbacks:
        await callback("room disconnected")
    assert call.sink.records == []


async def test_an_entrypoint_that_raises_is_an_error(call: Any):
    call.joins()

    async def entrypoint(ctx: Any) -> None:
        call.ctx = ctx
        await call.start()
        raise RuntimeError("the entrypoint fails")

    assert await run_job(entrypoint, room=call.room, job_id="AJ_crash") == "job crashed"
    payload = call.payload
    assert (payload["call_id"], payload["disconnection_reason"], payload["call_status"]) == (
        "AJ_crash",
        "error",
        "error",
    )
    assert payload["call_successful"] is False


async def test_an_entrypoint_that_raises_before_the_session_is_an_error_too(call: Any):
    call.joins()

    async def entrypoint(ctx: Any) -> None:
        call.ctx = ctx
        call.make()
        raise RuntimeError("no database")

    await run_job(entrypoint, room=call.room, job_id="AJ_crash")
    assert call.payload["disconnection_reason"] == "error"


async def test_many_jobs_at_once_do_not_mix(call: Any):
    async def one(number: int) -> Any:
        room = SipRoom(f"room-{number}")
        mine = type(call)(None, room)
        mine.joins(**{"sip.callIDFull": f"call-id-of-{number}"})

        async def entrypoint(ctx: Any) -> None:
            mine.ctx = ctx
            await mine.start()
            await mine.writes("hello")
            asyncio.get_running_loop().call_soon(room.end, rtc.DisconnectReason.ROOM_DELETED)

        await run_job(entrypoint, room=room, job_id=f"AJ_{number}")
        return mine.payload

    for number, payload in enumerate(await asyncio.gather(*(one(number) for number in range(5)))):
        assert (payload["call_id"], payload["sip_call_id"]) == (f"AJ_{number}", f"call-id-of-{number}")
        assert payload["transcript"].count("front desk") == 1
