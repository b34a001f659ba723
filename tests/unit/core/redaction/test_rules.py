"""What the built-in rules find, and what they leave alone."""

import time

import pytest

from tuner_core.redaction import Redaction
from tuner_core.redaction.rules import luhn_holds

CARDS, PHONES, EMAILS = Redaction(["cards"]), Redaction(["phones"]), Redaction(["emails"])

VISA, AMEX, LONG = "4111111111111111", "378282246310005", "6304000000000000000"


@pytest.mark.parametrize(
    "text",
    [
        VISA,
        "4111 1111 1111 1111",
        "4111-1111-1111-1111",
        "4111.1111.1111.1111",
        "4111, 1111, 1111, 1111",
        "4 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1",
        AMEX,
        "3782 822463 10005",
        "4222222222222",
        "５５５５５５５５５５５５４４４４",
        "four one one one one one one one one one one one one one one one",
        "Four-one-one-one, one one one one, one one one one, one one one one",
        "four triple one double one one double one one triple one triple one",
        "4111 one one one one 1111 1111",
    ],
)
def test_a_card_number_is_found_however_it_is_written(text: str) -> None:
    assert CARDS.redact_text(text) == "[card]"
    assert CARDS.redact_text(f"it is {text}, thanks") == "it is [card], thanks"


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("4111 1111 1111 1111 12 26", "[card] 12 26"),
        ("no4111111111111111x", "no[card]x"),
        ("room 12, card 4111 1111 1111 1111 and 4012 8888 8888 1881.", "room 12, card [card] and [card]."),
        ("12 4111 1111 1111 1111", "12 [card]"),
    ],
)
def test_a_card_number_is_found_among_other_digits(text: str, left: str) -> None:
    assert CARDS.redact_text(text) == left


@pytest.mark.parametrize(
    "text",
    [
        "4111 1111 1111 1112",
        "1790000000123",
        "0000000000000000",
        "8888888888888888",
        "order 4711",
        "tracking 1Z999",
        "",
        "one two three",
    ],
)
def test_digits_that_are_no_card_number_stay(text: str) -> None:
    assert CARDS.redact_text(text) == text


def test_the_check_digit() -> None:
    assert luhn_holds(VISA)
    assert luhn_holds(AMEX)
    assert not luhn_holds("4111111111111112")


@pytest.mark.parametrize(
    "text",
    [
        "+4930123456",
        "+49 30 1234567",
        "+1 (555) 123-4567",
        "(555) 123-4567",
        "555-123-4567",
        "555.123.4567",
        "555-1234",
        "1-800-555-0199",
        "00 49 30 1234567",
        "0049301234567",
        "030 1234567",
        "0301234567",
        "5551234567",
        "15551234567",
        "447700900123",
        "01 23 45 67 89",
        "98765 43210",
        "612 345 678",
        "plus four nine three zero one two three four five six seven",
        "five five five one two three four",
        "five five five, one two three, four five six seven",
        "oh one seven one double two three four five six",
        "+١٥٥٥١٢٣٤٥٦٧",
    ],
)
def test_a_telephone_number_is_found_however_it_is_written(text: str) -> None:
    assert PHONES.redact_text(text) == "[phone]"
    assert PHONES.redact_text(f"call {text}.") == "call [phone]."


def test_telephone_numbers_in_a_list_are_each_found() -> None:
    assert PHONES.redact_text("555-123-4567, 555-987-6543") == "[phone], [phone]"
    assert PHONES.redact_text("555-123-4567 555-987-6543") == "[phone] [phone]"
    assert PHONES.redact_text("+1 555 123 4567 and +49 30 1234567") == "[phone] and [phone]"


@pytest.mark.parametrize(
    "text",
    [
        "order 471",
        "order 4711",
        "order 123456",
        "2026-01-31",
        "31.01.2026",
        "01/31/2026 at 10:30",
        "2026-01-31T10:30:00.123456+00:00",
        "2026-01-31 10:30:15",
        "1790000000",
        "1790000000123",
        "192.168.100.200",
        "f81d4fae-7dec-11d0-a765-00a0c91e6bf6",
        "12345678-1234-1234-1234-123456789012",
        "1234567.89",
        "0.123456789",
        "1,234,567",
        "12.50 or 13.75",
        "rooms 101, 102, 103",
        "call_5551234567",
        "two thousand and one",
        "I am one of the three who ate at seven or eight",
    ],
)
def test_digits_that_are_no_telephone_number_stay(text: str) -> None:
    assert PHONES.redact_text(text) == text


def test_a_card_number_is_not_called_a_telephone_number() -> None:
    assert PHONES.redact_text(VISA) == VISA
    assert Redaction().redact_text(f"{VISA} and 555-123-4567") == "[card] and [phone]"


@pytest.mark.parametrize(
    "text",
    [
        "bob.smith+x@example.co.uk",
        "a@b.io",
        "müller@exämple.de",
        "john dot smith at gmail dot com",
        "john.smith at gmail.com",
        "J-O-H-N at example dot co dot uk",
        "j o h n at g mail dot com",
        "john underscore smith at mail dot example dot org",
        "JOHN AT EXAMPLE DOT COM",
    ],
)
def test_an_address_is_found_as_written_and_as_heard(text: str) -> None:
    assert EMAILS.redact_text(text) == "[email]"
    assert EMAILS.redact_text(f"write to <{text}>, please") == "write to <[email]>, please"


@pytest.mark.parametrize(
    "text", ["meet me at noon", "at seven dot thirty", "a@b", "@handle", "3 @ 4.50", "look at that. Commit!"]
)
def test_what_is_no_address_stays(text: str) -> None:
    assert EMAILS.redact_text(text) == text


@pytest.mark.parametrize(
    "text",
    [
        "1" * 200_000,
        "1 " * 30_000,
        "a@" * 100_000,
        "a at " * 50_000,
        "a." * 100_000,
        "x" * 200_000 + "@",
        "one-" * 15_000,
        "+" * 100_000,
        "a at b " * 30_000 + "dot com",
        "_" * 100_000 + " at x dot com",
        "1-1-" * 15_000,
    ],
    ids=lambda text: text[:6],
)
def test_no_text_takes_long(text: str) -> None:
    started = time.process_time()
    Redaction().redact_text(text)
    assert time.process_time() - started < 3
