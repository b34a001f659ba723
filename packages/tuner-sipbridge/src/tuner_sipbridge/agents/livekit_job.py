"""A LiveKit job in this process and on this event loop: an entrypoint, and the shutdown in LiveKit's order.

A worker runs each job in a process of its own and needs a server that dispatches it. Here the job's context
is the one livekit-agents ships for tests (a context variable, so many jobs can run at once), and what its job
process does at the end is done here: session, room, callbacks.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections.abc import Awaitable, Callable
from typing import Any, cast

from livekit import rtc
from livekit.agents import AgentSession, JobContext
from livekit.agents.testing import fake_job_context

logger = logging.getLogger("tuner_sipbridge.agents")

_ENTRYPOINT_S = 15.0
_CLOSE_S = 60.0


async def run_job(entrypoint: Callable[[JobContext], Awaitable[None]], *, room: rtc.Room, job_id: str) -> str:
    """Run one job to its end: until the room is left, or the entrypoint raises.

    Gives the reason as the shutdown callbacks were told it: `room disconnected` or `job crashed`.

    Args:
        entrypoint: as given to `AgentServer.rtc_session`; may return while the session goes on.
        room: connected, or standing in for a connected one.
        job_id: unique.
    """
    with fake_job_context(room=room, job_id=job_id) as ctx:
        ended: asyncio.Future[str] = asyncio.get_running_loop().create_future()

        def end(reason: str) -> None:
            if not ended.done():
                ended.set_result(reason)

        def entered(task: asyncio.Task[None]) -> None:
            if not task.cancelled() and (error := task.exception()) is not None:
                logger.error("the agent's entrypoint failed", exc_info=error)
                end("job crashed")

        def left(_reason: object) -> None:
            end("room disconnected")

        cast("Any", room).on("disconnected", left)
        entry = asyncio.create_task(_entered(entrypoint, ctx), name="job_user_entrypoint")
        entry.add_done_callback(entered)
        try:
            reason = await ended
        finally:
            await asyncio.shield(asyncio.ensure_future(_shut_down(ctx, entry, ended)))
        return reason


async def _entered(entrypoint: Callable[[JobContext], Awaitable[None]], ctx: JobContext) -> None:
    await entrypoint(ctx)


def _session_of(ctx: JobContext) -> AgentSession[Any] | None:
    """The job's session, None when it started none."""
    try:
        return cast("AgentSession[Any]", cast("Any", ctx).primary_session)
    except RuntimeError:
        return None


async def _shut_down(ctx: JobContext, entry: asyncio.Task[None], ended: asyncio.Future[str]) -> None:
    reason = ended.result() if ended.done() and not ended.cancelled() else "job cancelled"
    if not entry.done():
        await asyncio.wait([entry], timeout=_ENTRYPOINT_S)
        entry.cancel()
        await asyncio.gather(entry, return_exceptions=True)
    session = _session_of(ctx)
    if session is not None:
        try:
            await asyncio.wait_for(session.aclose(), _CLOSE_S)
        except TimeoutError:
            logger.error("the agent's session did not close within %.0f s", _CLOSE_S)
    await ctx.room.disconnect()
    # As the job process does it: together, the first failure ends the wait for all.
    callbacks = ctx._shutdown_callbacks  # pyright: ignore[reportPrivateUsage]
    try:
        await asyncio.gather(*(callback(reason) for callback in callbacks))
    except Exception:
        logger.exception("a shutdown callback failed")
    cleaned: Any = ctx._on_cleanup()  # pyright: ignore[reportPrivateUsage]
    if inspect.isawaitable(cleaned):
        await cleaned  # it became a coroutine function after livekit-agents 1.6
