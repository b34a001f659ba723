"""The web application put together: Create Call, the dialer's side, live changes and the pages."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware

from tuner_core.local.endpoints import Endpoints
from tuner_core.local.faults import FaultDice
from tuner_core.local.forward import Forwarder
from tuner_core.local.intake import Intake, Rules
from tuner_core.local.live import Changes
from tuner_core.local.origin import SameOrigin
from tuner_core.local.pages.routes import Pages
from tuner_core.local.posting import Posting
from tuner_core.local.recordings import Recordings
from tuner_core.local.store import Store
from tuner_core.local.traces import Traces
from tuner_core.local.views import Views


def create_app(
    store: Store,
    rules: Rules | None = None,
    *,
    allowed_hosts: Sequence[str] = ("127.0.0.1", "localhost", "::1", "[::1]"),
    dice: FaultDice | None = None,
    forwarder: Forwarder | None = None,
    recordings_in: Path | None = None,
    clock: Callable[[], float] = time.time,
) -> Starlette:
    """Give the local Tuner as an ASGI application.

    Args:
        store: where calls and simulations are kept; the caller closes it.
        rules: key, workspace and the like.
        allowed_hosts: Host headers that are answered. Other names are refused, so that a web page elsewhere
            cannot read transcripts through a name that it points at this machine.
        dice: draws the faults that posts are answered with, None for none.
        forwarder: passes posts on to the API, None to answer them here; the caller closes it.
        recordings_in: folder for uploaded recordings; a temporary one when omitted.
        clock: gives Unix seconds.

    Returns:
        The application; `state.close()` ends open streams when the server stops, `state.traces` and `state.recordings`
        are what came beside the calls; the caller closes the recordings.
    """
    rules = rules or Rules()
    changes = Changes(store)
    views = Views(store)
    recordings = Recordings(recordings_in, clock, on_change=store.database.touch)
    posting = Posting(
        store, Intake(store, rules), clock, changes.closing, recordings, dice=dice, forwarder=forwarder
    )
    traces = Traces(rules.api_key, forwarder=forwarder, on_change=store.database.touch)
    pages = Pages(
        views,
        traces,
        recordings,
        dice=dice,
        forward_to=forwarder.base_url if forwarder else "",
        rules=rules,
    )
    app = Starlette(
        routes=[
            *posting.routes(),
            *traces.routes(),
            *recordings.routes(),
            *Endpoints(views, clock, recordings).routes(),
            *changes.routes(),
            *pages.routes(),
        ],
        middleware=[
            Middleware(TrustedHostMiddleware, allowed_hosts=list(allowed_hosts), www_redirect=False),
            Middleware(SameOrigin),
        ],
    )
    app.state.close = changes.close
    app.state.traces = traces
    app.state.recordings = recordings
    return app
