"""What a storage answered to an upload: nothing to say, or an error in words.

Only the error's code is read. Its message and the rest quote the policy and the signature.
"""

from __future__ import annotations

import re

from tuner_core.errors import UploadError

_CODE = re.compile(rb"<Code>\s*([A-Za-z][A-Za-z0-9.]{0,63})\s*</Code>")
_EXPIRED = re.compile(rb"<Message>[^<]*expired", re.IGNORECASE)
_LOOKED_AT = 64 * 1024
_NEW_TARGET = "another one is asked for"
_WORDS = {
    "EntityTooLarge": "it is larger than the storage takes",
    "EntityTooSmall": "it is smaller than the storage takes",
    "AccessDenied": f"the upload target is not accepted, {_NEW_TARGET}",
    "ExpiredToken": f"the upload target has expired, {_NEW_TARGET}",
    "InvalidAccessKeyId": f"the upload target's signer is unknown, {_NEW_TARGET}",
    "InvalidToken": f"the upload target is not accepted, {_NEW_TARGET}",
    "SignatureDoesNotMatch": f"the upload target's signature is not accepted, {_NEW_TARGET}",
    "RequestTimeTooSkewed": f"the upload target's time is not accepted, {_NEW_TARGET}",
    "InvalidPolicyDocument": "the upload target's policy cannot be read by the storage",
    "MalformedPOSTRequest": "the storage could not read the form",
    "NoSuchBucket": "the storage does not exist any more",
    "RequestTimeout": "it arrived too slowly",
    "IncompleteBody": "it arrived incomplete",
    "BadDigest": "it arrived damaged",
    "SlowDown": "the storage wants fewer requests",
    "ServiceUnavailable": "the storage cannot take it now",
    "InternalError": "the storage failed",
    "OperationAborted": "the storage was busy with another upload of it",
}
_REFUSED_TARGET = {
    "AccessDenied",
    "ExpiredToken",
    "InvalidAccessKeyId",
    "InvalidToken",
    "RequestTimeTooSkewed",
    "SignatureDoesNotMatch",
    "TokenRefreshRequired",
}
_PASSING = {"RequestTimeout", "IncompleteBody", "BadDigest", "OperationAborted", "TemporaryRedirect"}
"""Codes that come with a 3xx or 4xx status and still pass."""


def check_upload(status: int, body: bytes) -> None:
    """Give back nothing when the storage has the file.

    Args:
        status: HTTP status; 200, 201 and 204 mean success.
        body: an error document of S3, or anything else.

    Raises:
        UploadError: for every other status, with the storage's code and what it means.
    """
    if status in {200, 201, 204}:
        return
    head = body[:_LOOKED_AT]
    found = _CODE.search(head)
    code = found[1].decode("ascii") if found else ""
    words = _WORDS.get(code, "the storage refused it")
    if code == "AccessDenied" and _EXPIRED.search(head):
        words = _WORDS["ExpiredToken"]
    target_refused = code in _REFUSED_TARGET or (not code and status in {401, 403})
    retryable = code in _PASSING or status in {307, 408, 429} or status >= 500
    raise UploadError(
        f"the recording was not uploaded: {status}{f' {code}' if code else ''}, {words}",
        code=code,
        status=status,
        retryable=retryable and not target_refused,
        target_refused=target_refused,
    )
