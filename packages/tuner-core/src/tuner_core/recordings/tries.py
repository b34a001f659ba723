"""The tries of one upload by a client: which target is next, how long to wait, when to give up."""

from __future__ import annotations

from tuner_core.errors import TunerError, UploadError
from tuner_core.http import RetryPolicy
from tuner_core.recordings.next_step import next_step
from tuner_core.recordings.target import UploadTarget
from tuner_core.records import Receipt

NO_TARGET = "Tuner took the call and offered no upload target for its recording"


class UploadTries:
    """Decides after each failure; the clients do what it says.

    Args:
        receipt: of the call, with the upload target.
        retry: tries and waits.
        can_renew: whether the call's record can be posted again for another target.
        now: Unix seconds.

    Attributes:
        target: where to upload next; None: post the record again, and tell `aim`.

    Raises:
        UploadError: the receipt has no target.
    """

    def __init__(self, receipt: Receipt, retry: RetryPolicy, *, can_renew: bool, now: float) -> None:
        self.target: UploadTarget | None = None
        self._receipt = receipt
        self._retry = retry
        self._can_renew = can_renew
        self._attempt = 1
        self._refusals = 0
        self._target_at = now
        self.aim(receipt, now=now)

    def aim(self, receipt: Receipt, *, now: float) -> None:
        """Take the target of another receipt of the same call.

        Raises:
            UploadError: it has none.
        """
        if receipt.upload is None:
            raise self._final(UploadError(receipt.upload_problem or NO_TARGET))
        self.target, self._target_at = receipt.upload, now

    def failed(self, error: TunerError, *, now: float, chance: float) -> float:
        """Seconds to wait before the next try.

        Args:
            error: why a try failed; an upload's, or that of posting the record again.
            now: Unix seconds.
            chance: a random number from 0 to 1.

        Raises:
            UploadError: there is none; it carries the receipt.
        """
        if isinstance(error, UploadError) and error.receipt is not None:
            raise error
        if not isinstance(error, UploadError):
            raise self._final(UploadError(f"no other upload target was given: {error}"))
        step, self._refusals = next_step(error, refusals=self._refusals, target_age_s=now - self._target_at)
        if step == "give up" or self._attempt >= self._retry.max_attempts:
            raise self._final(error)
        if step == "renew":
            if not self._can_renew:
                raise self._final(error)
            self.target = None
        self._attempt += 1
        return 0.0 if step == "renew" else self._retry.wait_s(self._attempt - 1, error, chance)

    def _final(self, error: UploadError) -> UploadError:
        return UploadError(
            f"call {self._receipt.call_id} is stored, its recording is not: {error}",
            code=error.code,
            status=error.status,
            retryable=error.retryable,
            target_refused=error.target_refused,
            receipt=self._receipt,
        )
