"""What the sender writes, the receiver reads; what S3 refuses, the receiver refuses."""

import io
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tuner_core.errors import UploadError
from tuner_core.recordings import UploadTarget
from tuner_core.recordings.bucket import Bucket, Refused, UploadReceiver
from tuner_core.recordings.form import UploadForm, upload_form

NOW = 1_790_000_000.0
BOUNDARY = "0123456789abcdef"
BUCKET = Bucket("https://recordings.example/", b"secret", max_bytes=1000)
TARGET = BUCKET.issue("w7/c-81.wav", content_type="audio/wav", now=NOW)


def body_of(form: UploadForm, content: bytes) -> bytes:
    body = form.head + b"".join(form.file_chunks(io.BytesIO(content))) + form.tail
    assert len(body) == int(form.headers["Content-Length"])
    return body


def form_for(content: bytes, target: UploadTarget = TARGET) -> tuple[dict[str, str], bytes]:
    form = upload_form(target, filename="recording.wav", size=len(content), boundary=BOUNDARY)
    return {name.lower(): value for name, value in form.headers.items()}, body_of(form, content)


def received(headers: dict[str, str], body: bytes, *, step: int = 7, now: float = NOW) -> tuple[str, bytes]:
    receiver = UploadReceiver(BUCKET, headers, now=now)
    pieces = [receiver.receive(body[at : at + step]) for at in range(0, len(body), step)]
    content = b"".join(pieces) + receiver.finish()
    assert receiver.size == len(content)
    return receiver.key, content


def refusal(headers: dict[str, str], body: bytes, *, step: int = 7, now: float = NOW) -> Refused:
    with pytest.raises(Refused) as caught:
        received(headers, body, step=step, now=now)
    return caught.value


def test_the_form_is_written_as_s3_wants_it() -> None:
    target = UploadTarget("https://b.example/", (("key", "k"), ('odd"name', "two\r\nlines")), "audio/ogg", 10)
    form = upload_form(target, filename='r".ogg', size=3, boundary="B0")
    assert body_of(form, b"abc") == (
        b'--B0\r\nContent-Disposition: form-data; name="key"\r\n\r\nk\r\n'
        b'--B0\r\nContent-Disposition: form-data; name="odd%22name"\r\n\r\ntwo\r\nlines\r\n'
        b'--B0\r\nContent-Disposition: form-data; name="file"; filename="r%22.ogg"\r\n'
        b"Content-Type: audio/ogg\r\n\r\nabc\r\n--B0--\r\n"
    )
    assert form.headers["Content-Type"] == "multipart/form-data; boundary=B0"
    assert "lines" not in repr(form)


@given(content=st.binary(min_size=1, max_size=999), step=st.integers(1, 1500))
def test_every_file_arrives_as_it_was_sent(content: bytes, step: int) -> None:
    headers, body = form_for(content)
    assert received(headers, body, step=step) == ("w7/c-81.wav", content)


def test_the_size_is_checked_before_a_byte_goes_out() -> None:
    with pytest.raises(UploadError, match="1001 bytes and the upload target takes 1000") as caught:
        upload_form(TARGET, filename="r.wav", size=1001, boundary=BOUNDARY)
    assert caught.value.code == "EntityTooLarge"
    assert not caught.value.retryable
    with pytest.raises(UploadError, match="empty"):
        upload_form(TARGET, filename="r.wav", size=0, boundary=BOUNDARY)


@pytest.mark.parametrize("boundary", ["", "a b", "ä", "x" * 71, "w7"])
def test_a_boundary_that_could_break_the_form_is_refused(boundary: str) -> None:
    with pytest.raises(ValueError, match="boundary"):
        upload_form(TARGET, filename="r.wav", size=1, boundary=boundary)


def test_a_file_that_grew_is_sent_as_long_as_it_was_and_a_cut_one_is_tried_again() -> None:
    form = upload_form(TARGET, filename="r.wav", size=3, boundary=BOUNDARY)
    assert b"".join(form.file_chunks(io.BytesIO(b"abcdef"))) == b"abc"
    with pytest.raises(UploadError) as caught:
        list(form.file_chunks(io.BytesIO(b"ab")))
    assert caught.value.retryable


def test_the_receiver_insists_on_what_s3_insists_on() -> None:
    first, *rest = TARGET.fields
    cases = {
        "SignatureDoesNotMatch": replace(TARGET, fields=TARGET.fields[:-1]),
        "AccessDenied": replace(TARGET, fields=(*rest, first)),
    }
    for code, target in cases.items():
        assert refusal(*form_for(b"abc", target)).code == code
    changed = replace(TARGET, fields=(("key", "another.wav"), *rest))
    assert "key was changed" in str(refusal(*form_for(b"abc", changed)))
    added = replace(TARGET, fields=(("acl", "public-read"), *TARGET.fields))
    assert "Extra input fields: acl" in str(refusal(*form_for(b"abc", added)))
    assert "expired" in str(refusal(*form_for(b"abc"), now=NOW + 3601))


@pytest.mark.parametrize("step", [1, 64, 5000])
def test_the_receiver_wants_the_file_last_whole_and_in_bounds(step: int) -> None:
    headers, body = form_for(b"RIFF")
    end = body.removesuffix(b"--\r\n")
    more = (
        end
        + b'\r\nContent-Disposition: form-data; name="late"\r\n\r\nx\r\n--'
        + BOUNDARY.encode()
        + b"--\r\n"
    )
    assert refusal(headers, more, step=step).code == "InvalidArgument"
    assert refusal(headers, body[:-8], step=step).code == "MalformedPOSTRequest"
    assert refusal(headers, b"nonsense", step=step).code == "MalformedPOSTRequest"
    assert (
        refusal(*form_for(b"x" * 1001, replace(TARGET, max_bytes=None)), step=step).code == "EntityTooLarge"
    )
    assert refusal(headers, body.replace(b"RIFF", b""), step=step).code == "EntityTooSmall"


def test_the_receiver_refuses_what_is_no_form_at_all() -> None:
    headers, body = form_for(b"abc")
    assert refusal({**headers, "content-type": "application/json"}, body).status == 412
    assert refusal({**headers, "authorization": "Bearer k"}, body).code == "InvalidArgument"
    del headers["content-length"]
    assert refusal(headers, body).status == 411
    assert b"<Code>MissingContentLength</Code>" in refusal(headers, body).xml()
