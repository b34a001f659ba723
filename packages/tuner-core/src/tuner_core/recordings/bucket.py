"""The receiving end of presigned uploads, for the local Tuner and for tests: as strict as S3, and never lenient.

A bucket signs a policy, and later judges a form by what the form itself carries: the policy, its signature, and fields
that must equal the policy's, as S3 does (Amazon S3 API reference, "POST Object" and "POST policy"). On top of that it
wants the fields in the order in which they were issued. Pure: bytes go in, the file's bytes and a verdict come out.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.message import EmailMessage
from typing import Any
from xml.sax.saxutils import escape

from tuner_core.recordings.target import UploadTarget

_LONGEST_HEAD = 20 * 1024
"""S3 takes no more than 20 KB before the file."""

_UNSIGNED = ("policy", "x-amz-signature")


class Refused(Exception):
    """The storage does not take an upload.

    Attributes:
        status: HTTP status to answer with.
        code: S3's word.
    """

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code

    def xml(self) -> bytes:
        """The error document."""
        text = f"<Error><Code>{self.code}</Code><Message>{escape(str(self))}</Message></Error>"
        return f'<?xml version="1.0" encoding="UTF-8"?>\n{text}'.encode()


@dataclass(frozen=True, slots=True)
class Bucket:
    """Issues upload targets and judges forms.

    Attributes:
        url: where forms are sent.
        secret: signs policies.
        max_bytes: the largest file.
        lasts_s: seconds until a target expires.
    """

    url: str
    secret: bytes
    max_bytes: int = 100 * 1024 * 1024
    lasts_s: float = 3600.0

    def __repr__(self) -> str:
        return f"<Bucket at {self.url}>"

    def issue(self, key: str, *, content_type: str, now: float) -> UploadTarget:
        """A target for one file.

        Args:
            key: name under which it is stored.
            content_type: of the file.
            now: Unix seconds.
        """
        day = datetime.fromtimestamp(now, UTC)
        fields = {
            "key": key,
            "Content-Type": content_type,
            "x-amz-algorithm": "AWS4-HMAC-SHA256",
            "x-amz-credential": f"LOCAL/{day:%Y%m%d}/local/s3/aws4_request",
            "x-amz-date": f"{day:%Y%m%dT%H%M%SZ}",
        }
        policy = {
            "expiration": now + self.lasts_s,
            "conditions": [*({name: value} for name, value in fields.items())],
            "content-length-range": [1, self.max_bytes],
        }
        fields["policy"] = base64.b64encode(json.dumps(policy).encode()).decode()
        fields["x-amz-signature"] = self._signature(fields["policy"])
        return UploadTarget(self.url, tuple(fields.items()), content_type, self.max_bytes)

    def judge(self, fields: tuple[tuple[str, str], ...], *, now: float) -> tuple[str, int]:
        """The key and the largest size that a form's fields allow.

        Raises:
            Refused: they are not those of a target of this bucket, or it has expired.
        """
        given = dict(fields)
        policy_text = given.get("policy", "")
        if not hmac.compare_digest(
            given.get("x-amz-signature", "").encode(), self._signature(policy_text).encode()
        ):
            raise Refused(403, "SignatureDoesNotMatch", "The request signature does not match.")
        policy: dict[str, Any] = json.loads(base64.b64decode(policy_text))
        if now > policy["expiration"]:
            raise Refused(403, "AccessDenied", "Invalid according to Policy: Policy expired.")
        signed = [item for condition in policy["conditions"] for item in condition.items()]
        names = [*(name for name, _ in signed), *_UNSIGNED]
        if [name for name, _ in fields] != names:
            extra = [name for name in given if name not in names]
            what = (
                f"Extra input fields: {', '.join(extra)}" if extra else "fields missing or in another order"
            )
            raise Refused(403, "AccessDenied", f"Invalid according to Policy: {what}")
        for name, value in signed:
            if given[name] != value:
                raise Refused(403, "AccessDenied", f"Invalid according to Policy: ${name} was changed")
        return given["key"], int(policy["content-length-range"][1])

    def _signature(self, policy: str) -> str:
        return hmac.new(self.secret, policy.encode(), hashlib.sha256).hexdigest()


class UploadReceiver:
    """One upload as it arrives.

    Args:
        bucket: judges it.
        headers: of the request, with lower-case names or in a mapping that ignores case.
        now: Unix seconds.

    Attributes:
        key: of the file, known once its fields have arrived.
        size: bytes of the file so far.

    Raises:
        Refused: the headers alone say that this is no upload.
    """

    def __init__(self, bucket: Bucket, headers: Mapping[str, str], *, now: float) -> None:
        if headers.get("content-length") is None:
            raise Refused(411, "MissingContentLength", "You must provide the Content-Length HTTP header.")
        if headers.get("authorization") is not None:
            raise Refused(400, "InvalidArgument", "Only one auth mechanism allowed.")
        self.key = ""
        self.size = 0
        self._bucket = bucket
        self._now = now
        self._boundary = _boundary_of(headers.get("content-type", ""))
        self._end = b"\r\n--" + self._boundary + b"--"
        self._another = b"\r\n--" + self._boundary + b"\r\n"
        self._held: bytes = b""
        self._in_file = False
        self._most = 0

    def receive(self, data: bytes) -> bytes:
        """Take the next bytes of the body; gives back those that certainly are the file's.

        Raises:
            Refused: fields that are not allowed, or a file that is too large.
        """
        self._held += data
        if not self._in_file and not self._read_head():
            return b""
        if self._another in self._held:
            raise Refused(400, "InvalidArgument", "The file must be the last field.")
        # The end of the form, or the beginning of another part, may be split over two reads.
        keep = len(self._end) + 2
        piece, self._held = self._held[:-keep], self._held[-keep:]
        self.size += len(piece)
        if self.size > self._most:
            raise Refused(400, "EntityTooLarge", "Your proposed upload exceeds the maximum allowed size")
        return piece

    def finish(self) -> bytes:
        """The body has ended; the last bytes of the file.

        Raises:
            Refused: the form is incomplete, something follows the file, or the file's size is not allowed.
        """
        rest = self._held.removesuffix(b"\r\n")
        if not self._in_file or not rest.endswith(self._end):
            raise Refused(
                400, "MalformedPOSTRequest", "The body of your POST request is not well-formed multipart."
            )
        piece = rest.removesuffix(self._end)
        self.size += len(piece)
        if self.size > self._most:
            raise Refused(400, "EntityTooLarge", "Your proposed upload exceeds the maximum allowed size")
        if self.size == 0:
            raise Refused(
                400, "EntityTooSmall", "Your proposed upload is smaller than the minimum allowed size"
            )
        return piece

    def _read_head(self) -> bool:
        fields: list[tuple[str, str]] = []
        parts = self._held.split(b"--" + self._boundary + b"\r\n")
        for index, part in enumerate(parts[1:], start=1):
            header, found, content = part.partition(b"\r\n\r\n")
            if not found:
                break
            name = _name_in(header)
            if name == "file":
                self.key, self._most = self._bucket.judge(tuple(fields), now=self._now)
                self._held = (b"--" + self._boundary + b"\r\n").join([content, *parts[index + 1 :]])
                self._in_file = True
                return True
            fields.append((name, content.removesuffix(b"\r\n").decode("utf-8", "replace")))
        if len(self._held) > _LONGEST_HEAD:
            raise Refused(
                400, "MaxPostPreDataLengthExceeded", "Your POST fields preceding the file are too large."
            )
        return False


def _boundary_of(content_type: str) -> bytes:
    message = EmailMessage()
    message["content-type"] = content_type
    boundary = message["content-type"].params.get("boundary", "")
    if message.get_content_type() != "multipart/form-data" or not boundary:
        raise Refused(
            412, "PreconditionFailed", "Bucket POST must be of the enclosure-type multipart/form-data"
        )
    return str(boundary).encode()


def _name_in(header: bytes) -> str:
    found = re.search(rb'(?im)^content-disposition:\s*form-data;.*?\bname="([^"]*)"', header)
    return found[1].decode("utf-8", "replace").replace("%22", '"') if found else ""
