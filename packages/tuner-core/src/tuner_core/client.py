"""Clients that post one record and give back the API's receipt, or raise.

They retry what may pass, and hold nothing on disk: `tuner_core.delivery.Delivery` is for records that must
not be lost when the process ends.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self

import httpx
from tenacity import AsyncRetrying, RetryCallState, Retrying, retry_if_exception, stop_after_attempt

from tuner_core.config import TunerConfig
from tuner_core.errors import TransportError
from tuner_core.http import CallRequest, RetryPolicy, call_request, is_retryable, read_response
from tuner_core.records import CallRecord, Receipt
from tuner_core.redaction import Redaction
from tuner_core.repair.record import Conformed, conform

TIMEOUT_S = 15.0
"""Longest wait for one try, in seconds."""


class _Base:
    def __init__(
        self,
        config: TunerConfig | None,
        retry: RetryPolicy | None,
        timeout_s: float,
        redaction: Redaction | None,
    ) -> None:
        self._config = config or TunerConfig()
        self._options = self._config.conform_options(redaction)
        self._retry = retry or RetryPolicy()
        self._timeout_s = timeout_s

    def __repr__(self) -> str:
        config = self._config
        place = f"{config.base_url} workspace {config.workspace_id} agent {config.agent_id!r}"
        return f"<{type(self).__name__} {place}>"

    def _request(self, conformed: Conformed) -> CallRequest:
        config = self._config
        return call_request(
            base_url=config.base_url,
            workspace_id=config.workspace_id,
            agent_id=config.agent_id,
            api_key=config.api_key.get_secret_value(),
            body=conformed.body(),
            repairs=conformed.repairs,
        )

    def _rules(self) -> dict[str, Any]:
        def wait(state: RetryCallState) -> float:
            error = state.outcome.exception() if state.outcome else None
            return self._retry.wait_s(state.attempt_number, error, random.random())

        return {
            "stop": stop_after_attempt(self._retry.max_attempts),
            "wait": wait,
            "retry": retry_if_exception(is_retryable),
            "reraise": True,
        }


class TunerClient(_Base):
    """Posts records to Create Call, blocking.

    ```python
    with TunerClient() as tuner:          # TUNER_API_KEY, TUNER_WORKSPACE_ID, TUNER_AGENT_ID
        receipt = tuner.create_call(record)
    ```

    Safe to share between threads. Not for an event loop: use `AsyncTunerClient` there.

    Args:
        config: where records go; from the environment when omitted.
        retry: tries and waits; four tries by default.
        timeout_s: seconds for connecting, and for each silence of the API.
        http: an httpx client of your own (proxies, certificates); it is not closed here.
        redaction: taken out of each record before it is sent; `config.redact` decides when omitted.

    Raises:
        ConfigError: a setting is missing or wrong.
    """

    def __init__(
        self,
        config: TunerConfig | None = None,
        *,
        retry: RetryPolicy | None = None,
        timeout_s: float = TIMEOUT_S,
        http: httpx.Client | None = None,
        redaction: Redaction | None = None,
    ) -> None:
        super().__init__(config, retry, timeout_s, redaction)
        self._owned = http is None
        self._http = http or httpx.Client(follow_redirects=False)

    def create_call(self, record: CallRecord | Mapping[str, Any]) -> Receipt:
        """Post one record; the same `call_id` again creates nothing new.

        Args:
            record: repaired by `conform` first; what was changed is on the receipt.

        Raises:
            InvalidRecord: it lacks what nothing can stand in for.
            AuthenticationError: the key is wrong.
            RecordRefused: the API will not have it.
            RateLimited: still too many requests after the last try.
            ServerError: the API still failed at the last try.
            TransportError: no answer at the last try.
        """
        conformed = conform(record, **self._options)
        request = self._request(conformed)
        return Retrying(**self._rules())(self._post, request, conformed)

    def close(self) -> None:
        """Close the connections."""
        if self._owned:
            self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _post(self, request: CallRequest, conformed: Conformed) -> Receipt:
        try:
            response = self._http.post(
                request.url, headers=dict(request.headers), content=request.body, timeout=self._timeout_s
            )
        except httpx.HTTPError as error:
            raise transport_error(error, conformed.call_id) from None
        return read_response(
            response.status_code,
            response.headers,
            response.content,
            call_id=conformed.call_id,
            now=time.time(),
            repairs=conformed.repairs,
        )


class AsyncTunerClient(_Base):
    """Posts records to Create Call without blocking the event loop; the same as `TunerClient` otherwise.

    Args:
        config: where records go; from the environment when omitted.
        retry: tries and waits; four tries by default.
        timeout_s: seconds for one whole try.
        http: an httpx client of your own; it is not closed here.
        redaction: taken out of each record before it is sent; `config.redact` decides when omitted.

    Raises:
        ConfigError: a setting is missing or wrong.
    """

    def __init__(
        self,
        config: TunerConfig | None = None,
        *,
        retry: RetryPolicy | None = None,
        timeout_s: float = TIMEOUT_S,
        http: httpx.AsyncClient | None = None,
        redaction: Redaction | None = None,
    ) -> None:
        super().__init__(config, retry, timeout_s, redaction)
        self._owned = http is None
        self._http = http or httpx.AsyncClient(follow_redirects=False)

    async def create_call(self, record: CallRecord | Mapping[str, Any]) -> Receipt:
        """Post one record; see `TunerClient.create_call`. Cancelling stops the tries."""
        conformed = conform(record, **self._options)
        request = self._request(conformed)
        return await AsyncRetrying(**self._rules())(self._post, request, conformed)

    async def aclose(self) -> None:
        """Close the connections."""
        if self._owned:
            await self._http.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def _post(self, request: CallRequest, conformed: Conformed) -> Receipt:
        return await post_once(
            self._http,
            request,
            call_id=conformed.call_id,
            repairs=conformed.repairs,
            timeout_s=self._timeout_s,
        )


async def post_once(
    http: httpx.AsyncClient,
    request: CallRequest,
    *,
    call_id: str,
    repairs: tuple[str, ...],
    timeout_s: float = TIMEOUT_S,
) -> Receipt:
    """Send one request once.

    Args:
        http: sends it.
        request: what to send.
        call_id: of the record in it.
        repairs: noted on the receipt.
        timeout_s: bound of the whole try, in seconds.

    Raises:
        ApiError: the API answered with an error.
        TransportError: no usable answer in time.
    """
    try:
        async with asyncio.timeout(timeout_s):
            response = await http.post(
                request.url, headers=dict(request.headers), content=request.body, timeout=timeout_s
            )
    except TimeoutError:
        raise TransportError(f"call {call_id}: no answer within {timeout_s:g} s") from None
    except httpx.HTTPError as error:
        raise transport_error(error, call_id) from None
    return read_response(
        response.status_code,
        response.headers,
        response.content,
        call_id=call_id,
        now=time.time(),
        repairs=repairs,
    )


def transport_error(error: httpx.HTTPError, call_id: str) -> TransportError:
    """What a failed try was, in words."""
    if isinstance(error, httpx.ConnectTimeout | httpx.PoolTimeout):
        what = "no connection in time"
    elif isinstance(error, httpx.TimeoutException):
        what = "no answer in time"
    elif isinstance(error, httpx.ConnectError):
        what = f"cannot connect ({error})"
    else:
        what = f"connection broke ({type(error).__name__})"
    return TransportError(f"call {call_id}: {what}")
