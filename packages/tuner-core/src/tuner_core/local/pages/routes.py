"""The routes of the pages and what each hands to its template."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, cast

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from tuner_core.identity.carrier_ids import advice_for
from tuner_core.local.faults import FaultDice
from tuner_core.local.intake import DEFAULT_API_KEY, Rules
from tuner_core.local.lenient import document_of, dry_run, readable
from tuner_core.local.pages.assets import ASSETS
from tuner_core.local.pages.drawing import draw
from tuner_core.local.pages.render import render
from tuner_core.local.pages.spans import waterfall
from tuner_core.local.pages.timeline import timeline_of
from tuner_core.local.reasons import remedy_for
from tuner_core.local.recordings import MEDIA_TYPES, Recordings
from tuner_core.local.search import (
    explain,
    fault_counts,
    page_of_calls,
    page_of_posts,
    page_of_simulations,
)
from tuner_core.local.traces import Traces
from tuner_core.local.views import Views

_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; "
        "media-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cache-Control": "no-store",
}
_FOR_EVER = {"Cache-Control": "public, max-age=31536000, immutable", "X-Content-Type-Options": "nosniff"}
_LATEST_AMISS = 5
_FOUND_BESIDE = 10


class Pages:
    """The pages over a store.

    Args:
        views: what is shown.
        traces: the spans of calls.
        recordings: the recordings of calls.
        dice: the faults that are played, shown on top.
        forward_to: base URL that posts are passed on to, "" for none.
        rules: what a post needs, for the settings that the empty page shows.
    """

    def __init__(
        self,
        views: Views,
        traces: Traces,
        recordings: Recordings,
        *,
        dice: FaultDice | None = None,
        forward_to: str = "",
        rules: Rules | None = None,
    ) -> None:
        self._views = views
        self._traces = traces
        self._recordings = recordings
        self._store = views.store
        self._rules = rules or Rules()
        self._modes: dict[str, Any] = {
            "faults": [(fault.name, fault.probability) for fault in dice.faults] if dice else [],
            "seed": dice.seed if dice else None,
            "forward_to": forward_to,
            "lenient": self._rules.lenient,
        }

    def routes(self) -> list[Route]:
        """Give the routes."""
        return [
            Route("/", self.calls, methods=["GET"]),
            Route("/calls/{number:int}", self.call, methods=["GET"]),
            Route("/posts", self.posts, methods=["GET"]),
            Route("/posts/{number:int}", self.post, methods=["GET"]),
            Route("/simulations", self.simulations, methods=["GET"]),
            Route("/static/{name}", _asset, methods=["GET"]),
        ]

    def calls(self, request: Request) -> Response:
        """Show the calls, or what a search finds."""
        query = _query(request)
        page = page_of_calls(self._views, query, before=_number(request, "before"))
        return self._page(
            "calls.html.j2",
            page=page,
            query=query,
            amiss=page_of_posts(self._store, query, amiss=True, rows=_LATEST_AMISS),
            simulations=page_of_simulations(self._views, query).rows[:_FOUND_BESIDE] if query else (),
            explained=explain(self._views, query),
            remedy=remedy_for(query),
            settings=self._settings(request),
            here="calls",
        )

    def call(self, request: Request) -> Response:
        """Show one call."""
        number: int = request.path_params["number"]
        found = self._views.call(number)
        if found is None:
            return self._page("missing.html.j2", 404, what="call", number=number, here="calls")
        row, body = found
        record, document = readable(body), document_of(body)
        assert record is not None
        tries = self._store.posts_of(row.call.call_id)
        recording = self._recordings.of_call(number)
        return self._page(
            "call.html.j2",
            row=row,
            call=row.call,
            record=record,
            drawing=draw(timeline_of(record), _number(request, "zoom")),
            trace=waterfall(self._traces.spans(row.call.call_id), row.call.started_at),
            recording=recording,
            playable=recording is not None and recording.suffix[1:] in MEDIA_TYPES,
            tries=tries,
            first=next((post for post in tries if post.verdict == "stored"), None),
            dry=dry_run(body),
            aside=_kept_aside(document or {}),
            told=self._views.told(row.call),
            advice=advice_for(row.call.sip_call_id) if row.call.sip_call_id else None,
            remedy=remedy_for(row.call.sip_call_id),
            raw=json.dumps(document, indent=2, ensure_ascii=False),
            here="calls",
        )

    def posts(self, request: Request) -> Response:
        """Show every post, taken or not."""
        query, amiss = _query(request), request.query_params.get("show") == "amiss"
        page = page_of_posts(self._store, query, before=_number(request, "before"), amiss=amiss)
        return self._page("posts.html.j2", page=page, query=query, amiss=amiss, here="posts")

    def post(self, request: Request) -> Response:
        """Show one post: its answer, what was wrong, what could be repaired, its body."""
        number: int = request.path_params["number"]
        found = self._store.post(number)
        if found is None:
            return self._page("missing.html.j2", 404, what="post", number=number, here="posts")
        post, body = found
        document = document_of(body) if body is not None else None
        raw = None
        if body is not None:
            raw = body.decode("utf-8", "replace")
            raw = raw if document is None else json.dumps(document, indent=2, ensure_ascii=False)
        return self._page(
            "post.html.j2", post=post, raw=raw, dry=dry_run(body) if body is not None else None, here="posts"
        )

    def simulations(self, request: Request) -> Response:
        """Show the simulations and why each is linked or not."""
        query = _query(request)
        page = page_of_simulations(self._views, query, offset=max(0, _number(request, "before") or 0))
        rows = self._views.links().simulations
        return self._page(
            "simulations.html.j2",
            page=page,
            query=query,
            linked=sum(row.link.linked for row in rows),
            whole=len(rows),
            here="simulations",
        )

    def _settings(self, request: Request) -> list[tuple[str, str]]:
        """What to start an agent with; a key that somebody chose is not shown to whoever opens a page."""
        settings = [("TUNER_BASE_URL", str(request.base_url).rstrip("/"))]
        rules = self._rules
        if rules.api_key is not None and rules.workspace_id is not None:
            settings += [
                ("TUNER_API_KEY", rules.api_key if rules.api_key == DEFAULT_API_KEY else "…"),
                ("TUNER_WORKSPACE_ID", str(rules.workspace_id)),
                ("TUNER_AGENT_ID", min(rules.agents) if rules.agents else "local-agent"),
            ]
        return settings

    def _page(self, template: str, status: int = 200, **values: Any) -> Response:
        values = {"query": "", "modes": self._modes, "played": fault_counts(self._store)} | values
        # JSON can spell halves of surrogate pairs, UTF-8 cannot.
        return HTMLResponse(render(template, **values).encode("utf-8", "replace"), status, _HEADERS)


def _asset(request: Request) -> Response:
    asset = ASSETS.get(f"/static/{request.path_params['name']}")
    if asset is None:
        return Response(status_code=404)
    return Response(asset.content, media_type=asset.media_type, headers=_FOR_EVER)


def _kept_aside(document: Mapping[str, Any]) -> object:
    """What our SDK could not send in a field of its own, and put into the record nonetheless."""
    raw = document.get("general_meta_data_raw")
    return cast("dict[str, Any]", raw).get("tuner_sdk") if isinstance(raw, dict) else None


def _query(request: Request) -> str:
    return request.query_params.get("q", "").strip()[:500]


def _number(request: Request, name: str) -> int | None:
    text = request.query_params.get(name, "")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 16 else None
