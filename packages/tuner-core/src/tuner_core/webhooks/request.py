"""A webhook's request as the provider signed it, from whatever web framework took it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit


@dataclass(frozen=True, slots=True)
class WebhookRequest:
    """What came in, byte for byte. Its representation shows neither address, headers nor body.

    Attributes:
        method: `GET`, `POST`, in capitals.
        path_and_query: path and query as they stood in the request line, percent signs and all; a decoded path
            breaks signatures.
        headers: a mapping, or pairs of name and value.
        body: the raw body, before any parsing.
        client_ip: who connected, where a check asks for it. Behind a proxy of yours, give the address that
            the proxy vouches for; no `X-Forwarded-*` header is ever read here.
    """

    method: str
    path_and_query: str = field(repr=False)
    headers: Mapping[str, str] | Sequence[tuple[str, str]] = field(repr=False)
    body: bytes = field(default=b"", repr=False)
    client_ip: str | None = field(default=None, repr=False)

    @classmethod
    def from_asgi(
        cls, scope: Mapping[str, Any], body: bytes = b"", *, client_ip: str | None = None
    ) -> WebhookRequest:
        """The request in an ASGI scope: `request.scope` of Starlette and FastAPI, for a websocket as well.

        Args:
            scope: of type `http`, or `websocket` for the handshake.
            body: `await request.body()`.
            client_ip: overrides the address of the connection's other end.
        """
        path = scope.get("raw_path") or quote(scope["path"]).encode("ascii")
        query: bytes = scope.get("query_string", b"")
        peer = scope.get("client")
        return cls(
            method=scope.get("method", "GET"),
            path_and_query=(path + b"?" + query if query else path).decode("latin-1"),
            headers=[(name.decode("latin-1"), value.decode("latin-1")) for name, value in scope["headers"]],
            body=body,
            client_ip=client_ip or (peer[0] if peer else None),
        )

    @classmethod
    def from_wsgi(
        cls, environ: Mapping[str, Any], body: bytes = b"", *, client_ip: str | None = None
    ) -> WebhookRequest:
        """The request in a WSGI environ: `request.environ` of Flask, `request.META` of Django.

        Args:
            environ: `REQUEST_URI` or `RAW_URI` in it, where the server sets one, has the path as it was sent.
            body: `request.get_data()` or `request.body`.
            client_ip: overrides the address of the connection's other end.
        """
        sent = environ.get("REQUEST_URI") or environ.get("RAW_URI") or ""
        if not sent.startswith("/"):
            path = quote((environ.get("SCRIPT_NAME", "") + environ.get("PATH_INFO", "")).encode("latin-1"))
            query = environ.get("QUERY_STRING", "")
            sent = f"{path}?{query}" if query else path
        headers = [
            (name.removeprefix("HTTP_").replace("_", "-"), str(value))
            for name, value in environ.items()
            if name.startswith("HTTP_") or name in {"CONTENT_TYPE", "CONTENT_LENGTH"}
        ]
        method = environ.get("REQUEST_METHOD", "GET")
        return cls(method, sent, headers, body, client_ip or environ.get("REMOTE_ADDR"))

    @property
    def query(self) -> str:
        """What follows the question mark, still encoded."""
        return urlsplit(self.path_and_query).query

    @property
    def has_form(self) -> bool:
        """True when the body is said to be a form."""
        kind = (self.header("Content-Type") or "").partition(";")[0].strip().lower()
        return kind == "application/x-www-form-urlencoded"

    def header(self, name: str) -> str | None:
        """The header's value, blanks around it removed; None when it is missing or empty.

        One that came more than once is joined by commas (RFC 9110 §5.3), so a second signature never hides.
        """
        pairs = self.headers.items() if isinstance(self.headers, Mapping) else self.headers
        wanted = name.lower()
        return ",".join(value.strip() for key, value in pairs if key.lower() == wanted) or None

    def form(self) -> dict[str, list[str]]:
        """The form in the body: name to all its values, empty ones included.

        Raises:
            UnicodeDecodeError: the body is no text.
        """
        return parse_qs(self.body.decode("utf-8"), keep_blank_values=True)
