"""The JSON endpoints beside Create Call: the dialer's side, reading, export, clearing."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response, StreamingResponse
from starlette.routing import Route

from tuner_core.local.dialer_side import parse_simulation, parse_update
from tuner_core.local.export import call_document, export_parts
from tuner_core.local.lenient import document_of
from tuner_core.local.recordings import Recordings
from tuner_core.local.search import calls_like
from tuner_core.local.validation import RefusedBody
from tuner_core.local.views import Views

_FILTERS = ("call_id", "sip_call_id")


class Endpoints:
    """The endpoints over a store. Those without a body are plain functions: Starlette runs them off the loop.

    Args:
        views: what is read.
        clock: gives Unix seconds.
        recordings: cleared with the rest.
    """

    def __init__(self, views: Views, clock: Callable[[], float], recordings: Recordings) -> None:
        self._views = views
        self._store = views.store
        self._clock = clock
        self._recordings = recordings

    def routes(self) -> list[Route]:
        """Give the routes."""
        one = "/local/simulations/{sip_call_id:path}"
        return [
            Route("/local/calls", self.list_calls, methods=["GET"]),
            Route("/local/calls/{number:int}", self.get_call, methods=["GET"]),
            Route("/local/calls/{number:int}.json", self.export_call, methods=["GET"]),
            Route("/local/simulations", self.list_simulations, methods=["GET"]),
            Route("/local/simulations", self.add_simulation, methods=["POST"]),
            Route(one, self.get_simulation, methods=["GET"]),
            Route(one, self.update_simulation, methods=["PATCH"]),
            Route("/local/export", self.export, methods=["GET"]),
            Route("/local/clear", self.clear, methods=["POST"]),
        ]

    def list_calls(self, request: Request) -> Response:
        """Answer with the rows of calls, the oldest first; `call_id` and `sip_call_id` pick some of them."""
        wanted = {name: request.query_params[name] for name in _FILTERS if name in request.query_params}
        links = self._views.links()
        return JSONResponse([links.of(call).to_json() for call in calls_like(self._store, wanted)])

    def get_call(self, request: Request) -> Response:
        """Answer with one call and its record as posted."""
        found = self._views.call(request.path_params["number"])
        if found is None:
            return _not_found("no call of this number")
        row, body = found
        return _json({**row.to_json(), "record": document_of(body)})

    def export_call(self, request: Request) -> Response:
        """Answer with a file that holds all that is known of one call."""
        number: int = request.path_params["number"]
        document = call_document(self._views, number)
        if document is None:
            return _not_found("no call of this number")
        return _json(document, headers=_as_file(f"call-{number}.json"))

    def list_simulations(self, request: Request) -> Response:
        """Answer with every simulation and its link."""
        return JSONResponse([row.to_json() for row in self._views.links().simulations])

    def get_simulation(self, request: Request) -> Response:
        """Answer with one simulation and its link."""
        row = self._views.links().by_sip_call_id.get(request.path_params["sip_call_id"])
        return JSONResponse(row.to_json()) if row else _not_found("no simulation with this Call-ID")

    async def add_simulation(self, request: Request) -> Response:
        """Keep what the dialer is about to dial."""
        try:
            simulation = parse_simulation(await request.body()).row(now=self._clock())
        except RefusedBody as refused:
            return JSONResponse({"detail": refused.problems}, 422)
        is_new = await run_in_threadpool(self._store.add_simulation, simulation)
        return JSONResponse({"sip_call_id": simulation.sip_call_id, "is_new": is_new}, 201 if is_new else 200)

    async def update_simulation(self, request: Request) -> Response:
        """Keep how a simulation went."""
        try:
            update = parse_update(await request.body())
        except RefusedBody as refused:
            return JSONResponse({"detail": refused.problems}, 422)
        sip_call_id: str = request.path_params["sip_call_id"]
        if not await run_in_threadpool(self._store.update_simulation, sip_call_id, update.changes()):
            return _not_found("no simulation with this Call-ID")
        return JSONResponse({"sip_call_id": sip_call_id})

    def export(self, request: Request) -> Response:
        """Answer with a file that holds everything."""
        headers = _as_file("tuner-local.json")
        return StreamingResponse(export_parts(self._views), media_type="application/json", headers=headers)

    def clear(self, request: Request) -> Response:
        """Forget everything, and show the empty list."""
        self._recordings.clear()
        self._store.clear()
        self._recordings.clear()
        return RedirectResponse("/", 303)


def _json(document: Mapping[str, Any], headers: Mapping[str, str] | None = None) -> Response:
    # In ASCII: a record may hold halves of surrogate pairs, which UTF-8 cannot.
    return Response(json.dumps(document), media_type="application/json", headers=headers)


def _not_found(detail: str) -> Response:
    return JSONResponse({"detail": detail}, 404)


def _as_file(name: str) -> dict[str, str]:
    return {"Content-Disposition": f'attachment; filename="{name}"', "Cache-Control": "no-store"}
