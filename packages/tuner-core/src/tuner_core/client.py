"""Clients that post one record and give back the API's receipt, or raise.

They retry what may pass, and hold nothing on disk: `tuner_core.delivery.Delivery` is for records that must
not be lost when the process ends. Posting is idempotent by `call_id`: whoever is in doubt posts the same record again.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from types import TracebackType
from typing import Any, Self

import httpx
from tenacity import AsyncRetrying, RetryCallState, Retrying, retry_if_exception, stop_after_attempt

from tuner_core.config import TunerConfig
from tuner_core.connections import AsyncConnections, Connections
from tuner_core.errors import TransportError, TunerError
from tuner_core.http import TIMEOUT_S, CallRequest, RetryPolicy, call_request, is_retryable, read_response
from tuner_core.recordings.recording import Recording
from tuner_core.recordings.send import upload_once, upload_once_sync
from tuner_core.recordings.tries import UploadTries
from tuner_core.records import CallRecord, Receipt
from tuner_core.redaction import Redaction
from tuner_core.repair.record import Conformed, conform


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

    def _conformed(self, record: CallRecord | Mapping[str, Any], recording: Recording | None) -> Conformed:
        """The record as it is sent; reads the recording's header."""
        if recording is None:
            return conform(record, **self._options)
        checked, notes = recording.checked()
        conformed = conform(checked.described_in(record), **self._options)
        return replace(conformed, repairs=(*conformed.repairs, *notes))

    def _rules(self, retry: RetryPolicy) -> dict[str, Any]:
        def wait(state: RetryCallState) -> float:
            error = state.outcome.exception() if state.outcome else None
            return retry.wait_s(state.attempt_number, error, random.random())

        return {
            "stop": stop_after_attempt(retry.max_attempts),
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

    Safe to share between threads, and with forked children. Not for an event loop: use `AsyncTunerClient` there.

    Args:
        config: where records go; from the environment when omitted.
        retry: tries and waits; four tries by default.
        timeout_s: seconds for connecting, and for each silence of the API.
        http: an httpx client of your own, for proxies and certificates that the environment does not name
            (`HTTPS_PROXY`, `SSL_CERT_FILE`); it is not closed here, and a forked child needs one of its own.
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
        self._connections = Connections(http)

    def create_call(
        self,
        record: CallRecord | Mapping[str, Any],
        *,
        recording: Recording | None = None,
        timeout_s: float | None = None,
        retry: RetryPolicy | None = None,
    ) -> Receipt:
        """Post one record; the same `call_id` again creates nothing new.

        Args:
            record: repaired by `conform` first; what was changed is on the receipt.
            recording: a file to upload once the API has the call.
            timeout_s: instead of the client's, for this call.
            retry: instead of the client's, for this call.

        Raises:
            InvalidRecord: it lacks what nothing can stand in for.
            AuthenticationError: the key is wrong.
            RecordRefused: the API will not have it.
            RateLimited: still too many requests after the last try.
            ServerError: the API still failed at the last try.
            TransportError: no answer at the last try.
            UploadError: the call is stored, its recording is not; `receipt` is the call's.
        """
        conformed = self._conformed(record, recording)
        request, rules = self._request(conformed), self._rules(retry or self._retry)
        within_s = self._timeout_s if timeout_s is None else timeout_s

        def post() -> Receipt:
            return Retrying(**rules)(self._post, request, conformed, within_s)

        receipt = post()
        if recording is not None:
            self._upload(receipt, recording, retry or self._retry, post)
        return receipt

    def upload_recording(
        self, receipt: Receipt, recording: Recording, *, retry: RetryPolicy | None = None
    ) -> None:
        """Upload the recording of a call that was created with one, again after an `UploadError`.

        A target that has expired is not replaced here: `create_call` with the same record and recording does that.

        Args:
            receipt: of the call.
            recording: the file.
            retry: instead of the client's, for this upload.

        Raises:
            UploadError: it was not uploaded.
        """
        self._upload(receipt, recording, retry or self._retry, None)

    def close(self) -> None:
        """Close the connections; the client is of no further use."""
        self._connections.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _post(self, request: CallRequest, conformed: Conformed, timeout_s: float) -> Receipt:
        try:
            response = self._connections.client().post(
                request.url, headers=dict(request.headers), content=request.body, timeout=timeout_s
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

    def _upload(
        self, receipt: Receipt, recording: Recording, retry: RetryPolicy, renew: Callable[[], Receipt] | None
    ) -> None:
        tries = UploadTries(receipt, retry, can_renew=renew is not None, now=time.time())
        while True:
            try:
                if tries.target is None and renew is not None:
                    tries.aim(renew(), now=time.time())
                assert tries.target is not None
                upload_once_sync(self._connections.client(), tries.target, recording.path)
                break
            except TunerError as error:
                wait = tries.failed(error, now=time.time(), chance=random.random())
            time.sleep(wait)
        if recording.delete_after:
            _remove(recording)


class AsyncTunerClient(_Base):
    """Posts records to Create Call without blocking the event loop; the same as `TunerClient` otherwise.

    One client may serve several event loops, one after the other or in threads; each has connections of its own.

    Args:
        config: where records go; from the environment when omitted.
        retry: tries and waits; four tries by default.
        timeout_s: seconds for one whole try.
        http: an httpx client of your own, for one event loop; it is not closed here.
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
        self._connections = AsyncConnections(http)

    async def create_call(
        self,
        record: CallRecord | Mapping[str, Any],
        *,
        recording: Recording | None = None,
        timeout_s: float | None = None,
        retry: RetryPolicy | None = None,
    ) -> Receipt:
        """Post one record; see `TunerClient.create_call`. Cancelling stops the tries."""
        if recording is None:
            conformed = self._conformed(record, None)
        else:
            conformed = await asyncio.to_thread(self._conformed, record, recording)
        request, rules = self._request(conformed), self._rules(retry or self._retry)
        within_s = self._timeout_s if timeout_s is None else timeout_s

        async def post() -> Receipt:
            return await AsyncRetrying(**rules)(self._post, request, conformed, within_s)

        receipt = await post()
        if recording is not None:
            await self._upload(receipt, recording, retry or self._retry, post)
        return receipt

    async def upload_recording(
        self, receipt: Receipt, recording: Recording, *, retry: RetryPolicy | None = None
    ) -> None:
        """Upload the recording of a call; see `TunerClient.upload_recording`."""
        await self._upload(receipt, recording, retry or self._retry, None)

    async def aclose(self) -> None:
        """Close the connections; the client is of no further use."""
        await self._connections.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def _post(self, request: CallRequest, conformed: Conformed, timeout_s: float) -> Receipt:
        http = await self._connections.client()
        try:
            return await post_once(
                http, request, call_id=conformed.call_id, repairs=conformed.repairs, timeout_s=timeout_s
            )
        except RuntimeError:
            if not self._connections.elsewhere:
                raise
            raise RuntimeError(
                "the httpx client passed as http= belongs to another event loop: make one for each loop, "
                "or pass none"
            ) from None

    async def _upload(
        self,
        receipt: Receipt,
        recording: Recording,
        retry: RetryPolicy,
        renew: Callable[[], Awaitable[Receipt]] | None,
    ) -> None:
        tries = UploadTries(receipt, retry, can_renew=renew is not None, now=time.time())
        while True:
            try:
                if tries.target is None and renew is not None:
                    tries.aim(await renew(), now=time.time())
                assert tries.target is not None
                await upload_once(await self._connections.client(), tries.target, recording.path)
                break
            except TunerError as error:
                wait = tries.failed(error, now=time.time(), chance=random.random())
            await asyncio.sleep(wait)
        if recording.delete_after:
            await asyncio.to_thread(_remove, recording)


def _remove(recording: Recording) -> None:
    with suppress(OSError):
        recording.path.unlink()


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
