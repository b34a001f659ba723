"""Where a recording is to be uploaded: what Create Call answers as `recording_upload`.

It describes a presigned POST of S3: an address, form fields with a signed policy, and the most bytes it takes. Whoever
has the fields may upload in the workspace's name until the policy expires, so they are treated as credentials.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast
from urllib.parse import urlsplit

from tuner_core.errors import UploadError

_MOST_FIELDS = 64
_LONGEST_FIELD = 64 * 1024


@dataclass(frozen=True, slots=True)
class UploadTarget:
    """One presigned upload; neither its address nor its fields show in a representation.

    Attributes:
        url: receives the form.
        fields: names and values in the order given; they go before the file, unchanged.
        content_type: of the file, when the API says one.
        max_bytes: the largest file it takes, when the API says so.
    """

    url: str
    fields: tuple[tuple[str, str], ...]
    content_type: str | None = None
    max_bytes: int | None = None

    def __repr__(self) -> str:
        bound = "any size" if self.max_bytes is None else f"at most {self.max_bytes} bytes"
        return f"<UploadTarget on {urlsplit(self.url).hostname}, {len(self.fields)} fields, {bound}>"

    @classmethod
    def parse(cls, document: Any) -> UploadTarget:
        """Read a `recording_upload`.

        Fields may be an object or a list of pairs, numbers may be text. A `key` that is given beside the fields only
        goes first among them, because a form without it is refused.

        Args:
            document: the JSON value.

        Raises:
            UploadError: it is of no use; the message says what is wrong, without values.
        """
        if not isinstance(document, Mapping):
            raise _unusable(f"it is no object but {type(document).__name__}")
        members = cast("Mapping[str, Any]", document)
        fields = _fields(members.get("fields"))
        key = members.get("key")
        if isinstance(key, str) and key and not any(name.lower() == "key" for name, _ in fields):
            fields = (("key", key), *fields)
        content_type = members.get("content_type")
        return cls(
            url=_address(members.get("url")),
            fields=fields,
            content_type=content_type if isinstance(content_type, str) and _is_plain(content_type) else None,
            max_bytes=_bound(members.get("max_bytes")),
        )

    def to_json(self) -> bytes:
        """The target as text that `from_json` reads; it holds the signed fields."""
        parts = {
            "url": self.url,
            "fields": self.fields,
            "content_type": self.content_type,
            "max_bytes": self.max_bytes,
        }
        return json.dumps(parts).encode("utf-8")

    @classmethod
    def from_json(cls, text: bytes) -> UploadTarget:
        """Read what `to_json` wrote.

        Raises:
            UploadError: it is something else.
        """
        try:
            document: Any = json.loads(text)
        except (ValueError, RecursionError):
            raise _unusable("it is not JSON") from None
        return cls.parse(document)


def _unusable(why: str) -> UploadError:
    return UploadError(f"the upload target that the API gave cannot be used: {why}")


def _address(value: Any) -> str:
    if not isinstance(value, str):
        raise _unusable("it has no url")
    try:
        parts = urlsplit(value)
        host = parts.hostname
    except ValueError:
        raise _unusable("its url is none") from None
    if parts.scheme not in {"http", "https"} or not host:
        raise _unusable("its url is not an http or https one")
    if parts.username or parts.password:
        raise _unusable("its url has a user or a password in it")
    return value


def _fields(value: Any) -> tuple[tuple[str, str], ...]:
    pairs: list[tuple[Any, Any]] = []
    if isinstance(value, Mapping):
        pairs = list(cast("Mapping[Any, Any]", value).items())
    elif isinstance(value, list):
        for item in cast("list[Any]", value):
            if isinstance(item, Mapping):
                member = cast("Mapping[str, Any]", item)
                pairs.append((member.get("name"), member.get("value")))
            elif isinstance(item, list | tuple) and len(cast("list[Any]", item)) == 2:
                name, content = cast("list[Any]", item)
                pairs.append((name, content))
            else:
                raise _unusable("its fields are no pairs of name and value")
    if not pairs:
        raise _unusable("it has no fields")
    if len(pairs) > _MOST_FIELDS:
        raise _unusable(f"it has more than {_MOST_FIELDS} fields")
    return tuple(_field(name, content) for name, content in pairs)


def _field(name: Any, value: Any) -> tuple[str, str]:
    if not isinstance(name, str) or not name or name.lower() == "file":
        raise _unusable("a field has no name, or the file's")
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise _unusable("a field is not text")
    text = str(value)
    if len(text) > _LONGEST_FIELD or len(name) > _LONGEST_FIELD:
        raise _unusable(f"a field is longer than {_LONGEST_FIELD} characters")
    return name, text


def _bound(value: Any) -> int | None:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    try:
        bound = int(value)
    except (ValueError, OverflowError):
        return None
    return bound if bound > 0 else None


def _is_plain(text: str) -> bool:
    return text.isascii() and text.isprintable() and bool(text)
