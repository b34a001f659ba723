"""The endpoint of Create Call: faults on purpose, the answer of this Tuner, and the API behind it."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Callable, Mapping
from typing import cast

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from tuner_core.http import REPAIRS_HEADER
from tuner_core.local.faults import Fault, FaultDice
from tuner_core.local.forward import Forwarder
from tuner_core.local.intake import CreateCallRequest, Intake, Reply
from tuner_core.local.recordings import Recordings
from tuner_core.local.store import Store
from tuner_core.local.wire import broken, faulty_status

_LONGEST_REPAIR = 300


class Posting:
    """Answers posts to Create Call.

    Args:
        store: where posts are noted.
        intake: judges them.
        clock: gives Unix seconds.
        closing: set when the server stops.
        recordings: offers upload targets.
        dice: draws faults, None for none.
        forwarder: passes posts on that this Tuner has taken, None to answer them here.
    """

    def __init__(
        self,
        store: Store,
        intake: Intake,
        clock: Callable[[], float],
        closing: asyncio.Event,
        recordings: Recordings,
        *,
        dice: FaultDice | None = None,
        forwarder: Forwarder | None = None,
    ) -> None:
        self._store = store
        self._intake = intake
        self._clock = clock
        self._closing = closing
        self._recordings = recordings
        self._dice = dice
        self._forwarder = forwarder

    def routes(self) -> list[Route]:
        """Give the route of Create Call."""
        return [Route("/api/v1/public/call", self.create_call, methods=["POST"])]

    async def create_call(self, request: Request) -> Response:
        """Answer one post."""
        posted = CreateCallRequest(
            authorization=request.headers.get("authorization", ""),
            query=request.query_params,
            content_type=request.headers.get("content-type", ""),
            body=await request.body(),
            sent_by=request.headers.get("user-agent", ""),
            repairs=listed_repairs(request.headers.get(REPAIRS_HEADER, "")),
        )
        fault = self._dice.draw() if self._dice is not None else None
        if fault is not None and not fault.takes_the_call:
            return await self._leave(posted, fault)
        if fault is not None and fault.kind == "slow":
            await self._wait(fault.seconds)
        name = fault.name if fault is not None else ""
        reply = await run_in_threadpool(self._intake.create_call, posted, now=self._clock(), fault=name)
        answer = self._answer(request, reply)
        if self._forwarder is not None and (reply.status < 300 or reply.status == 409):
            answer = await self._pass_on(request, posted.body, reply, self._forwarder)
        if fault is None or fault.kind == "slow":
            return answer
        await run_in_threadpool(self._store.note_answer, reply.post, status=None)
        return broken(fault, answer, self._closing)

    def _answer(self, request: Request, reply: Reply) -> Response:
        """The documented answer, with an upload target when the record asks for one."""
        headers: Mapping[str, str] | None = {"WWW-Authenticate": "Bearer"} if reply.status == 401 else None
        body = dict(reply.body)
        if reply.call is not None:
            base_url = str(request.base_url).rstrip("/")
            offered = self._recordings.offer(base_url, reply.call, reply.recording)
            body |= {"recording_upload": offered} if offered is not None else {}
        return JSONResponse(body, reply.status, headers)

    async def _leave(self, posted: CreateCallRequest, fault: Fault) -> Response:
        """Play a fault that keeps the post from being looked at."""
        status = fault.status or None
        await run_in_threadpool(
            self._intake.leave, posted, now=self._clock(), fault=fault.name, status=status
        )
        return broken(fault, faulty_status(fault) if status else Response(), self._closing)

    async def _pass_on(self, request: Request, body: bytes, reply: Reply, forwarder: Forwarder) -> Response:
        passed = await forwarder.pass_on(request.url.path, request.url.query, request.headers, body)
        await run_in_threadpool(
            self._store.note_answer, reply.post, status=passed.status, upstream=passed.upstream
        )
        return Response(passed.body, passed.status, dict(passed.headers))

    async def _wait(self, seconds: float) -> None:
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(self._closing.wait(), seconds)


def listed_repairs(header: str) -> tuple[str, ...]:
    """Read what an SDK says that it repaired: a JSON list of sentences; () for anything else."""
    try:
        document: object = json.loads(header) if header else []
    except (ValueError, RecursionError):
        return ()
    if not isinstance(document, list):
        return ()
    items = cast("list[object]", document)
    return tuple(item[:_LONGEST_REPAIR] for item in items if isinstance(item, str))
