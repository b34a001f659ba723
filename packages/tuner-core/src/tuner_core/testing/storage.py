"""A storage on loopback that takes presigned uploads as S3 does, or as its script says.

```python
with ScriptedStorage(503, RESET) as storage, ScriptedTuner(recordings=storage) as tuner:
    ...
assert storage.stored["c-81"] == hashlib.sha256(Path("c-81.wav").read_bytes()).hexdigest()
```
"""

from __future__ import annotations

import hashlib
import secrets
import threading
import time
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

from tuner_core.recordings.bucket import Bucket, Refused, UploadReceiver
from tuner_core.testing.scripted import HANG, RESET, TAKE_AND_RESET, Answer, Step
from tuner_core.testing.wire import reset_on_close

_PIECE_BYTES = 64 * 1024

EXPIRED = Answer(403, Refused(403, "AccessDenied", "Invalid according to Policy: Policy expired.").xml())
"""What S3 says to a form whose policy has expired."""


@dataclass(frozen=True, slots=True)
class UploadTry:
    """One upload as it ended: Unix time of its arrival, the call it is of, bytes received, the answer's status."""

    at: float
    call_id: str
    size: int
    status: int | None


class ScriptedStorage:
    """The server; a context manager that runs it in a thread.

    Without a script it judges each form as S3 would: signed fields unchanged, in order and before the file, the file
    last and not too large.

    Args:
        script: an answer for each upload in turn; a bare number is a status, 200 lets the form be judged. `RESET` and
            `HANG` come when half of it has been read.
        max_bytes: the largest recording.
        lasts_s: seconds until an upload target expires.

    Attributes:
        begun: how many uploads have begun.
        tries: every upload that has ended, in whatever way.
        stored: SHA-256 of the recording of each call.
        times_stored: how often a recording of each call was stored.
    """

    def __init__(self, *script: Step, max_bytes: int = 100 * 1024 * 1024, lasts_s: float = 3600.0) -> None:
        self.begun = 0
        self.tries: list[UploadTry] = []
        self.stored: dict[str, str] = {}
        self.times_stored: dict[str, int] = {}
        self._script = list(script)
        self._max_bytes = max_bytes
        self._lasts_s = lasts_s
        self._secret = secrets.token_bytes(16)
        self._mutex = threading.Condition()
        self._closing = threading.Event()
        self._server: ThreadingHTTPServer | None = None

    @property
    def url(self) -> str:
        """Where forms are sent."""
        assert self._server is not None
        return f"http://127.0.0.1:{self._server.server_address[1]}/"

    def issue(self, call_id: str, extension: str) -> dict[str, Any]:
        """A `recording_upload` as Create Call answers it."""
        key, content_type = f"recordings/{call_id}.{extension}", f"audio/{extension}"
        target = self._bucket().issue(key, content_type=content_type, now=time.time())
        return {
            "url": target.url,
            "fields": dict(target.fields),
            "key": key,
            "content_type": content_type,
            "max_bytes": self._max_bytes,
        }

    def wait_for_uploads(self, count: int, *, timeout_s: float = 10.0) -> bool:
        """Wait until so many uploads have begun; False when the time is over."""
        with self._mutex:
            return self._mutex.wait_for(lambda: self.begun >= count, timeout_s)

    def __enter__(self) -> Self:
        storage = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                storage._take(self)

            def log_message(self, format: str, *args: Any) -> None:
                """Say nothing on standard error."""

        self._server = _Server(("127.0.0.1", 0), Handler)
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closing.set()
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()

    def _bucket(self) -> Bucket:
        return Bucket(self.url, self._secret, self._max_bytes, self._lasts_s)

    def _take(self, request: BaseHTTPRequestHandler) -> None:
        at = time.time()
        with self._mutex:
            step = self._script.pop(0) if self._script else None
            self.begun += 1
            self._mutex.notify_all()
        length = int(request.headers.get("content-length") or 0)
        read, call_id, digest = 0, "", hashlib.sha256()
        headers = {name.lower(): value for name, value in request.headers.items()}
        try:
            receiver = UploadReceiver(self._bucket(), headers, now=at)
            while read < length and not (step in (RESET, HANG) and read >= length // 2):
                piece = request.rfile.read(min(_PIECE_BYTES, length - read))
                if not piece:
                    break
                read += len(piece)
                digest.update(receiver.receive(piece))
            whole = read == length
            digest.update(receiver.finish() if whole else b"")
            call_id = receiver.key.removeprefix("recordings/").rpartition(".")[0]
            answer = self._answer(step) if whole else None
        except Refused as refused:
            whole, answer = False, (refused.status, refused.xml())
        status = answer[0] if answer is not None else None
        stored = digest.hexdigest() if whole and (status == 204 or step == TAKE_AND_RESET) else None
        self._note(UploadTry(at, call_id, read, status), stored)
        if step == HANG:
            self._closing.wait()
        if answer is None:
            reset_on_close(request.connection)
            request.connection.close()
            request.close_connection = True
            return
        # A refusal comes before the end of the body; closing at once would take it back.
        _send(request, *answer)
        while read < length and (piece := request.rfile.read(min(_PIECE_BYTES, length - read))):
            read += len(piece)

    def _note(self, upload: UploadTry, digest: str | None) -> None:
        with self._mutex:
            self.tries.append(upload)
            if digest is not None:
                self.stored[upload.call_id] = digest
                self.times_stored[upload.call_id] = self.times_stored.get(upload.call_id, 0) + 1
            self._mutex.notify_all()

    def _answer(self, step: Step | None) -> tuple[int, bytes] | None:
        """Status and body for a form that arrived whole and is in order; None for none."""
        if step in (RESET, TAKE_AND_RESET, HANG):
            return None
        answer = step if isinstance(step, Answer) else Answer(step if isinstance(step, int) else 204)
        if answer.status in {200, 204}:
            return 204, b""
        if answer.body is None:
            code = "SlowDown" if answer.status == 503 else "InternalError"
            return answer.status, Refused(answer.status, code, "as the script says").xml()
        return answer.status, answer.body if isinstance(answer.body, bytes) else str(answer.body).encode()


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that goes away in the middle is what such tests are about."""


def _send(request: BaseHTTPRequestHandler, status: int, body: bytes) -> None:
    request.send_response(status)
    if status != 204:
        request.send_header("Content-Type", "application/xml")
        request.send_header("Content-Length", str(len(body)))
    request.end_headers()
    request.wfile.write(body)
