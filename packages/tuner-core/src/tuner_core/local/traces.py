"""The traces endpoint: takes OTLP over HTTP in protobuf, keeps each span with its call, as long as the process runs."""

from __future__ import annotations

import hmac
from collections import deque
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from threading import Lock
from typing import TYPE_CHECKING, Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from tuner_core.local.forward import Forwarder

if TYPE_CHECKING:
    from opentelemetry.proto.common.v1.common_pb2 import AnyValue
    from opentelemetry.proto.trace.v1.trace_pb2 import Span

CALL_ID = "tuner.call_id"
MAX_SPANS = 20_000
"""Spans kept; older ones make room."""

_PROTOBUF = "application/x-protobuf"
_STATUS = ("unset", "ok", "error")


@dataclass(frozen=True, slots=True)
class TracedSpan:
    """One span of a call; ids in hex, moments in Unix seconds.

    Attributes:
        call_id: the call's.
        trace_id: shared by the spans of a trace.
        span_id: its own.
        parent_span_id: "" for the first of a trace.
        name: what was done.
        scope: the library that says so.
        started_at: begin.
        ended_at: end.
        status: `unset`, `ok` or `error`.
        attributes: as sent; lists as lists.
    """

    call_id: str
    trace_id: str
    span_id: str
    parent_span_id: str
    name: str
    scope: str
    started_at: float
    ended_at: float
    status: str
    attributes: dict[str, Any] = field(repr=False)


class UnreadableTraces(ValueError):
    """A body that is no `ExportTraceServiceRequest`."""


class Traces:
    """Takes spans and shows them.

    Args:
        api_key: the Bearer key that a post needs; None lets any pass.
        forwarder: passes posts on that this Tuner has taken, None to answer them here.
        on_change: called when spans have come.
    """

    def __init__(
        self,
        api_key: str | None,
        *,
        forwarder: Forwarder | None = None,
        on_change: Callable[[], None] | None = None,
    ) -> None:
        self._api_key = api_key
        self._forwarder = forwarder
        self._on_change = on_change
        self._spans: deque[TracedSpan] = deque(maxlen=MAX_SPANS)
        self._lock = Lock()

    def routes(self) -> list[Route]:
        """Give the routes."""
        return [
            Route("/api/v1/traces", self.take, methods=["POST"]),
            Route("/local/traces/{call_id:path}", self.show, methods=["GET"]),
        ]

    def spans(self, call_id: str) -> list[TracedSpan]:
        """Give the spans of a call, in order of their begin."""
        with self._lock:
            found = [span for span in self._spans if span.call_id == call_id]
        return sorted(found, key=lambda span: span.started_at)

    async def take(self, request: Request) -> Response:
        """Answer one post. Of a trace only one span needs the call's id; the others are filed with it."""
        if not self._is_authorized(request.headers.get("authorization", "")):
            detail = {"detail": "Missing or invalid API key"}
            return JSONResponse(detail, 401, {"WWW-Authenticate": "Bearer"})
        if request.headers.get("content-type", "").partition(";")[0].strip().lower() != _PROTOBUF:
            return JSONResponse({"detail": f"Content-Type must be {_PROTOBUF}"}, 415)
        body = await request.body()
        try:
            spans = await run_in_threadpool(read_spans, body)
        except UnreadableTraces as error:
            return JSONResponse({"detail": str(error)}, 400)
        except ImportError:
            detail = "this local Tuner cannot read traces: pip install 'tuner-core[otel]'"
            return JSONResponse({"detail": detail}, 501)
        with self._lock:
            self._spans.extend(spans)
        if self._on_change is not None:
            self._on_change()
        if self._forwarder is not None:
            passed = await self._forwarder.pass_on(request.url.path, request.url.query, request.headers, body)
            return Response(passed.body, passed.status, dict(passed.headers))
        return Response(b"", 200, media_type=_PROTOBUF)

    def show(self, request: Request) -> Response:
        """Answer with the spans of a call, in order of their begin; none is no error."""
        return JSONResponse([asdict(span) for span in self.spans(request.path_params["call_id"])])

    def _is_authorized(self, authorization: str) -> bool:
        if self._api_key is None:
            return True
        scheme, _, key = authorization.partition(" ")
        return scheme.lower() == "bearer" and hmac.compare_digest(
            key.strip().encode(), self._api_key.encode()
        )


def read_spans(body: bytes) -> list[TracedSpan]:
    """Read the body of a post; spans of traces without any call id are left out.

    Args:
        body: an `ExportTraceServiceRequest`.

    Raises:
        UnreadableTraces: it is something else.
        ImportError: the extra `otel` is not installed.
    """
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

    try:
        request = ExportTraceServiceRequest.FromString(body)
    except Exception:  # protobuf's DecodeError, which its own stubs do not export
        raise UnreadableTraces("the body is no OTLP ExportTraceServiceRequest") from None
    found = [
        (scope.scope.name, span)
        for resource in request.resource_spans
        for scope in resource.scope_spans
        for span in scope.spans
    ]
    call_ids: dict[bytes, str] = {}
    for _, span in found:
        own = _attributes(span).get(CALL_ID)
        if isinstance(own, str):
            call_ids.setdefault(span.trace_id, own)
    return [
        _traced(scope, span, call_ids[span.trace_id]) for scope, span in found if span.trace_id in call_ids
    ]


def _traced(scope: str, span: Span, call_id: str) -> TracedSpan:
    attributes = _attributes(span)
    own = attributes.get(CALL_ID)
    return TracedSpan(
        call_id=own if isinstance(own, str) else call_id,
        trace_id=span.trace_id.hex(),
        span_id=span.span_id.hex(),
        parent_span_id=span.parent_span_id.hex(),
        name=span.name,
        scope=scope,
        started_at=span.start_time_unix_nano / 1e9,
        ended_at=span.end_time_unix_nano / 1e9,
        status=_STATUS[span.status.code] if 0 <= span.status.code < len(_STATUS) else "unset",
        attributes=attributes,
    )


def _attributes(span: Span) -> dict[str, Any]:
    return {item.key: _value(item.value) for item in span.attributes}


def _value(value: AnyValue) -> Any:
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return [_value(item) for item in value.array_value.values]
    if kind == "kvlist_value":
        return {item.key: _value(item.value) for item in value.kvlist_value.values}
    if kind == "bytes_value":
        return value.bytes_value.hex()
    return getattr(value, kind) if kind is not None else None
