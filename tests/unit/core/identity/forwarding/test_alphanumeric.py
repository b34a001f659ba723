from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tuner_core.identity.forwarding.alphanumeric import decode_alphanumeric, encode_alphanumeric


@given(st.text())
def test_any_text_survives_letters_and_digits(text: str):
    sent = encode_alphanumeric(text)
    assert re.fullmatch(r"[A-Za-z0-9]*", sent)
    assert decode_alphanumeric(sent) == text


@pytest.mark.parametrize("text", ["b32xMFRA", "B32X", "b32x", "b32x1"])
def test_a_plain_text_that_begins_like_an_encoded_one_is_encoded(text: str):
    assert encode_alphanumeric(text) != text
    assert decode_alphanumeric(encode_alphanumeric(text)) == text


def test_a_call_id_of_letters_and_digits_stays_readable():
    assert encode_alphanumeric("7HqxZk0aPq2LmN4vBt9sWc1yDfE") == "7HqxZk0aPq2LmN4vBt9sWc1yDfE"


def test_an_encoded_value_survives_a_change_of_case():
    sent = encode_alphanumeric("a84b4c76e66710@pc33.example.com")
    assert decode_alphanumeric(sent.lower()) == "a84b4c76e66710@pc33.example.com"
    assert decode_alphanumeric(sent.upper()) == "a84b4c76e66710@pc33.example.com"


@pytest.mark.parametrize("value", ["b32x1", "b32x!!", "b32x77777777", "SipCallId", "b32xABCé"])
def test_what_was_never_encoded_comes_back_unchanged(value: str):
    assert decode_alphanumeric(value) == value
