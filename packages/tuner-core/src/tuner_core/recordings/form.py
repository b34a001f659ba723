"""The body of a presigned POST: `multipart/form-data` (RFC 7578) with the policy's fields first and the file last.

S3 reads the form from the front and ignores what comes after the file, so the order is part of the protocol; it also
wants the exact length in advance, chunked bodies are refused.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import BinaryIO

from tuner_core.errors import UploadError
from tuner_core.recordings.target import UploadTarget

CHUNK_BYTES = 256 * 1024
"""How much of a file is in memory at a time."""


@dataclass(frozen=True, slots=True)
class UploadForm:
    """A form around a file; what surrounds the file stays out of the representation.

    Attributes:
        url: receives it.
        headers: of the request, with the exact `Content-Length`.
        head: the bytes before the file.
        size: of the file, in bytes.
        tail: the bytes after it.
    """

    url: str = field(repr=False)
    headers: Mapping[str, str]
    head: bytes = field(repr=False)
    size: int
    tail: bytes = field(repr=False)

    def file_chunks(self, file: BinaryIO) -> Iterator[bytes]:
        """The file's bytes, exactly `size` of them.

        Args:
            file: open at its beginning.

        Raises:
            UploadError: it has become shorter; a later try may read it whole.
        """
        left = self.size
        while left:
            chunk = file.read(min(CHUNK_BYTES, left))
            if not chunk:
                raise UploadError("the recording became shorter while it was uploaded", retryable=True)
            left -= len(chunk)
            yield chunk


def upload_form(target: UploadTarget, *, filename: str, size: int, boundary: str) -> UploadForm:
    """The form that uploads one file.

    The target's fields are sent verbatim and in their order. Nothing is added to them: S3 refuses a field that its
    policy does not name.

    Args:
        target: where to.
        filename: told to the receiver; it decides nothing there.
        size: of the file, in bytes.
        boundary: parts the form; letters and digits that occur in no field, 1 to 70 of them.

    Raises:
        UploadError: the file is empty or larger than the target takes; found before a byte goes out.
        ValueError: the boundary is no such text.
    """
    if size <= 0:
        raise UploadError("the recording is an empty file")
    if target.max_bytes is not None and size > target.max_bytes:
        raise UploadError(
            f"the recording has {size} bytes and the upload target takes {target.max_bytes}",
            code="EntityTooLarge",
        )
    if not (boundary.isalnum() and boundary.isascii() and len(boundary) <= 70):
        raise ValueError("a boundary has 1 to 70 letters and digits")
    if any(boundary in value or boundary in name for name, value in target.fields):
        raise ValueError("the boundary occurs in a field")
    parts = [
        f'--{boundary}\r\nContent-Disposition: form-data; name="{_quoted(name)}"\r\n\r\n{value}\r\n'
        for name, value in target.fields
    ]
    parts.append(
        f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="{_quoted(filename)}"\r\n'
        f"Content-Type: {target.content_type or 'application/octet-stream'}\r\n\r\n"
    )
    head = "".join(parts).encode("utf-8", "replace")
    tail = f"\r\n--{boundary}--\r\n".encode("ascii")
    headers = {
        "Content-Type": f"multipart/form-data; boundary={boundary}",
        "Content-Length": str(len(head) + size + len(tail)),
        "Accept": "*/*",
    }
    return UploadForm(target.url, headers, head, size, tail)


def _quoted(text: str) -> str:
    """As browsers write names in a form (WHATWG HTML, multipart/form-data encoding algorithm)."""
    return text.replace('"', "%22").replace("\r", "%0D").replace("\n", "%0A")
