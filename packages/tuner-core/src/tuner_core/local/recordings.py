"""Recordings of calls: an upload target for a post that asks for one, the upload, and the file to listen to.

Create Call answers a record that has `recording_file_extension` with a presigned upload. Here it leads to this server,
which judges the form as strictly as S3 does (`tuner_core.recordings.bucket`).
"""

from __future__ import annotations

import re
import secrets
import shutil
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Route

from tuner_core.recordings.bucket import Bucket, Refused, UploadReceiver

MEDIA_TYPES: Mapping[str, str] = {
    "wav": "audio/wav",
    "mp3": "audio/mpeg",
    "ogg": "audio/ogg",
    "opus": "audio/ogg",
    "flac": "audio/flac",
    "m4a": "audio/mp4",
    "webm": "audio/webm",
}
"""What a browser can play; other files are only handed out."""

_EXTENSION = re.compile(r"[a-z0-9]{1,10}")
_KEY = re.compile(r"recordings/(\d{1,18})\.([a-z0-9]{1,10})")
_UPLOADS = "/local/uploads"


class Recordings:
    """Keeps one recording a call, as a file.

    Args:
        folder: where; made when it is needed. None for a temporary one that goes with the server.
        clock: gives Unix seconds.
        on_change: called when a recording has come.
    """

    def __init__(
        self, folder: Path | None, clock: Callable[[], float], *, on_change: Callable[[], None]
    ) -> None:
        self._is_temporary = folder is None
        self._folder = folder
        self._secret = secrets.token_bytes(32)
        self._clock = clock
        self._on_change = on_change

    def routes(self) -> list[Route]:
        """Give the routes."""
        return [
            Route(_UPLOADS, self.take, methods=["POST"]),
            Route("/local/recordings/{number:int}", self.play, methods=["GET"]),
        ]

    def offer(self, base_url: str, number: int, extension: str) -> dict[str, Any] | None:
        """Give the `recording_upload` of a call, None where none was asked for or the extension is none.

        Args:
            base_url: of this server, as the poster reaches it.
            number: of the call.
            extension: of the file, without a dot.
        """
        extension = extension.lower()
        if not _EXTENSION.fullmatch(extension):
            return None
        bucket, key = self._bucket(base_url), f"recordings/{number}.{extension}"
        issued = bucket.issue(key, content_type=_media_type(extension), now=self._clock())
        return {
            "url": issued.url,
            "fields": dict(issued.fields),
            "key": key,
            "content_type": issued.content_type,
            "max_bytes": issued.max_bytes,
        }

    def of_call(self, number: int) -> Path | None:
        """Give the file of a call's recording, None without one."""
        if self._folder is None or not self._folder.is_dir():
            return None
        return next(iter(sorted(self._folder.glob(f"{number}.*"))), None)

    async def take(self, request: Request) -> Response:
        """Answer one upload: 204, or the storage's own words for what is wrong with the form."""
        part = await run_in_threadpool(self._open_part)
        try:
            receiver = UploadReceiver(self._bucket(str(request.base_url)), request.headers, now=self._clock())
            with part.open("wb") as file:
                async for data in request.stream():
                    file.write(receiver.receive(data))
                file.write(receiver.finish())
            found = _KEY.fullmatch(receiver.key)
            if found is None:
                raise Refused(403, "AccessDenied", "Invalid according to Policy: $key was changed")
            await run_in_threadpool(self._place, part, int(found[1]), found[2])
        except Refused as refused:
            return Response(refused.xml(), refused.status, media_type="application/xml")
        finally:
            part.unlink(missing_ok=True)
        self._on_change()
        return Response(status_code=204)

    def play(self, request: Request) -> Response:
        """Answer with the recording, or a part of it."""
        file = self.of_call(request.path_params["number"])
        if file is None:
            return JSONResponse({"detail": "no recording of this call"}, 404)
        headers = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}
        return FileResponse(file, media_type=_media_type(file.suffix[1:]), headers=headers)

    def clear(self) -> None:
        """Forget every recording."""
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
        if self._is_temporary:
            self._folder = None

    def close(self) -> None:
        """Remove what should not outlive the server."""
        if self._is_temporary:
            self.clear()

    def _bucket(self, base_url: str) -> Bucket:
        return Bucket(f"{base_url.rstrip('/')}{_UPLOADS}", self._secret)

    def _open_part(self) -> Path:
        """Make an empty file beside the recordings, in the folder that they are in or will be in."""
        if self._folder is None:
            self._folder = Path(tempfile.mkdtemp(prefix="tuner-local-"))
        self._folder.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(suffix=".part", dir=self._folder)
        with open(handle, "wb"):
            return Path(name)

    def _place(self, part: Path, number: int, extension: str) -> None:
        for earlier in part.parent.glob(f"{number}.*"):
            earlier.unlink()
        part.replace(part.with_name(f"{number}.{extension}"))


def _media_type(extension: str) -> str:
    return MEDIA_TYPES.get(extension, "application/octet-stream")
