"""Spans as an OTLP request body (protobuf), each with the id of its call."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Event, ReadableSpan
from opentelemetry.trace import Link, SpanContext, Status

from tuner_core.tracing.content import harmless, harmless_name

CALL_ID = "tuner.call_id"
"""The span attribute that Tuner files a trace by."""


def request_body(spans: Sequence[ReadableSpan], *, call_id: str, with_content: bool) -> bytes:
    """An `ExportTraceServiceRequest` with these spans.

    Args:
        spans: ended spans of one call.
        call_id: value of `tuner.call_id` on each.
        with_content: keep every attribute, status text and event; else only what `harmless` keeps.
    """
    resources: dict[int, Resource] = {}
    told = [_told(span, call_id, with_content, resources) for span in spans]
    return encode_spans(told).SerializeToString()


def rejected_in(body: bytes) -> int:
    """How many spans of a request the endpoint says it did not keep."""
    try:
        return int(ExportTraceServiceResponse.FromString(body).partial_success.rejected_spans)
    except Exception:  # protobuf's DecodeError, or a body that is no protobuf at all
        return 0


def _told(
    span: ReadableSpan, call_id: str, with_content: bool, resources: dict[int, Resource]
) -> ReadableSpan:
    attributes: dict[str, Any] = dict(span.attributes or {}) if with_content else harmless(span.attributes)
    attributes[CALL_ID] = call_id
    if with_content:
        name, events, links = span.name, span.events, span.links
        status, resource = span.status, span.resource
    else:
        name, status = harmless_name(span.name), Status(span.status.status_code)
        events = [_event(event) for event in span.events]
        links = [Link(_bare(link.context)) for link in span.links]
        # Equal resources must stay one object: the encoder groups the spans by them.
        resource = resources.setdefault(
            id(span.resource), Resource(harmless(span.resource.attributes), span.resource.schema_url)
        )
    context = span.get_span_context()
    return ReadableSpan(
        name=name,
        context=_bare(context) if context is not None else None,
        parent=_bare(span.parent) if span.parent is not None else None,
        resource=resource,
        attributes=attributes,
        events=events,
        links=links,
        kind=span.kind,
        status=status,
        start_time=span.start_time,
        end_time=span.end_time,
        instrumentation_scope=span.instrumentation_scope,
    )


def _event(event: Event) -> Event:
    return Event(harmless_name(event.name), harmless(event.attributes), event.timestamp)


def _bare(context: SpanContext) -> SpanContext:
    """The ids alone: a trace state is other vendors' business."""
    return SpanContext(context.trace_id, context.span_id, context.is_remote, context.trace_flags)
