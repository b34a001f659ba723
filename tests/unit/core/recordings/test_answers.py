import pytest

from tuner_core.errors import UploadError
from tuner_core.recordings.answers import check_upload


def document(code: str, message: str = "") -> bytes:
    return f'<?xml version="1.0"?><Error><Code>{code}</Code><Message>{message}</Message></Error>'.encode()


def refusal(status: int, body: bytes = b"") -> UploadError:
    with pytest.raises(UploadError) as caught:
        check_upload(status, body)
    return caught.value


@pytest.mark.parametrize("status", [200, 201, 204])
def test_success(status: int) -> None:
    check_upload(status, b"<PostResponse/>")


@pytest.mark.parametrize(
    ("status", "body", "words"),
    [
        (400, document("EntityTooLarge"), "400 EntityTooLarge, it is larger than the storage takes"),
        (400, document("InvalidPolicyDocument"), "policy cannot be read"),
        (404, document("NoSuchBucket"), "does not exist"),
        (400, b"<html>what?</html>", "400, the storage refused it"),
        (303, b"", "303, the storage refused it"),
    ],
)
def test_what_no_other_try_mends(status: int, body: bytes, words: str) -> None:
    error = refusal(status, body)
    assert words in str(error)
    assert (error.retryable, error.target_refused) == (False, False)


@pytest.mark.parametrize(
    ("status", "code"),
    [(503, "SlowDown"), (500, "InternalError"), (502, ""), (408, ""), (429, ""), (400, "RequestTimeout"),
     (400, "IncompleteBody"), (409, "OperationAborted"), (307, "TemporaryRedirect")],
)  # fmt: skip
def test_what_passes(status: int, code: str) -> None:
    assert refusal(status, document(code) if code else b"").retryable


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (403, document("AccessDenied", "Invalid according to Policy: Policy expired.")),
        (400, document("ExpiredToken")),
        (403, document("SignatureDoesNotMatch")),
        (403, b"nothing to read"),
        (401, b""),
    ],
)
def test_what_another_target_may_mend(status: int, body: bytes) -> None:
    error = refusal(status, body)
    assert error.target_refused
    assert not error.retryable


def test_an_expired_target_is_called_expired() -> None:
    assert "has expired" in str(refusal(403, document("AccessDenied", "Policy expired.")))


def test_nothing_but_the_code_is_quoted() -> None:
    error = refusal(403, document("SignatureDoesNotMatch", "StringToSign: 5ec4e7"))
    assert "5ec4e7" not in str(error)
    assert "<b>" not in str(refusal(400, document("<b>")))
