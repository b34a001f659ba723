"""Traces over real HTTP: every span once, at its tenant, with its key and its call's id; nothing left afterwards."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import subprocess
import sys
import threading
import time
import tracemalloc
import weakref
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

import pytest
from opentelemetry import context as otel_context
from opentelemetry import trace
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.sdk.trace import TracerProvider

from tuner_core.config import TunerConfig
from tuner_core.errors import ConfigError
from tuner_core.tracing import CallTrace
from tuner_core.tracing import sender as sender_module
from tuner_core.tracing.hub import hub

WORDS = "my card is 4111 1111 1111 1111"


@dataclass(frozen=True)
class Arrived:
    key: str
    path: str
    name: str
    trace_id: bytes
    span_id: bytes
    parent: bytes
    attributes: dict[str, Any]
    events: list[tuple[str, dict[str, Any]]]
    status: tuple[int, str]


@dataclass
class Receiver:
    """An OTLP receiver on loopback; answers as told, first in, first used, then 200."""

    answers: list[int] = field(default_factory=list)
    spans: list[Arrived] = field(default_factory=list)
    posts: int = 0
    hang: threading.Event = field(default_factory=threading.Event)
    base_url: str = ""

    def __enter__(self) -> Self:
        receiver = self
        self._lock = threading.Lock()
        self.hang.set()

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                receiver.hang.wait(20)
                with receiver._lock:
                    receiver.posts += 1
                    status = receiver.answers.pop(0) if receiver.answers else 200
                    if status == 200:
                        receiver._take(self, body)
                self.send_response(status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, format: str, *args: Any) -> None: ...

        class Server(ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, request: Any, client_address: Any) -> None: ...

        self._server = Server(("127.0.0.1", 0), Handler)
        self.base_url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.hang.set()
        self._server.shutdown()
        self._server.server_close()

    def _take(self, request: BaseHTTPRequestHandler, body: bytes) -> None:
        assert request.headers["content-type"] == "application/x-protobuf"
        for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
            for scope in resource.scope_spans:
                for span in scope.spans:
                    self.spans.append(
                        Arrived(
                            request.headers["authorization"],
                            request.path,
                            span.name,
                            span.trace_id,
                            span.span_id,
                            span.parent_span_id,
                            _plain(span.attributes),
                            [(event.name, _plain(event.attributes)) for event in span.events],
                            (span.status.code, span.status.message),
                        )
                    )

    def config(self, key: str = "tr_api_a") -> TunerConfig:
        return TunerConfig(api_key=key, workspace_id=1, agent_id="a", base_url=self.base_url)

    def names(self) -> list[str]:
        return [span.name for span in self.spans]


def _plain(attributes: Any) -> dict[str, Any]:
    return {item.key: getattr(item.value, item.value.WhichOneof("value")) for item in attributes}


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as running:
        yield running


@pytest.fixture
def provider() -> TracerProvider:
    return TracerProvider(shutdown_on_exit=False)


async def test_fifty_calls_of_two_tenants_side_by_side_each_span_arrives_once_and_at_home(
    provider: TracerProvider,
) -> None:
    tracer = provider.get_tracer("agent")

    def in_a_thread(call_id: str, context: otel_context.Context) -> None:
        token = otel_context.attach(context)
        with tracer.start_as_current_span(f"tool {call_id}"):
            time.sleep(0.002)
        otel_context.detach(token)

    async def turn(call_id: str, number: int) -> None:
        with tracer.start_as_current_span(f"turn {call_id}"):
            await asyncio.sleep(0.001 * (number % 3))
            with tracer.start_as_current_span(f"llm {call_id}", attributes={"input": WORDS}):
                await asyncio.sleep(0.001)

    async def call(number: int, tenant: tuple[str, Receiver]) -> None:
        key, receiver = tenant
        call_id = f"call-{number}"
        trace_of_call = CallTrace(call_id, receiver.config(key), provider=provider)
        trace_of_call.start()
        with tracer.start_as_current_span(f"conversation {call_id}"):
            await asyncio.gather(*(turn(call_id, index) for index in range(3)))
            await asyncio.to_thread(in_a_thread, call_id, otel_context.get_current())
        outcome = await trace_of_call.aend()
        assert (outcome.sent, outcome.dropped) == (8, 0)

    with Receiver() as one, Receiver() as other:
        tenants = [("tr_api_one", one), ("tr_api_other", other)]
        with tracer.start_as_current_span("process"):  # one trace around them all, as a careless host has it
            await asyncio.gather(*(call(number, tenants[number % 2]) for number in range(50)))
        for key, receiver in tenants:
            assert len(receiver.spans) == 25 * 8
            assert {span.key for span in receiver.spans} == {f"Bearer {key}"}
            assert {span.path for span in receiver.spans} == {"/api/v1/traces"}
            assert all(span.name.endswith(f" {span.attributes['tuner.call_id']}") for span in receiver.spans)
            assert max(Counter(span.span_id for span in receiver.spans).values()) == 1
        assert "process" not in one.names() + other.names()


def test_calls_in_threads_of_their_own_stay_apart(receiver: Receiver, provider: TracerProvider) -> None:
    tracer = provider.get_tracer("agent")

    def call(number: int) -> None:
        with CallTrace(
            f"t-{number}", receiver.config(f"tr_api_{number}"), provider=provider
        ) as trace_of_call:
            for _ in range(5):
                with tracer.start_as_current_span(f"turn t-{number}"):
                    time.sleep(0.001)
        trace_of_call.end().result(5)

    threads = [threading.Thread(target=call, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(receiver.spans) == 40
    for span in receiver.spans:
        call_id = span.attributes["tuner.call_id"]
        assert span.name == f"turn {call_id}"
        assert span.key == f"Bearer tr_api_{call_id.removeprefix('t-')}"


async def test_a_root_in_another_task_is_adopted_with_what_ended_before(
    receiver: Receiver, provider: TracerProvider
) -> None:
    """How Pipecat does it: two observers made in one task, spans started in tasks of their own."""
    tracer = provider.get_tracer("pipecat")
    first, second = (CallTrace(name, receiver.config(), provider=provider) for name in ("one", "two"))
    first.start(bind_context=False)
    second.start(bind_context=False)

    async def pipeline(call_trace: CallTrace) -> None:
        conversation = tracer.start_span(f"conversation {call_trace.call_id}")
        context = trace.set_span_in_context(trace.NonRecordingSpan(conversation.get_span_context()))
        tracer.start_span(f"set-up {call_trace.call_id}", context=context).end()
        await asyncio.sleep(0.01)
        assert call_trace.adopt(context)
        tracer.start_span(f"turn {call_trace.call_id}", context=context).end()
        call_trace.end()
        await asyncio.sleep(0.05)
        conversation.end()

    await asyncio.gather(pipeline(first), pipeline(second))
    outcomes = [await one.aend() for one in (first, second)]
    assert [(outcome.sent, outcome.dropped) for outcome in outcomes] == [(3, 0), (3, 0)]
    assert sorted(receiver.names()) == sorted(
        f"{kind} {name}" for kind in ("conversation", "set-up", "turn") for name in ("one", "two")
    )
    assert all(span.name.endswith(span.attributes["tuner.call_id"]) for span in receiver.spans)


async def test_what_was_said_stays_here_unless_asked_for(
    receiver: Receiver, provider: TracerProvider
) -> None:
    tracer = provider.get_tracer("agent")

    figures = {"input": WORDS, "gen_ai.usage.input_tokens": 9}

    async def call(call_id: str, *, with_content: bool) -> None:
        call_trace = CallTrace(call_id, receiver.config(), with_content=with_content, provider=provider)
        call_trace.start()
        with (
            contextlib.suppress(LookupError),
            tracer.start_as_current_span("llm", attributes=figures) as span,
        ):
            span.add_event("said", {"text": WORDS})
            raise LookupError(WORDS)
        await call_trace.aend()

    await call("quiet", with_content=False)
    (span,) = receiver.spans
    assert span.attributes == {"tuner.call_id": "quiet", "gen_ai.usage.input_tokens": 9}
    assert [(name, values.get("exception.type")) for name, values in span.events] == [
        ("said", None),
        ("exception", "LookupError"),
    ]
    assert span.status == (2, "")
    assert WORDS not in repr(span)
    await call("open", with_content=True)
    assert receiver.spans[-1].attributes["input"] == WORDS


async def test_failures_that_pass_cost_nothing(receiver: Receiver, provider: TracerProvider) -> None:
    receiver.answers = [503, 429, 408]
    call_trace = CallTrace("c", receiver.config(), provider=provider)
    call_trace.start()
    provider.get_tracer("agent").start_span("turn").end()
    outcome = await call_trace.aend()
    assert (outcome.sent, outcome.dropped) == (1, 0)
    assert receiver.posts == 4


async def test_a_refusal_is_said_once_and_nothing_more_is_sent(
    receiver: Receiver, provider: TracerProvider, caplog: pytest.LogCaptureFixture
) -> None:
    receiver.answers = [401] * 10
    call_trace = CallTrace("c", receiver.config("tr_api_secret"), provider=provider)
    call_trace.start()
    tracer = provider.get_tracer("agent")
    with caplog.at_level(logging.DEBUG, "tuner_core"):
        for _ in range(300):
            tracer.start_span("turn").end()
        provider.force_flush(5000)
        tracer.start_span("turn").end()
        outcome = await call_trace.aend()
    assert (outcome.sent, outcome.dropped, receiver.posts) == (0, 301, 1)
    assert "401" in outcome.detail
    assert "TUNER_API_KEY" in outcome.detail
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "tr_api_secret" not in caplog.text


async def test_too_much_at_once_is_sent_in_smaller_parts(
    receiver: Receiver, provider: TracerProvider
) -> None:
    receiver.answers = [413]
    call_trace = CallTrace("c", receiver.config(), provider=provider)
    call_trace.start()
    for _ in range(100):
        provider.get_tracer("agent").start_span("turn").end()
    outcome = await call_trace.aend()
    assert (outcome.sent, outcome.dropped, receiver.posts) == (100, 0, 3)


async def test_an_endpoint_that_hangs_holds_nobody_up(provider: TracerProvider) -> None:
    with Receiver() as dead, Receiver() as alive:
        dead.hang.clear()
        stuck, fine = (
            CallTrace(name, to.config(), provider=provider) for name, to in (("d", dead), ("a", alive))
        )
        for call_trace in (stuck, fine):
            call_trace.start()
            with provider.get_tracer("agent").start_as_current_span("turn"):
                pass
            call_trace.end(deadline_s=0.4)
        assert (await fine.aend()).sent == 1
        started = time.monotonic()
        outcome = await stuck.aend()
        assert time.monotonic() - started < 1.5
        assert (outcome.sent, outcome.dropped) == (0, 1)
        assert "0.4 s" in outcome.detail


async def test_five_hundred_calls_leave_nothing(
    receiver: Receiver, provider: TracerProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sender_module, "IDLE_S", 0.05)
    tracer = provider.get_tracer("agent")
    processors = provider._active_span_processor
    spans: list[weakref.ref[Any]] = []

    async def calls(first: int, count: int) -> None:
        for number in range(first, first + count):
            call_trace = CallTrace(f"c-{number}", receiver.config(), provider=provider)
            call_trace.start()
            with tracer.start_as_current_span("turn", attributes={"input": WORDS * 100}) as span:
                pass
            if number % 50 == 0:
                spans.append(weakref.ref(span))
                spans.append(weakref.ref(call_trace))
            assert (await call_trace.aend()).sent == 1
            del call_trace, span

    await calls(0, 100)
    tracemalloc.start()
    gc.collect()
    before = tracemalloc.get_traced_memory()[0]
    await calls(100, 400)
    receiver.spans.clear()
    gc.collect()
    growth = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    assert len(processors._span_processors) == 1
    assert (hub.running, hub.known_spans) == (0, 0)
    assert [ref for ref in spans if ref() is not None] == []
    assert growth < 300_000
    for thread in threading.enumerate():
        if thread.name == "tuner-traces":
            await asyncio.to_thread(thread.join, 3)
    assert "tuner-traces" not in {thread.name for thread in threading.enumerate()}


async def test_a_forgotten_trace_ends_itself(receiver: Receiver, provider: TracerProvider) -> None:
    call_trace = CallTrace("c", receiver.config(), provider=provider)
    call_trace.start()
    provider.get_tracer("agent").start_span("turn").end()
    finished = call_trace._spans.finished
    del call_trace
    gc.collect()
    assert (await asyncio.wrap_future(finished)).sent == 1
    assert hub.running == 0


async def test_without_an_sdk_provider_it_says_so_and_harms_nothing(
    receiver: Receiver, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tuner_core.tracing.call_trace._warned", False)
    monkeypatch.setattr(trace, "get_tracer_provider", trace.NoOpTracerProvider)
    for _ in range(2):
        call_trace = CallTrace("c", receiver.config())
        assert call_trace.start() is False
        assert (await call_trace.aend()).sent == 0
    assert [record.levelname for record in caplog.records if record.name == "tuner_core.tracing"] == [
        "WARNING"
    ]
    assert "set_up_tracing" in caplog.text


def test_without_opentelemetry_the_extra_is_named(
    monkeypatch: pytest.MonkeyPatch, receiver: Receiver
) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk.trace", None)
    with pytest.raises(ConfigError, match=r"pip install 'tuner-core\[otel\]'"):
        CallTrace("c", receiver.config())


_AT_EXIT = """
import sys
from opentelemetry import trace
from tuner_core.config import TunerConfig
from tuner_core.tracing import CallTrace, set_up_tracing
assert set_up_tracing("desk") is set_up_tracing()
config = TunerConfig(api_key="tr_api_a", workspace_id=1, agent_id="a", base_url=sys.argv[1])
with CallTrace("c-exit", config):
    with trace.get_tracer("agent").start_as_current_span("turn"):
        pass
"""


def test_a_process_that_ends_with_the_call_still_sends(receiver: Receiver) -> None:
    """By name, not by address: looking a name up needs a thread, and at exit none can be started."""
    base_url = receiver.base_url.replace("127.0.0.1", "localhost")
    subprocess.run([sys.executable, "-c", _AT_EXIT, base_url], check=True, timeout=20)
    assert [span.attributes["tuner.call_id"] for span in receiver.spans] == ["c-exit"]


def test_importing_it_imports_no_opentelemetry() -> None:
    code = (
        "import sys, tuner_core.tracing; assert not [m for m in sys.modules if m.startswith('opentelemetry')]"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=20)


async def test_spans_that_the_endpoint_did_not_keep_are_counted(provider: TracerProvider) -> None:
    from tuner_core.tracing.wire import rejected_in

    answer = ExportTraceServiceResponse()
    answer.partial_success.rejected_spans = 3
    assert rejected_in(answer.SerializeToString()) == 3
    assert rejected_in(b"") == 0
    assert rejected_in(b"<html>") == 0
