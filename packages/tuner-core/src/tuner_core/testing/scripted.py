"""A Create Call endpoint on loopback that answers as its script says: for tests of delivery, yours and ours.

```python
with ScriptedTuner(503, RateLimit(after_s=1), RESET) as tuner:
    config = TunerConfig(api_key="k", workspace_id=1, agent_id="a", base_url=tuner.base_url, outbox=tmp_path / "o")
    ...
assert tuner.stored == {"c-81": 1}
```

When the script is over it behaves as Tuner does: 201 for a new `call_id`, 200 with `is_new` false for one it has.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeAlias
from urllib.parse import parse_qs, urlsplit

from tuner_core.testing.wire import reset_on_close

if TYPE_CHECKING:
    from tuner_core.testing.storage import ScriptedStorage


class Misbehaviour(Enum):
    """What a server can do besides answering."""

    RESET = "the connection is reset after the request was read; nothing is stored"
    HANG = "no answer until the server closes; nothing is stored"
    HALF = "the call is stored, and the answer breaks off in its middle"
    TAKE_AND_RESET = "the call is stored, and the connection reset before the answer"


RESET, HANG, HALF, TAKE_AND_RESET = Misbehaviour


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer of the script: status, JSON body or text, further headers."""

    status: int
    body: Any = field(default=None, repr=False)
    headers: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)


class RateLimit(Answer):
    """429 with a `Retry-After` of so many seconds."""

    def __init__(self, *, after_s: float) -> None:
        super().__init__(429, {"detail": "Too many requests"}, {"Retry-After": f"{after_s:g}"})


Step: TypeAlias = int | Answer | Misbehaviour


@dataclass(frozen=True, slots=True)
class Received:
    """One request as it arrived, with the Unix time of its arrival."""

    at: float
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str] = field(repr=False)
    body: Any = field(repr=False)


class ScriptedTuner:
    """The server; a context manager that runs it in a thread.

    Args:
        script: an answer for each request in turn; a bare number is a status.
        recordings: takes recordings: an upload target of it is in the answer to a record that asks for one.

    Attributes:
        received: every request so far.
        stored: how often each `call_id` was stored as new: 1, unless something is very wrong.
    """

    def __init__(self, *script: Step, recordings: ScriptedStorage | None = None) -> None:
        self.received: list[Received] = []
        self.stored: dict[str, int] = {}
        self._script = list(script)
        self._recordings = recordings
        self._mutex = threading.Lock()
        self._closing = threading.Event()
        self._arrived = threading.Condition(self._mutex)
        self._server: ThreadingHTTPServer | None = None

    @property
    def base_url(self) -> str:
        """Where it listens, without a slash at the end."""
        assert self._server is not None
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def wait_for_requests(self, count: int, *, timeout_s: float = 10.0) -> bool:
        """Wait until so many requests have arrived; False when the time is over."""
        with self._arrived:
            return self._arrived.wait_for(lambda: len(self.received) >= count, timeout_s)

    def __enter__(self) -> Self:
        tuner = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                tuner._answer(self)

            def log_message(self, format: str, *args: Any) -> None:
                """Say nothing on standard error."""

        server = _Server(("127.0.0.1", 0), Handler)
        self._server = server
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closing.set()
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()

    def _answer(self, request: BaseHTTPRequestHandler) -> None:
        raw = request.rfile.read(int(request.headers.get("content-length", "0")))
        with self._arrived:
            body = json.loads(raw)
            target = urlsplit(request.path)
            self.received.append(
                Received(
                    at=time.time(),
                    path=target.path,
                    query={name: values[0] for name, values in parse_qs(target.query).items()},
                    headers={name.lower(): value for name, value in request.headers.items()},
                    body=body,
                )
            )
            step = self._script.pop(0) if self._script else None
            taken = not isinstance(step, Answer) and step in (None, HALF, TAKE_AND_RESET, 200, 201)
            if taken:
                natural = self._take(str(body.get("call_id")), body.get("recording_file_extension"))
            else:
                natural = Answer(step if isinstance(step, int) else 500, {"detail": "as the script says"})
            self._arrived.notify_all()
        if step in (RESET, TAKE_AND_RESET):
            _reset(request)
        elif step == HANG:
            self._closing.wait()
            request.close_connection = True
        elif step == HALF:
            _send(request, natural, cut=True)
        elif isinstance(step, Answer):
            _send(request, step)
        else:
            _send(request, natural)

    def _take(self, call_id: str, extension: str | None) -> Answer:
        is_new = call_id not in self.stored
        if is_new:
            self.stored[call_id] = 1
        number = list(self.stored).index(call_id) + 1
        body: dict[str, Any] = {"id": number, "provider_call_id": call_id, "is_new": is_new}
        if extension and self._recordings is not None:
            body["recording_upload"] = self._recordings.issue(call_id, extension)
        return Answer(201 if is_new else 200, body)


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that goes away in the middle is what such tests are about."""


def _send(request: BaseHTTPRequestHandler, answer: Answer, *, cut: bool = False) -> None:
    text = answer.body if isinstance(answer.body, str) else json.dumps(answer.body or {})
    body = text.encode()
    request.send_response(answer.status)
    for name, value in answer.headers.items():
        request.send_header(name, value)
    request.send_header("Content-Length", str(len(body)))
    request.end_headers()
    request.wfile.write(body[: len(body) // 2] if cut else body)
    request.close_connection = cut or request.close_connection


def _reset(request: BaseHTTPRequestHandler) -> None:
    """Close with RST instead of FIN."""
    reset_on_close(request.connection)
    request.connection.close()
    request.close_connection = True
