import json
from typing import Any

import pytest

from tuner_core.errors import UploadError
from tuner_core.recordings import UploadTarget

GIVEN: dict[str, Any] = {
    "url": "https://recordings.s3.example/",
    "fields": {"key": "w7/c-81.wav", "policy": "ZXhwaXJ5", "x-amz-signature": "5ec4e7"},
    "key": "w7/c-81.wav",
    "content_type": "audio/wav",
    "max_bytes": 1000,
}


def test_fields_stay_as_they_are_and_in_their_order() -> None:
    target = UploadTarget.parse(GIVEN)
    assert target.fields == (("key", "w7/c-81.wav"), ("policy", "ZXhwaXJ5"), ("x-amz-signature", "5ec4e7"))
    assert (target.url, target.content_type, target.max_bytes) == (GIVEN["url"], "audio/wav", 1000)


def test_neither_signature_nor_key_shows() -> None:
    shown = repr(UploadTarget.parse(GIVEN))
    assert "recordings.s3.example" in shown
    assert not any(secret in shown for secret in ("5ec4e7", "ZXhwaXJ5", "c-81"))


def test_it_survives_being_written_down() -> None:
    target = UploadTarget.parse(GIVEN)
    assert UploadTarget.from_json(target.to_json()) == target


@pytest.mark.parametrize(
    ("change", "fields"),
    [
        (
            {"fields": [{"name": "a", "value": "1"}, {"name": "key", "value": "k"}]},
            (("a", "1"), ("key", "k")),
        ),
        ({"fields": [["key", "k"], ["n", 5]]}, (("key", "k"), ("n", "5"))),
        ({"fields": {"policy": "p"}}, (("key", "w7/c-81.wav"), ("policy", "p"))),
        ({"fields": {"Key": "other"}}, (("Key", "other"),)),
        ({"fields": {"key": ""}}, (("key", ""),)),
    ],
)
def test_other_spellings_are_read(change: dict[str, Any], fields: tuple[Any, ...]) -> None:
    assert UploadTarget.parse({**GIVEN, **change}).fields == fields


@pytest.mark.parametrize(
    ("bound", "read"),
    [("2000", 2000), (2e3, 2000), (None, None), ("many", None), (True, None), (0, None), (-1, None)],
)
def test_a_bound_is_read_or_left_to_the_storage(bound: Any, read: int | None) -> None:
    assert UploadTarget.parse({**GIVEN, "max_bytes": bound}).max_bytes == read


@pytest.mark.parametrize(
    "document",
    [
        None,
        "https://recordings.s3.example/",
        {**GIVEN, "url": None},
        {**GIVEN, "url": "ftp://x.example"},
        {**GIVEN, "url": "https://"},
        {**GIVEN, "url": "https://[::1"},
        {**GIVEN, "url": "https://u:hidden@x.example/"},
        {**GIVEN, "fields": None},
        {**GIVEN, "fields": {}},
        {**GIVEN, "fields": ["hidden"]},
        {**GIVEN, "fields": {"policy": {"hidden": 1}}},
        {**GIVEN, "fields": {"file": "hidden"}},
        {**GIVEN, "fields": {"": "hidden"}},
        {**GIVEN, "fields": {f"n{i}": "hidden" for i in range(65)}},
        {**GIVEN, "fields": {"policy": "hidden" * 20000}},
    ],
)
def test_what_cannot_be_used_is_said_without_values(document: Any) -> None:
    with pytest.raises(UploadError, match="cannot be used") as caught:
        UploadTarget.parse(document)
    assert "hidden" not in str(caught.value)
    assert not caught.value.retryable


def test_what_is_no_json_cannot_be_used() -> None:
    with pytest.raises(UploadError):
        UploadTarget.from_json(json.dumps(GIVEN).encode()[:-5])


def test_a_target_nested_without_end_is_refused() -> None:
    with pytest.raises(UploadError, match="not JSON"):
        UploadTarget.from_json(b"[" * 100_000)
