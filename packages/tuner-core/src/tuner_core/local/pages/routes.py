"""The routes of the pages and what each hands to its template."""

from __future__ import annotations

import json
from typing import Any

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from tuner_core.local.pages.render import render
from tuner_core.local.pages.timeline import draw
from tuner_core.local.store import Store
from tuner_core.local.validation import check_record
from tuner_core.local.views import overview, record_of

_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'unsafe-inline'; form-action 'none'; base-uri 'none'; "
        "frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}


def page_routes(store: Store) -> list[Route]:
    """Give the routes of the pages over a store."""
    pages = _Pages(store)
    return [
        Route("/", pages.calls, methods=["GET"]),
        Route("/calls/{number:int}", pages.call, methods=["GET"]),
        Route("/simulations", pages.simulations, methods=["GET"]),
    ]


class _Pages:
    def __init__(self, store: Store) -> None:
        self._store = store

    def calls(self, request: Request) -> Response:
        data = overview(self._store)
        rows = list(reversed(data.calls))
        return _page("calls.html.j2", rows=rows, refusals=list(reversed(data.refusals)), here="calls")

    def call(self, request: Request) -> Response:
        number: int = request.path_params["number"]
        stored = self._store.call(number)
        if stored is None:
            return _page("missing.html.j2", 404, number=number, here="calls")
        row = next(row for row in overview(self._store).calls if row.call.id == number)
        document = record_of(stored[1])
        record = check_record(document)
        return _page(
            "call.html.j2",
            row=row,
            call=row.call,
            record=record,
            drawing=draw(record),
            raw=json.dumps(document, indent=2, ensure_ascii=False),
            here="calls",
        )

    def simulations(self, request: Request) -> Response:
        rows = list(reversed(overview(self._store).simulations))
        linked = sum(row.link.linked for row in rows)
        return _page("simulations.html.j2", rows=rows, linked=linked, here="simulations")


def _page(template: str, status: int = 200, **values: Any) -> Response:
    return HTMLResponse(render(template, **values), status, _HEADERS)
