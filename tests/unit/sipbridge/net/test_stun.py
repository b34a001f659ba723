"""The numbers are those of RFC 5769, which the RFC made for this."""

import pytest

from tuner_sipbridge.errors import LocalProtocolError
from tuner_sipbridge.net.public_address import PublicAddress
from tuner_sipbridge.net.stun import binding_request, mapped_address, refusal
from tuner_sipbridge.rtp.packet import is_stun

QUESTION = bytes.fromhex("b7e7a701bc34d686fa87dfae")
SOFTWARE = "8022000b7465737420766563746f7220"


def answer(*attributes: str, kind: str = "0101", cookie: str = "2112a442") -> bytes:
    body = bytes.fromhex("".join(attributes))
    return bytes.fromhex(kind) + len(body).to_bytes(2) + bytes.fromhex(cookie) + QUESTION + body


@pytest.mark.parametrize(
    ("attribute", "address"),
    [
        ("002000080001a147e112a643", ("192.0.2.1", 32853)),
        ("002000140002a1470113a9faa5d3f179bc25f4b5bed2b9d9", ("2001:db8:1234:5678:11:2233:4455:6677", 32853)),
        ("0001000800018055c0000201", ("192.0.2.1", 32853)),
    ],
    ids=["IPv4", "IPv6", "not masked"],
)
def test_the_mapped_address_is_read(attribute: str, address: tuple[str, int]):
    assert mapped_address(answer(SOFTWARE, attribute), QUESTION) == address


@pytest.mark.parametrize(
    "data",
    [
        answer("002000080001a147e112a643", kind="0111"),
        answer("002000080001a147e112a643", cookie="00000000"),
        answer("002000080001a147e112a643")[:-1],
        answer("002000080003a147e112a643"),
        answer("002000040001a147"),
        answer(SOFTWARE),
        b"OPTIONS sip:a@b SIP/2.0\r\n",
        b"",
    ],
)
def test_what_is_no_answer_gives_no_address(data: bytes):
    assert mapped_address(data, QUESTION) is None


def test_the_answer_to_another_question_gives_no_address():
    assert mapped_address(answer("002000080001a147e112a643"), bytes(12)) is None


def test_a_refusal_has_its_code():
    refused = answer("000900080000040042616421", kind="0111")
    assert refusal(refused, QUESTION) == 400
    assert refusal(refused, bytes(12)) is None
    assert mapped_address(refused, QUESTION) is None
    assert refusal(answer("002000080001a147e112a643"), QUESTION) is None


def test_a_question_is_stun_and_a_sip_message_is_not():
    assert is_stun(binding_request(QUESTION))
    assert not is_stun(b"OPTIONS sip:agent@far.example SIP/2.0\r\n")


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        (None, ("10.0.0.1", 5070)),
        ("203.0.113.9", ("203.0.113.9", 5070)),
        ("203.0.113.9:6000", ("203.0.113.9", 6000)),
        ("[2001:db8::1]:6000", ("2001:db8::1", 6000)),
    ],
)
def test_what_is_shown_for_a_local_address(written: str | None, shown: tuple[str, int]):
    assert PublicAddress.parse(written).of(("10.0.0.1", 5070)) == shown


def test_a_stun_server_is_named_with_or_without_port():
    assert PublicAddress.parse("stun:stun.example").stun_server == ("stun.example", 3478)
    assert PublicAddress.parse("STUN:stun.example:19302").stun_server == ("stun.example", 19302)


@pytest.mark.parametrize("written", ["", "a:b:c", "host:0", "stun:", "203.0.113.9:99999"])
def test_what_is_no_address_is_refused(written: str):
    with pytest.raises(LocalProtocolError, match="is not HOST"):
        PublicAddress.parse(written)
