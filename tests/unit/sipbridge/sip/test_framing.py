from __future__ import annotations

import pytest

from tuner_sipbridge.sip.framing import Frame, Malformed, Ping, Pong, StreamFramer
from tuner_sipbridge.sip.parser import Limits


def octets(
    method: str = "OPTIONS", *headers: str, length: str | None = "Content-Length: {}", body: bytes = b""
) -> bytes:
    lines = [
        f"{method} sip:agent@far.example SIP/2.0",
        "Via: SIP/2.0/TCP 10.0.0.1:5060;branch=z9hG4bK-1",
        "From: <sip:caller@10.0.0.1>;tag=a",
        "To: <sip:agent@far.example>",
        "Call-ID: c1",
        f"CSeq: 1 {method}",
        *headers,
        *([] if length is None else [length.format(len(body))]),
    ]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def names(framer: StreamFramer, *pieces: bytes) -> list[str]:
    """What came of the pieces: `ping`, `pong`, or the method and body of a request."""
    frames = [frame for piece in pieces for frame in framer.receive(piece)]
    return [told(frame) for frame in frames]


def told(frame: Frame) -> str:
    match frame:
        case Ping():
            return "ping"
        case Pong():
            return "pong"
        case Malformed():
            return f"refused: {frame.fault}"
        case _:
            return f"{frame.cseq.method} {frame.body.decode()}".strip()


def test_coalesced_messages_are_told_apart_by_content_length():
    stream = octets("INFO", body=b"one") + octets("BYE") + octets("INFO", body=b"INFO sip:x SIP/2.0\r\n\r\n")
    assert names(StreamFramer(), stream) == ["INFO one", "BYE", "INFO INFO sip:x SIP/2.0"]


def test_a_message_may_come_octet_by_octet():
    stream = octets("INFO", body=b"one") + octets("BYE")
    assert names(StreamFramer(), *(stream[at : at + 1] for at in range(len(stream)))) == ["INFO one", "BYE"]


def test_a_message_is_not_given_before_its_last_octet():
    framer = StreamFramer()
    assert names(framer, octets("INFO", body=b"one")[:-1]) == []
    assert framer.midway
    assert names(framer, b"e") == ["INFO one"]
    assert not framer.midway


@pytest.mark.parametrize("header", ["l: {}", "CONTENT-LENGTH : {}", "Content-Length:\r\n {}"])
def test_content_length_may_be_compact_spaced_or_folded(header: str):
    stream = octets("INFO", length=header, body=b"one") + octets("BYE")
    assert names(StreamFramer(), stream) == ["INFO one", "BYE"]


def test_line_feeds_alone_end_lines_too():
    stream = octets("INFO").replace(b"\r\n", b"\n") + octets("BYE")
    assert names(StreamFramer(), stream) == ["INFO", "BYE"]


def test_a_double_line_break_between_messages_is_a_ping_and_a_single_one_nothing():
    stream = b"\r\n\r\n" + octets("INFO") + b"\r\n" + octets("BYE") + b"\r\n\r\n\r\n\r\n"
    assert names(StreamFramer(), stream) == ["ping", "INFO", "BYE", "ping", "ping"]


@pytest.mark.parametrize("pieces", [[b"\r\n"], [b"\r", b"\n"]])
def test_a_line_break_is_the_answer_to_our_ping_where_one_is_awaited(pieces: list[bytes]):
    framer = StreamFramer()
    framer.awaits_pong = True
    assert names(framer, *pieces) == ["pong"]
    assert not framer.awaits_pong
    assert names(framer, b"\r\n\r\n", octets("BYE")) == ["ping", "BYE"]


def test_a_message_may_overtake_the_answer_to_our_ping():
    framer = StreamFramer()
    framer.awaits_pong = True
    assert names(framer, octets("INFO") + b"\r\n" + octets("BYE")) == ["INFO", "pong", "BYE"]


@pytest.mark.parametrize(
    ("stream", "reason"),
    [
        (octets(length=None), "Content-Length is missing"),
        (octets("INFO", "l: 3", body=b"one"), "more than once"),
        (octets(length="Content-Length: -1"), "not a number"),
        (octets(length="Content-Length: 1 1"), "not a number"),
        (octets(length="Content-Length: 70000"), "are allowed"),
        (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", "Content-Length is missing"),
        (b"\x16\x03\x01\x02\x00\x01\x00", "begins with the octet 0x16"),
        (b"INVITE " + b"x" * 40000, "no empty line"),
    ],
)
def test_what_is_no_message_breaks_the_stream_and_says_why(stream: bytes, reason: str):
    framer = StreamFramer()
    first, *refused = names(framer, octets("INFO") + stream + octets("BYE"))
    assert first == "INFO"
    assert reason in (framer.broken or "")
    # What has a whole head, or more of one than may be, can be answered.
    assert refused == ([] if stream.startswith(b"\x16") else [f"refused: {framer.broken}"])
    assert names(framer, octets("BYE")) == []


def test_a_body_may_not_be_longer_than_the_limit():
    framer = StreamFramer(Limits(message_octets=300))
    framer.receive(octets("INFO", length="Content-Length: 200"))
    assert (
        framer.broken
        == f"message of {len(octets('INFO', length='Content-Length: 200')) + 200} octets; 300 are allowed"
    )


def test_a_malformed_message_whose_end_is_known_does_not_break_the_stream():
    framer = StreamFramer()
    bad = octets("INFO", body=b"one").replace(b"Call-ID: c1\r\n", b"")
    assert names(framer, octets("INFO") + bad + octets("BYE")) == [
        "INFO",
        "refused: Call-ID is missing",
        "BYE",
    ]
    assert framer.broken is None


@pytest.mark.parametrize(
    "line",
    [b"l:" + b" " * 30000 + b"\rx", b"l: 1" + b" " * 30000 + b"2\r", b"l " * 15000],
    ids=["blanks", "blanks inside", "name alone"],
)
def test_the_length_is_looked_for_in_one_pass(line: bytes):
    # Tried in every way that blanks can be shared out, the first line alone would take years.
    framer = StreamFramer()
    assert names(framer, octets(length=None)[:-2] + line + b"\r\n\r\n")[1:] == []
    assert framer.broken is not None


def test_headers_are_read_once_however_slowly_the_body_comes():
    # Each octet of the body would cost as much as the folds of all headers.
    message = octets("INFO", *("X:" + "\r\n " * 2700 for _ in range(3)), body=b"b" * 40000)
    framer = StreamFramer()
    head, body = message[:-40000], message[-40000:]
    assert names(framer, head, *(body[at : at + 1] for at in range(len(body)))) == ["INFO " + "b" * 40000]
