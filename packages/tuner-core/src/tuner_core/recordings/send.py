"""One upload over HTTP: the file is read piece by piece while it goes out."""

from __future__ import annotations

import asyncio
import os
import secrets
import stat
from collections.abc import AsyncIterator, Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import httpx

from tuner_core.errors import UploadError
from tuner_core.recordings.answers import check_upload
from tuner_core.recordings.form import UploadForm, upload_form
from tuner_core.recordings.target import UploadTarget

SILENCE_S = 30.0
"""Longest standstill of an upload, in seconds: no byte taken, or no answer to all of them."""


async def upload_once(
    http: httpx.AsyncClient, target: UploadTarget, path: Path, *, silence_s: float = SILENCE_S
) -> None:
    """Upload a file, once, without blocking the event loop.

    Args:
        http: sends it; none of its default headers and credentials go to the storage.
        target: where to.
        path: the file.
        silence_s: longest standstill, in seconds; the whole may take as long as it moves.

    Raises:
        UploadError: it was not uploaded; `retryable` and `target_refused` say what may help.
    """
    with _opened(target, path) as (form, file):
        request = _request(form, silence_s, _pieces(form, file))
        try:
            response = await http.send(request, auth=None, follow_redirects=False)
        except httpx.HTTPError as error:
            raise _broken(error) from None
        check_upload(response.status_code, response.content)


def upload_once_sync(
    http: httpx.Client, target: UploadTarget, path: Path, *, silence_s: float = SILENCE_S
) -> None:
    """As `upload_once`, for code without an event loop; blocks."""
    with _opened(target, path) as (form, file):
        request = _request(form, silence_s, _pieces_sync(form, file))
        try:
            response = http.send(request, auth=None, follow_redirects=False)
        except httpx.HTTPError as error:
            raise _broken(error) from None
        check_upload(response.status_code, response.content)


@contextmanager
def _opened(target: UploadTarget, path: Path) -> Generator[tuple[UploadForm, BinaryIO]]:
    """The file and the form for the size it has as it is opened.

    Neither the name of the file nor its folder is told to anybody: names of recordings often hold phone numbers.
    """
    try:
        file = path.open("rb")
    except FileNotFoundError:
        raise UploadError("the recording's file does not exist any more") from None
    except OSError as error:
        raise UploadError(f"the recording cannot be read: {os.strerror(error.errno or 0)}") from None
    with file:
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode):
            raise UploadError("the recording is not a file")
        form = upload_form(
            target,
            filename=f"recording{path.suffix if path.suffix.isascii() else ''}",
            size=status.st_size,
            boundary=secrets.token_hex(16),
        )
        yield form, file


async def _pieces(form: UploadForm, file: BinaryIO) -> AsyncIterator[bytes]:
    yield form.head
    chunks = form.file_chunks(file)
    while True:
        # A slow disk must not hold up the loop.
        chunk = await asyncio.to_thread(_next, chunks)
        if chunk is None:
            break
        yield chunk
    yield form.tail


def _pieces_sync(form: UploadForm, file: BinaryIO) -> Iterator[bytes]:
    yield form.head
    chunks = form.file_chunks(file)
    yield from iter(lambda: _next(chunks), None)
    yield form.tail


def _next(chunks: Iterator[bytes]) -> bytes | None:
    try:
        return next(chunks, None)
    except OSError as error:
        why = os.strerror(error.errno or 0)
        raise UploadError(f"the recording cannot be read: {why}", retryable=True) from None


def _request(
    form: UploadForm, silence_s: float, content: AsyncIterator[bytes] | Iterator[bytes]
) -> httpx.Request:
    """Made by hand: a client's own headers, cookies and credentials are for another host."""
    timeout = httpx.Timeout(silence_s).as_dict()
    try:
        return httpx.Request(
            "POST", form.url, headers=dict(form.headers), content=content, extensions={"timeout": timeout}
        )
    except httpx.InvalidURL:
        raise UploadError("the upload target that the API gave cannot be used: its url is none") from None


def _broken(error: httpx.HTTPError) -> UploadError:
    if isinstance(error, httpx.ConnectError | httpx.ConnectTimeout):
        what = "no connection to the storage"
    elif isinstance(error, httpx.TimeoutException):
        what = "the storage stood still"
    else:
        what = f"the connection to the storage broke ({type(error).__name__})"
    return UploadError(f"the recording was not uploaded: {what}", retryable=True)
