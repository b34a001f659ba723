"""One post of spans to Tuner's traces endpoint: OTLP over HTTP, protobuf, the tenant's key."""

from __future__ import annotations

import platform
import time
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import httpx

from tuner_core.http import retry_after_s
from tuner_core.tracing.call_spans import CallSpans, SpanKey
from tuner_core.version import VERSION

TIMEOUT_S = 10.0

_USER_AGENT = f"tuner-core/{VERSION} python/{platform.python_version()}"

Verdict: TypeAlias = Literal["taken", "later", "smaller", "never"]


@dataclass(frozen=True, slots=True)
class Posted:
    """What the endpoint made of a post.

    Attributes:
        verdict: `taken`; `later`: try again; `smaller`: too many at once; `never`: it will not take them.
        rejected: of the taken ones, how many it says it did not keep.
        why: in words, when not taken.
        wait_s: the wait it asked for.
    """

    verdict: Verdict
    rejected: int = 0
    why: str = ""
    wait_s: float = 0.0


async def post_spans(client: httpx.AsyncClient, call: CallSpans, batch: list[tuple[SpanKey, Any]]) -> Posted:
    """Post ended spans of one call; no answer counts as `later`.

    Not by OpenTelemetry's exporter: that one adds the headers of `OTEL_EXPORTER_OTLP_HEADERS`, which are another
    vendor's credentials.

    Args:
        client: of the sending thread.
        call: whose spans they are.
        batch: the spans.
    """
    from tuner_core.tracing.wire import rejected_in, request_body

    body = request_body([span for _, span in batch], call_id=call.call_id, with_content=call.with_content)
    headers = {
        "Authorization": f"Bearer {call.api_key.get_secret_value()}",
        "Content-Type": "application/x-protobuf",
        "User-Agent": _USER_AGENT,
    }
    try:
        answer = await client.post(call.url, content=body, headers=headers, timeout=TIMEOUT_S)
    except httpx.HTTPError as error:
        return Posted("later", why=f"no answer from the traces endpoint ({type(error).__name__})")
    return _read(answer, rejected_in(answer.content) if answer.is_success else 0)


def _read(answer: httpx.Response, rejected: int) -> Posted:
    status = answer.status_code
    if answer.is_success:
        return Posted("taken", rejected=rejected)
    why = f"{status} from the traces endpoint"
    if status in {408, 429} or (status >= 500 and status != 501):
        wait_s = retry_after_s(answer.headers.get("retry-after"), time.time()) or 0.0
        return Posted("later", why=why, wait_s=wait_s)
    if status == 413:
        return Posted("smaller", why=why)
    if status in {401, 403}:
        return Posted("never", why=f"{why} (check TUNER_API_KEY)")
    return Posted("never", why=why)
