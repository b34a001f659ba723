"""The plugin's failures stay with the plugin."""

from __future__ import annotations

import logging

import pytest

from tuner_core.guard import Guard

LOGGER = logging.getLogger("tuner_test")


def _broken(*_: object) -> None:
    raise TypeError("caller said: my card number is 4111")


def test_a_failing_listener_is_counted_told_and_logged_once_without_its_words(
    caplog: pytest.LogCaptureFixture,
):
    told: list[Exception] = []
    listener = Guard(LOGGER, on_error=told.append, strict=False).listener(_broken)
    with caplog.at_level(logging.DEBUG):
        listener(1)
        listener(2)
    assert len(told) == 2
    assert len(caplog.records) == 1
    assert "TypeError" in caplog.text
    assert "4111" not in caplog.text


def test_an_on_error_that_fails_itself_changes_nothing():
    guard = Guard(LOGGER, on_error=_broken, strict=False)
    guard.listener(_broken)()
    assert guard.failures == 1


def test_strict_raises():
    with pytest.raises(TypeError):
        Guard(LOGGER, on_error=None, strict=True).listener(_broken)()
