"""The published tuner-core at work, in an interpreter that has it: the same as ours.py as far as it can do it."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from typing import Any

from loguru import logger
from spoken import ToolUse, Turn, call_of
from watch import LoopWatch, Ticks, cpu_ms, peak_mb

from tuner_core import TunerConfig, TunerSession
from tuner_core import session as session_module

AT_ONCE = 8
PAUSE_S = 0.001
BETWEEN_S = 0.02
LONG_CALLS = 3


class Tools:
    """Gives tool rows at the end, as the vendor's LangGraph handler does."""

    def __init__(self) -> None:
        self._rows: list[dict[str, Any]] = []

    def used(self, one: ToolUse) -> None:
        """Keep a call and its result."""
        begun, ended = round(one.at * 1000), round((one.at + one.took_s) * 1000)
        about = {"name": one.name, "request_id": one.request_id}
        call = {**about, "params": one.params, "start_ms": begun}
        result = {**about, "result": one.result, "is_error": False}
        self._rows.append({"role": "agent_function", "tool": call, "start_ms": begun, "end_ms": ended})
        self._rows.append({"role": "agent_result", "tool": result, "start_ms": ended, "end_ms": ended})

    def get_segments(self) -> list[dict[str, Any]]:
        """What the session asks for when it flushes."""
        return self._rows


def tell(session: TunerSession, tools: Tools, one: Turn | ToolUse) -> None:
    if isinstance(one, ToolUse):
        tools.used(one)
    elif one.user:
        session._record_user_turn(
            one.text, round(one.at * 1000), duration_ms=round(one.lasts_s * 1000), stt_latency_ms=180
        )
    else:
        session._record_agent_turn(
            one.text,
            round(one.at * 1000),
            duration_ms=round(one.lasts_s * 1000),
            llm_ttft_ms=350,
            tts_ttfb_ms=200,
            e2e_latency_ms=900,
        )


def session_of(config: TunerConfig, call_id: str, told: list[Turn | ToolUse]) -> TunerSession:
    session = TunerSession(config=config, call_id=call_id)
    tools = session.attach(Tools())
    for one in told:
        tell(session, tools, one)
    session.disconnection_reason = "user_hangup"
    return session


def build(config: TunerConfig, turns: int) -> dict[str, Any]:
    """All that flush() does but for the request: its posting function is replaced by that one's first lines."""
    told = list(call_of(turns))
    made: list[tuple[int, bytes]] = []

    async def only_encode(payload: Any, _: TunerConfig) -> None:
        rows = len(payload.transcript_with_tool_calls)
        made[:] = [(rows, json.dumps(payload.to_dict(), default=str).encode("utf-8"))]

    session_module.submit_call = only_encode
    session = session_of(config, "bench", told)

    def run(session: TunerSession) -> None:
        try:
            session.flush().send(None)
        except StopIteration:
            return

    run(session)
    ((rows, body),) = made
    return {
        "rows": rows,
        "body_kb": len(body) / 1e3,
        "apply_ms": cpu_ms(lambda: session_of(config, "bench", told)),
        "flush_ms": cpu_ms(lambda: run(session)),
        "peak_mb": peak_mb(lambda: run(session_of(config, "bench", told))),
    }


async def loop(config: TunerConfig, said: dict[str, Any]) -> dict[str, Any]:
    told = list(call_of(said["turns"]))
    await session_of(config, f"{said['prefix']}-loop", told).flush()
    return {
        **await telling(config, told, said),
        **await handing_over(config, told, said),
        "long_late_s": await lateness(config, said),
    }


async def telling(
    config: TunerConfig, told: list[Turn | ToolUse], said: dict[str, Any]
) -> dict[str, list[float]]:
    told_s: list[float] = []
    told_cpu_s: list[float] = []
    for number in range(said["told"]):
        session = TunerSession(config=config, call_id=f"{said['prefix']}-told-{number}")
        tools = session.attach(Tools())
        for one in told:
            begin, cpu = time.perf_counter(), time.thread_time()
            tell(session, tools, one)
            told_cpu_s.append(time.thread_time() - cpu)
            told_s.append(time.perf_counter() - begin)
            await asyncio.sleep(PAUSE_S)
    return {"told_s": told_s, "told_cpu_s": told_cpu_s}


async def handing_over(
    config: TunerConfig, told: list[Turn | ToolUse], said: dict[str, Any]
) -> dict[str, list[float]]:
    step_s: list[float] = []
    step_cpu_s: list[float] = []
    delivered_s: list[float] = []
    for number in range(said["calls"]):
        session = session_of(config, f"{said['prefix']}-short-{number}", told)
        with LoopWatch() as watch:
            begin = time.perf_counter()
            await asyncio.create_task(session.flush())
            delivered_s.append(time.perf_counter() - begin)
        await asyncio.sleep(BETWEEN_S)
        step_s.append(max(watch.held_s))
        step_cpu_s.append(max(watch.cpu_s))
    return {"step_s": step_s, "step_cpu_s": step_cpu_s, "delivered_s": delivered_s}


async def lateness(config: TunerConfig, said: dict[str, Any]) -> list[float]:
    told, late_s = list(call_of(said["long_turns"])), []
    for number in range(LONG_CALLS):
        session = session_of(config, f"{said['prefix']}-long-{number}", told)
        async with Ticks() as ticks:
            await asyncio.sleep(0.02)
            await asyncio.create_task(session.flush())
        late_s.append(max(ticks.late_s))
    return late_s


async def deliver_many(config: TunerConfig, said: dict[str, Any]) -> dict[str, Any]:
    told, prefix = list(call_of(said["turns"])), said["prefix"]
    await session_of(config, f"{prefix}-first", told).flush()
    sessions = [session_of(config, f"{prefix}-many-{number}", told) for number in range(said["many"])]
    gate = asyncio.Semaphore(AT_ONCE)

    async def one(session: TunerSession) -> bool:
        async with gate:
            return await session.flush() is not None

    begin, cpu = time.perf_counter(), time.process_time()
    answers = await asyncio.gather(*(one(session) for session in sessions))
    return {
        "delivered": sum(answers),
        "took_s": time.perf_counter() - begin,
        "cpu_s": time.process_time() - cpu,
    }


def main() -> None:
    task, said = sys.argv[1], json.loads(sys.argv[2])
    logger.remove()
    config = TunerConfig(api_key="tr_api_bench", workspace_id=1, agent_id="bench", base_url=said["url"])
    if task == "build":
        figures = build(config, said["long_turns"])
    else:
        figures = asyncio.run((loop if task == "loop" else deliver_many)(config, said))
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
