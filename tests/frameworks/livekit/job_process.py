"""One job in a real LiveKit job process, without a server: `python job_process.py ENDING`.

Endings: `crash` (the entrypoint raises), `neighbour` (the shutdown callback of another plugin fails), `killed` (the
job's process kills itself in mid-call). Where the record goes is in the environment.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path

from livekit.agents import Agent, AgentServer, AgentSession, JobContext, JobExecutorType

from tuner_livekit import TunerPlugin


async def _neighbour(_reason: str) -> None:
    raise RuntimeError("another plugin fails")


def _die() -> None:
    Path(os.environ["JOB_PID_FILE"]).write_text(str(os.getpid()), encoding="ascii")
    os.kill(os.getpid(), signal.SIGKILL)


async def entrypoint(ctx: JobContext) -> None:
    """What an application does, up to its ending."""
    ending = os.environ["JOB_ENDING"]
    if ending == "neighbour":
        ctx.add_shutdown_callback(_neighbour)
    session = AgentSession()
    TunerPlugin(session, ctx, call_id=f"job-{ending}", sip_call_id="2jf9wCCXfwgxKkTOfLcEsA5LD6f")
    await session.start(Agent(instructions="Say nothing."), record=False)
    if ending == "killed":
        await session.say("Good day.", add_to_chat_ctx=True)
        await asyncio.sleep(0.5)
        _die()
    if ending == "crash":
        raise RuntimeError("the entrypoint fails")
    ctx.shutdown("the agent was done")


async def main() -> None:
    """Run the job and wait until its process has gone."""
    server = AgentServer(job_executor_type=JobExecutorType.PROCESS, num_idle_processes=0, port=0)
    server.rtc_session(entrypoint)
    started = asyncio.Event()
    server.once("worker_started", started.set)
    running = asyncio.create_task(server.run(devmode=True, unregistered=True))
    await started.wait()
    await server.simulate_job("test-room", fake_job=True)
    async with asyncio.timeout(60):
        while server.active_jobs:  # noqa: ASYNC110 - the server tells of no end of a job
            await asyncio.sleep(0.05)
    await server.aclose()
    await running


if __name__ == "__main__":
    os.environ["JOB_ENDING"] = sys.argv[1]
    asyncio.run(main())
