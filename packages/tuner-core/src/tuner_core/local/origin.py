"""Only the local Tuner's own pages may change it from a browser.

A browser says with `Origin` which site a request comes from; a page elsewhere that posts here is refused. A
program that is no browser sends no Origin and passes: it can reach this machine anyway.
"""

from __future__ import annotations

from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})


class SameOrigin:
    """ASGI middleware that refuses requests of other sites which would change something."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or answer 403."""
        if scope["type"] == "http" and scope["method"] not in _SAFE:
            headers = Headers(scope=scope)
            if not is_own(headers.get("origin"), headers.get("host", ""), headers.get("sec-fetch-site")):
                answer = JSONResponse(
                    {"detail": "a page of another site may not change the local Tuner"}, 403
                )
                await answer(scope, receive, send)
                return
        await self._app(scope, receive, send)


def is_own(origin: str | None, host: str, site: str | None = None) -> bool:
    """Whether a request comes from the pages of this server, or from no page at all.

    Args:
        origin: value of the Origin header, None without one.
        host: value of the Host header.
        site: value of Sec-Fetch-Site, None without one.
    """
    if origin is None:
        return site in (None, "same-origin", "none")
    parts = urlsplit(origin)
    return parts.scheme in {"http", "https"} and parts.netloc.lower() == host.lower()
