"""Create Call over HTTP, without the HTTP: a body becomes a request, an answer a receipt or an error.

Pure, so that the sync client, the async client and the courier share every rule: how the agent id is
escaped, what a status means, what is worth another try and how long to wait before it.
"""

from __future__ import annotations

import json
import math
import platform
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from typing import Any, cast
from urllib.parse import quote, urlencode, urlsplit

from tuner_core.errors import (
    ApiError,
    AuthenticationError,
    RateLimited,
    RecordRefused,
    ServerError,
    TransportError,
    TunerError,
    UploadError,
)
from tuner_core.recordings.target import UploadTarget
from tuner_core.records import Receipt
from tuner_core.version import VERSION

TIMEOUT_S = 15.0
"""Longest wait for one try, in seconds."""

RETRY_AFTER_CAP_S = 30.0
"""Longest wait that an answer may ask for."""

REPAIRS_HEADER = "X-Tuner-Repairs"
"""What `conform` changed, as a JSON list. Told to a Tuner on this machine only, which shows it."""

_PATH = "/api/v1/public/call"
_REPAIRS_LIMIT = 4000
_LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
_USER_AGENT = f"tuner-core/{VERSION} python/{platform.python_version()}"
_DETAIL_LIMIT = 500
_MESSAGES = ("detail", "message", "error", "msg", "title")
_UNPRINTABLE = re.compile("[\x00-\x20\x7f-\xa0\u2028\u2029\ud800-\udfff]+")
_INT64 = range(-(2**63), 2**63)


