"""The web application: Create Call, the dialer's side, and the pages."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from tuner_core.local.dialer_side import parse_simulation, parse_update
from tuner_core.local.intake import CreateCallRequest, Intake, Rules
from tuner_core.local.pages.routes import page_routes
from tuner_core.local.store import Store
from tuner_core.local.validation import RefusedBody
from tuner_core.local.views import overview, record_of


def create_app(
    store: Store,
    rules: Rules | None = None,
    *,
    allowed_hosts: Sequence[str] = ("127.0.0.1", "localhost", "::1", "[::1]"),
    clock: Callable[[], float] = time.time,
) -> Starlette:
    """Give the local Tuner as an ASGI application.

    Args:
        store: where calls and simulations are kept; the caller closes it.
        rules: key, workspace and the like.
        allowed_hosts: Host headers that are answered. Other names are refused, so that a web page elsewhere
            cannot read transcripts through a name that it points at this machine.
        clock: gives Unix seconds.
    """
    routes = _Routes(store, Intake(store, rules or Rules()), clock)
    return Starlette(
        routes=[
            Route("/api/v1/public/call", routes.create_call, methods=["POST"]),
            Route("/local/calls", routes.list_calls, methods=["GET"]),
            Route("/local/calls/{number:int}", routes.get_call, methods=["GET"]),
            Route("/local/simulations", routes.list_simulations, methods=["GET"]),
            Route("/local/simulations", routes.add_simulation, methods=["POST"]),
            Route("/local/simulations/{sip_call_id:path}", routes.get_simulation, methods=["GET"]),
            Route("/local/simulations/{sip_call_id:path}", routes.update_simulation, methods=["PATCH"]),
            *page_routes(store),
        ],
        middleware=[Middleware(TrustedHostMiddleware, allowed_hosts=list(allowed_hosts), www_redirect=False)],
    )


class _Routes:
    """The JSON endpoints. Those without a body are plain functions: Starlette runs them off the loop."""

    def __init__(self, store: Store, intake: Intake, clock: Callable[[], float]) -> None:
        self._store = store
        self._intake = intake
        self._clock = clock

    async def create_call(self, request: Request) -> Response:
        posted = CreateCallRequest(
            authorization=request.headers.get("authorization", ""),
            query=request.query_params,
            content_type=request.headers.get("content-type", ""),
            body=await request.body(),
        )
        reply = await run_in_threadpool(self._intake.create_call, posted, now=self._clock())
        headers = {"WWW-Authenticate": "Bearer"} if reply.status == 401 else None
        return JSONResponse(dict(reply.body), reply.status, headers)

    def list_calls(self, request: Request) -> Response:
        wanted = {name: request.query_params.get(name) for name in ("call_id", "sip_call_id")}
        rows = [row.to_json() for row in overview(self._store).calls]
        given = {name: value for name, value in wanted.items() if value is not None}
        return JSONResponse([row for row in rows if all(row[name] == value for name, value in given.items())])

    def get_call(self, request: Request) -> Response:
        number: int = request.path_params["number"]
        stored = self._store.call(number)
        if stored is None:
            return _not_found("no call of this number")
        row = next(row for row in overview(self._store).calls if row.call.id == number)
        return JSONResponse({**row.to_json(), "record": record_of(stored[1])})

    def list_simulations(self, request: Request) -> Response:
        return JSONResponse([row.to_json() for row in overview(self._store).simulations])

    def get_simulation(self, request: Request) -> Response:
        sip_call_id: str = request.path_params["sip_call_id"]
        rows = overview(self._store).simulations
        row = next((row for row in rows if row.simulation.sip_call_id == sip_call_id), None)
        return JSONResponse(row.to_json()) if row else _not_found("no simulation with this Call-ID")

    async def add_simulation(self, request: Request) -> Response:
        try:
            simulation = parse_simulation(await request.body()).row(now=self._clock())
        except RefusedBody as refused:
            return JSONResponse({"detail": refused.problems}, 422)
        is_new = await run_in_threadpool(self._store.add_simulation, simulation)
        return JSONResponse({"sip_call_id": simulation.sip_call_id, "is_new": is_new}, 201 if is_new else 200)

    async def update_simulation(self, request: Request) -> Response:
        try:
            update = parse_update(await request.body())
        except RefusedBody as refused:
            return JSONResponse({"detail": refused.problems}, 422)
        sip_call_id: str = request.path_params["sip_call_id"]
        if not await run_in_threadpool(self._store.update_simulation, sip_call_id, update.changes()):
            return _not_found("no simulation with this Call-ID")
        return JSONResponse({"sip_call_id": sip_call_id})


def _not_found(detail: str) -> Response:
    return JSONResponse({"detail": detail}, 404)
