"""A number is reported as the caller's; a name is not."""

from __future__ import annotations

import pytest

from tuner_core.identity.phone import phone_number_of


@pytest.mark.parametrize(
    ("user", "number"),
    [
        ("+15550100", "+15550100"),
        ("1-555-010.0", "15550100"),
        ("+49 (30) 1234", "+49301234"),
        ("+15550100;phone-context=example", "+15550100"),
        ("110", "110"),
    ],
)
def test_number_is_kept_without_separators(user: str, number: str):
    assert phone_number_of(user) == number


@pytest.mark.parametrize(
    "user", ["tuner", "", None, "127.0.0.1x", "+", "12", "anonymous", "+1234567890123456", "a100"]
)
def test_what_is_no_number_is_none(user: str | None):
    assert phone_number_of(user) is None