@dataclass(frozen=True, slots=True)
class CallRequest:
    """One Create Call request, always a POST; the body and the key stay out of its representation."""

    url: str
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How often and when to try again.

    Attributes:
        max_attempts: tries in all, the first one included.
        base_s: bound of the first wait; it doubles with each try.
        cap_s: bound of every wait.
    """

    max_attempts: int = 4
    base_s: float = 0.5
    cap_s: float = 30.0

    def wait_s(self, attempt: int, error: BaseException | None, chance: float) -> float:
        """Seconds to wait after try number `attempt`, counted from 1.

        Full jitter spreads many waiting processes evenly; a `Retry-After` is a floor under it.

        Args:
            attempt: the try that failed.
            error: why it failed.
            chance: a random number from 0 to 1.
        """
        bound = min(self.cap_s, self.base_s * 2.0 ** min(attempt - 1, 30))
        asked = error.retry_after_s if isinstance(error, ApiError) else None
        return (asked or 0.0) + bound * chance


def call_request(
    *,
    base_url: str,
    workspace_id: int,
    agent_id: str,
    api_key: str,
    body: bytes,
    repairs: Sequence[str] = (),
) -> CallRequest:
    """The request that posts one body.

    Args:
        base_url: without a slash at its end.
        workspace_id: of the key.
        agent_id: any text; it is escaped.
        api_key: sent as a bearer token.
        body: JSON, as `Conformed.body` gives it.
        repairs: what was changed for it; only a local Tuner is told.
    """
    query = urlencode(
        {"workspace_id": workspace_id, "agent_remote_identifier": agent_id}, quote_via=quote, safe=""
    )
    headers = {
        "Authorization": f"Bearer {api_key}",
        "Content-Type": "application/json",
        "Accept": "application/json",
        "User-Agent": _USER_AGENT,
    }
    if repairs and urlsplit(base_url).hostname in _LOOPBACK:
        headers[REPAIRS_HEADER] = _as_header(repairs)
    return CallRequest(f"{base_url}{_PATH}?{query}", headers, body)


def read_response(
    status: int,
    headers: Mapping[str, str],
    body: bytes,
    *,
    call_id: str,
    now: float,
    repairs: tuple[str, ...] = (),
) -> Receipt:
    """The receipt in an answer.

    409 counts as delivered, like 200 with `is_new` false: the API has the call. A success with a body that is no JSON
    object does not: it comes from something in between, such as a proxy's login page, or broke off.

    Args:
        status: HTTP status.
        headers: with lower-case names, or a mapping that ignores case.
        body: as received.
        call_id: of the record that was sent.
        now: Unix seconds, to read a `Retry-After` that is a date.
        repairs: noted on the receipt.

    Raises:
        ApiError: one of its kinds, for every other status.
        TransportError: a success that is not the API's.
    """
    document = _document(body)
    if 200 <= status < 300 or status == 409:
        if document is None and status != 409 and body.strip():
            raise TransportError(
                f"call {call_id}: {status}, but not the API's answer (check TUNER_BASE_URL and proxies on the way)"
            )
        return _receipt(status, headers, document or {}, call_id=call_id, repairs=repairs)
    said = _detail(document) if document is not None else _plain_text(headers, body)
    raise _error(status, headers, said, call_id=call_id, now=now)


def is_retryable(error: BaseException) -> bool:
    """True when the same request may succeed later."""
    return isinstance(error, TunerError) and error.retryable


def retry_after_s(value: str | None, now: float) -> float | None:
    """A `Retry-After` header in seconds from `now`, capped; None when there is none that can be read."""
    if not value:
        return None
    text = value.strip()
    try:
        wait = float(text)
    except ValueError:
        try:
            wait = parsedate_to_datetime(text).timestamp() - now
        except (ValueError, OverflowError):
            return None
    return None if math.isnan(wait) else min(max(wait, 0.0), RETRY_AFTER_CAP_S)


def _as_header(repairs: Sequence[str]) -> str:
    """A JSON list in ASCII, short enough for a header; what does not fit is counted."""
    listed = list(repairs)
    while len(text := json.dumps(listed)) > _REPAIRS_LIMIT:
        kept = len(listed) // 2
        listed = [*listed[:kept], f"and {len(repairs) - kept} more"]
        if kept == 0:
            break
    return text


def _document(body: bytes) -> dict[str, Any] | None:
    try:
        document: Any = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return cast("dict[str, Any]", document) if isinstance(document, dict) else None


def _receipt(
    status: int,
    headers: Mapping[str, str],
    document: Mapping[str, Any],
    *,
    call_id: str,
    repairs: tuple[str, ...],
) -> Receipt:
    tuner_id, is_new = document.get("id"), document.get("is_new")
    target, problem = None, ""
    if document.get("recording_upload") is not None:
        try:
            target = UploadTarget.parse(document["recording_upload"])
        except UploadError as error:
            problem = str(error)
    return Receipt(
        call_id=call_id,
        id=tuner_id if type(tuner_id) is int and tuner_id in _INT64 else None,
        is_new=is_new if isinstance(is_new, bool) and status != 409 else status == 201,
        repairs=repairs,
        request_id=_request_id(headers),
        upload=target,
        upload_problem=problem,
    )


def _request_id(headers: Mapping[str, str]) -> str | None:
    return headers.get("x-request-id") or headers.get("request-id")


def _error(status: int, headers: Mapping[str, str], detail: str, *, call_id: str, now: float) -> ApiError:
    kind, advice = _meaning(status)
    said = f": {detail}" if detail else ""
    wait = retry_after_s(headers.get("retry-after"), now)
    return kind(
        f"call {call_id}: {status} from the API{said}{advice}",
        status=status,
        detail=detail,
        request_id=_request_id(headers),
        retry_after_s=wait,
    )


def _meaning(status: int) -> tuple[type[ApiError], str]:
    """The kind of error a status is, and what to do about it."""
    if status in {401, 403}:
        return AuthenticationError, " (check TUNER_API_KEY, and that it belongs to TUNER_WORKSPACE_ID)"
    if status == 429:
        return RateLimited, " (too many requests)"
    if status == 408 or status >= 500:
        return ServerError, " (the API cannot take the call now)"
    if status in {400, 404}:
        return (
            RecordRefused,
            " (check TUNER_WORKSPACE_ID, and that TUNER_AGENT_ID is a Custom API agent's id)",
        )
    if 300 <= status < 400:
        return RecordRefused, " (it redirects: check TUNER_BASE_URL)"
    return RecordRefused, ""


def _detail(document: Mapping[str, Any]) -> str:
    """The API's own words. Of a validation error only place and message: the rest quotes the record."""
    said: Any = next((document[name] for name in _MESSAGES if document.get(name)), "")
    if isinstance(said, dict):
        within = cast("dict[str, Any]", said)
        said = next((within[name] for name in _MESSAGES if isinstance(within.get(name), str)), "")
    if isinstance(said, list):
        parts: list[str] = []
        for item in cast("list[Any]", said):
            if not isinstance(item, dict):
                continue
            problem = cast("dict[str, Any]", item)
            place: Any = problem.get("loc") or ()
            names = cast("list[Any]", place) if isinstance(place, list) else [place]
            path = ".".join(str(name) for name in names if name != "body")
            parts.append(f"{path}: {problem.get('msg', 'invalid')}")
        said = "; ".join(parts)
    return _one_line(said) if isinstance(said, str) else ""


def _plain_text(headers: Mapping[str, str], body: bytes) -> str:
    """What something on the way says in plain text; pages of HTML tell nobody anything."""
    if not headers.get("content-type", "").startswith("text/plain"):
        return ""
    return _one_line(body[: 4 * _DETAIL_LIMIT].decode("utf-8", "replace"))


def _one_line(text: str) -> str:
    """Words fit for a log, a terminal and a file: one line, no control characters, not too long."""
    return _UNPRINTABLE.sub(" ", text).strip()[:_DETAIL_LIMIT]
