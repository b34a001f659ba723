import struct

import pytest

from tuner_sipbridge.rtp.packet import RtpHeader, parse_header

PAYLOAD = bytes(range(160))


def datagram(first: int = 0x80, second: int = 0, *, between: bytes = b"", payload: bytes = PAYLOAD) -> bytes:
    return struct.pack("!BBHII", first, second, 0xFFFE, 0xFFFFFF00, 0xDEADBEEF) + between + payload


def payload_of(data: bytes) -> bytes:
    header = parse_header(data)
    assert header is not None
    return data[header.offset : header.offset + header.length]


def test_plain_packet_is_read_field_by_field():
    header = parse_header(datagram(second=0x80 | 8))
    assert header == RtpHeader(8, 0xFFFE, 0xFFFFFF00, 0xDEADBEEF, True, 12, 160)


def test_what_is_written_is_read_back():
    header = RtpHeader(101, 7, 9, 11, marker=True, offset=12, length=0)
    assert parse_header(header.to_bytes()) == header


def test_contributing_sources_are_skipped():
    assert payload_of(datagram(0x80 | 3, between=b"csrc" * 3)) == PAYLOAD


def test_header_extension_is_skipped():
    assert payload_of(datagram(0x90, between=b"\xbe\xde\x00\x02" + b"extensio")) == PAYLOAD


def test_extension_behind_contributing_sources_is_skipped():
    assert payload_of(datagram(0x91, between=b"csrc\x10\x00\x00\x01exte")) == PAYLOAD


def test_padding_is_taken_off():
    assert payload_of(datagram(0xA0, payload=PAYLOAD + b"\0\0\0\x04")) == PAYLOAD


def test_packet_of_nothing_but_padding_has_no_payload():
    assert payload_of(datagram(0xA0, payload=b"\0\0\0\x04")) == b""


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"", id="empty"),
        pytest.param(datagram()[:11], id="shorter than the header"),
        pytest.param(datagram(0x00), id="version 0, as STUN"),
        pytest.param(datagram(0x40), id="version 1"),
        pytest.param(datagram(0x80, 200), id="RTCP sender report"),
        pytest.param(datagram(0x81, 201), id="RTCP receiver report"),
        pytest.param(datagram(0x8F, payload=b"x" * 20), id="contributing sources beyond the end"),
        pytest.param(datagram(0x90, payload=b"\0\0"), id="extension header beyond the end"),
        pytest.param(datagram(0x90, payload=b"\0\0\xff\xff"), id="extension beyond the end"),
        pytest.param(datagram(0xA0, payload=b"\0\0\0\0"), id="padding of length 0"),
        pytest.param(datagram(0xA0, payload=b"\0\0\0\xff"), id="padding longer than the packet"),
        pytest.param(datagram(0xA0, payload=b"\x0d"), id="padding that reaches into the header"),
    ],
)
def test_what_is_no_rtp_is_refused(data: bytes):
    assert parse_header(data) is None
