"""Our core at work: `python ours.py build|loop|many|store|drain JSON` prints its figures as JSON.

A script beside the peer's, which runs in another interpreter.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from collections.abc import Iterable
from importlib import import_module
from pathlib import Path
from typing import Any

from spoken import ToolUse, Turn, call_of
from watch import LoopWatch, Ticks, cpu_ms, peak_mb

from tuner_core import CallTimeline, Delivery, TunerConfig, conform
from tuner_core.events import (
    AgentTurn,
    CallEnded,
    CallEvent,
    CallStarted,
    ToolCalled,
    ToolReturned,
    TurnMetrics,
    UserTurn,
)
from tuner_core.redaction import Redaction
from tuner_core.timeline import Journal

BEGAN = 1_760_000_000.0
PAUSE_S = 0.001
BETWEEN_S = 0.02
LONG_CALLS = 3
USER = TurnMetrics(stt_latency_s=0.18, eou_delay_s=0.42)
AGENT = TurnMetrics(e2e_latency_s=0.9, llm_ttft_s=0.35, tts_ttfb_s=0.2)


def events_of(told: Iterable[Turn | ToolUse]) -> list[CallEvent]:
    events: list[CallEvent] = [CallStarted(at=BEGAN)]
    for one in told:
        at = BEGAN + one.at
        if isinstance(one, ToolUse):
            events.append(ToolCalled(at, one.request_id, one.name, one.params))
            events.append(ToolReturned(at + one.took_s, one.request_id, one.name, one.result))
        elif one.user:
            events.append(UserTurn(one.text, at, at + one.lasts_s, metrics=USER))
        else:
            events.append(AgentTurn(one.text, at, at + one.lasts_s, metrics=AGENT))
    last = max(event.at if isinstance(event, ToolReturned) else BEGAN for event in events)
    return [*events, CallEnded(at=last + 3.0, reason="user_hangup")]


def timeline_of(call_id: str, events: Iterable[CallEvent], journal: Journal | None = None) -> CallTimeline:
    timeline = CallTimeline(call_id=call_id, journal=journal)
    for event in events:
        timeline.apply(event)
    return timeline


def build(turns: int) -> dict[str, Any]:
    events = events_of(call_of(turns))
    timeline = timeline_of("bench", events)
    record, redaction = timeline.record(), Redaction()
    conformed = conform(record)
    return {
        "rows": len(record.transcript_with_tool_calls),
        "body_kb": len(conformed.body()) / 1e3,
        "apply_ms": cpu_ms(lambda: timeline_of("bench", events)),
        "record_ms": cpu_ms(timeline.record),
        "conform_ms": cpu_ms(lambda: conform(record)),
        "redact_ms": cpu_ms(lambda: conform(record, redaction=redaction)),
        "peak_mb": peak_mb(lambda: conform(timeline_of("bench", events).record())),
        "redact_peak_mb": peak_mb(
            lambda: conform(timeline_of("bench", events).record(), redaction=redaction)
        ),
    }


async def loop(delivery: Delivery, said: dict[str, Any]) -> dict[str, Any]:
    """What the application's event loop pays while calls run and when they are handed over."""
    events = events_of(call_of(said["turns"]))
    await delivery.deliver(timeline_of(f"{said['prefix']}-loop", events).record())
    return {
        **await telling(delivery, events, said),
        **await handing_over(delivery, events, said),
        "delivered_s": await delivering(delivery, events, said),
        "long_late_s": await lateness(delivery, said),
        "disk_s": bare_disk(Path(said["outbox"]).with_suffix(".bare"), events, said["calls"]),
    }


async def telling(
    delivery: Delivery, events: list[CallEvent], said: dict[str, Any]
) -> dict[str, list[float]]:
    """Seconds for each event with its checkpoint."""
    told_s: list[float] = []
    told_cpu_s: list[float] = []
    for number in range(said["told"]):
        timeline = CallTimeline(call_id=f"{said['prefix']}-told-{number}", journal=delivery)
        for event in events:
            begin, cpu = time.perf_counter(), time.thread_time()
            timeline.apply(event)
            told_cpu_s.append(time.thread_time() - cpu)
            told_s.append(time.perf_counter() - begin)
            await asyncio.sleep(PAUSE_S)
        await delivery.deliver(timeline.record(), deadline_s=0)
    return {"told_s": told_s, "told_cpu_s": told_cpu_s}


