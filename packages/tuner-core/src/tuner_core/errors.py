"""What can go wrong, as one tree.

```
TunerError
├─ ConfigError          a setting is missing or wrong; the message names the variable to set
├─ InvalidRecord        the record cannot be repaired into one that the API accepts
├─ OutboxError          the outbox file cannot be opened or written
├─ UploadError          the call is stored, its recording is not uploaded               may be retryable
├─ WebhookRefused       not proven to be from the provider (`tuner_core.webhooks`)
├─ TransportError       no usable answer: refused, reset, timed out, cut short        retryable
└─ ApiError             the API answered with an error status
   ├─ AuthenticationError   401, 403: key missing, wrong, or of another workspace
   ├─ RecordRefused         400, 404, 422 and every other final status, with the API's words
   ├─ RateLimited           429, with the wait the API asked for                       retryable
   └─ ServerError           408 and 5xx                                                retryable
```

Messages never hold record content, phone numbers or credentials.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tuner_core.records import Receipt


class TunerError(Exception):
    """Base of everything this package raises on purpose.

    Attributes:
        retryable: True when the same request may succeed later.
    """

    retryable: bool = False


class ConfigError(TunerError):
    """A setting is missing or has an impossible value."""


class InvalidRecord(TunerError):
    """The record lacks something that no repair can invent, such as its `call_id`."""


class OutboxError(TunerError):
    """The outbox cannot be opened, read or written."""


class UploadError(TunerError):
    """The recording of a call was not uploaded; the call itself is stored.

    Attributes:
        code: the storage's word for it, such as `EntityTooLarge`; empty when it never answered.
        status: HTTP status of its answer, None when it never answered.
        retryable: True when the same upload may succeed later.
        target_refused: True when another upload target may help: this one has expired or is not accepted.
        receipt: of the stored call, where a client posted it.
    """

    def __init__(
        self,
        message: str,
        *,
        code: str = "",
        status: int | None = None,
        retryable: bool = False,
        target_refused: bool = False,
        receipt: Receipt | None = None,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.status = status
        self.retryable = retryable
        self.target_refused = target_refused
        self.receipt = receipt


class TransportError(TunerError):
    """The request got no usable answer; whether the API took the record is unknown."""

    retryable = True


class ApiError(TunerError):
    """The API answered with an error status.

    Attributes:
        status: HTTP status code.
        detail: the API's own words, without the values it quoted from the record.
        request_id: the API's id of the request, when it gave one.
        retry_after_s: seconds the API asked to wait, already capped; None when it asked for nothing.
    """

    def __init__(
        self,
        message: str,
        *,
        status: int,
        detail: str = "",
        request_id: str | None = None,
        retry_after_s: float | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.detail = detail
        self.request_id = request_id
        self.retry_after_s = retry_after_s


class AuthenticationError(ApiError):
    """401 or 403: the key is missing, wrong, or belongs to another workspace."""


class RecordRefused(ApiError):
    """400, 404, 422 or another final status: sending the same record again would not help."""


class RateLimited(ApiError):
    """429: too many requests; `retry_after_s` says how long the API wants to be left alone."""

    retryable = True


class ServerError(ApiError):
    """408 or 5xx: the API could not take the record now."""

    retryable = True