async def handing_over(
    delivery: Delivery, events: list[CallEvent], said: dict[str, Any]
) -> dict[str, list[float]]:
    """Longest step of the event loop, and seconds until a record is on disk."""
    step_s: list[float] = []
    step_cpu_s: list[float] = []
    durable_s: list[float] = []
    for number in range(said["calls"]):
        record = timeline_of(f"{said['prefix']}-short-{number}", events).record()
        with LoopWatch() as watch:
            begin = time.perf_counter()
            await asyncio.create_task(delivery.deliver(record, deadline_s=0))
            durable_s.append(time.perf_counter() - begin)
        await asyncio.sleep(BETWEEN_S)
        step_s.append(max(watch.held_s))
        step_cpu_s.append(max(watch.cpu_s))
    return {"step_s": step_s, "step_cpu_s": step_cpu_s, "durable_s": durable_s}


async def delivering(delivery: Delivery, events: list[CallEvent], said: dict[str, Any]) -> list[float]:
    """Seconds until the API has a record."""
    took_s: list[float] = []
    for number in range(said["calls"]):
        record = timeline_of(f"{said['prefix']}-awaited-{number}", events).record()
        begin = time.perf_counter()
        await delivery.deliver(record)
        took_s.append(time.perf_counter() - begin)
    return took_s


async def lateness(delivery: Delivery, said: dict[str, Any]) -> list[float]:
    """Seconds by which the latest tick was late while a call of an hour became a record and was delivered."""
    events, late_s = events_of(call_of(said["long_turns"])), []
    for number in range(LONG_CALLS):
        timeline = timeline_of(f"{said['prefix']}-long-{number}", events)
        async with Ticks() as ticks:
            await asyncio.sleep(0.02)
            await asyncio.create_task(delivery.deliver(timeline.record()))
        late_s.append(max(ticks.late_s))
    return late_s


def bare_disk(file: Path, events: list[CallEvent], times: int) -> list[float]:
    """Seconds to append the same body to a file and have it on disk, with nothing around it."""
    body, took_s = conform(timeline_of("bare", events).record()).body(), []
    with file.open("ab", buffering=0) as appended:
        for _ in range(times):
            begin = time.perf_counter()
            appended.write(body)
            os.fsync(appended)
            took_s.append(time.perf_counter() - begin)
    return took_s


async def deliver_many(delivery: Delivery, said: dict[str, Any]) -> dict[str, Any]:
    """Hand everything over at once, wait for the answers."""
    events, prefix = events_of(call_of(said["turns"])), said["prefix"]
    await delivery.deliver(timeline_of(f"{prefix}-first", events).record())
    records = [timeline_of(f"{prefix}-many-{number}", events).record() for number in range(said["many"])]
    begin, cpu = time.perf_counter(), time.process_time()
    outcomes = await asyncio.gather(*(delivery.deliver(record, deadline_s=60) for record in records))
    took_s, cpu_s = time.perf_counter() - begin, time.process_time() - cpu
    return {"delivered": sum(one.state == "delivered" for one in outcomes), "took_s": took_s, "cpu_s": cpu_s}


def store(config: TunerConfig, said: dict[str, Any]) -> dict[str, Any]:
    """Leave records to a later process."""
    from tuner_core.outbox.parcels import Destination
    from tuner_core.outbox.store import Outbox

    events = events_of(call_of(said["turns"]))
    box, to = Outbox(config.outbox_path), Destination(config.base_url, config.workspace_id, config.agent_id)
    with box.changing():
        for number in range(said["left"]):
            conformed = conform(timeline_of(f"{said['prefix']}-left-{number}", events).record())
            box.put(to, conformed.call_id, conformed.body(), repairs=conformed.repairs, now=time.time())
    box.close()
    return {"stored": said["left"]}


def drain(config: TunerConfig) -> dict[str, Any]:
    """Send what was left; what sending needs is loaded before."""
    for name in ("tuner_core.client", "tuner_core.recordings.send"):
        import_module(name)
    begin, cpu = time.perf_counter(), time.process_time()
    delivery = Delivery(config)
    account = delivery.drain_sync(deadline_s=60)
    took_s, cpu_s = time.perf_counter() - begin, time.process_time() - cpu
    delivery.close()
    return {"delivered": account.delivered if account else 0, "took_s": took_s, "cpu_s": cpu_s}


def main() -> None:
    task, said = sys.argv[1], json.loads(sys.argv[2])
    config = TunerConfig(
        api_key="tr_api_bench",
        workspace_id=1,
        agent_id="bench",
        base_url=said["url"],
        outbox=Path(said["outbox"]),
    )
    if task == "build":
        figures = build(said["long_turns"])
    elif task == "store":
        figures = store(config, said)
    elif task == "drain":
        figures = drain(config)
    else:
        work = loop if task == "loop" else deliver_many
        with Delivery(config) as delivery:
            figures = asyncio.run(work(delivery, said))
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
